"""`examples/adapters`: a bundle inside other libraries gives its own vectors."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from sentence_folders import export, make_folder
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import edgebert
from edgebert.errors import BundleError
from examples.adapters.scikit_learn import TextVectors

TEXTS = ["good film", "a lovely story", "dull and cold", "so very bad"]
LABELS = ["good", "good", "bad", "bad"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapters")
    export(make_folder(folder / "model", {"pooling_mode_mean_tokens": True}), folder)
    return folder / "bundle"


def test_scikit_learn_trains_on_a_bundles_vectors(bundle: Path) -> None:
    pipeline = make_pipeline(TextVectors(str(bundle)), LogisticRegression(C=1e4))
    assert list(pipeline.fit(TEXTS, LABELS).predict(TEXTS)) == LABELS
    vectors = clone(pipeline[0]).transform(TEXTS)
    assert (vectors == np.asarray(edgebert.load(bundle).embed(TEXTS))).all()
    written = pickle.dumps(pipeline)
    assert len(written) < 10_000
    assert list(pickle.loads(written).predict(TEXTS)) == LABELS


def test_scikit_learn_is_told_of_a_wrong_folder_before_it_trains(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="none"):
        make_pipeline(TextVectors(str(tmp_path / "none")), LogisticRegression()).fit(TEXTS, LABELS)


def test_langchain_finds_by_a_bundles_vectors(bundle: Path) -> None:
    pytest.importorskip("langchain_core", reason="langchain-core is not installed")
    from langchain_core.vectorstores import InMemoryVectorStore

    from examples.adapters.langchain import BundleEmbeddings

    embeddings = BundleEmbeddings(str(bundle))
    own = np.asarray(edgebert.load(bundle).embed(TEXTS))
    assert (np.float32(embeddings.embed_documents(TEXTS)) == own).all()
    assert (np.float32(embeddings.embed_query(TEXTS[1])) == own[1]).all()
    assert embeddings.embed_documents([]) == []
    store = InMemoryVectorStore(embeddings)
    store.add_texts(TEXTS)
    assert [store.similarity_search(text, k=1)[0].page_content for text in TEXTS] == TEXTS

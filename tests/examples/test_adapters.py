"""`examples/adapters`: a bundle gives its own vectors in other libraries."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import edgebert
from edgebert.errors import BundleError, InputError, TextError
from examples.adapters.scikit_learn import TextVectors

TEXTS = ["good film", "a lovely story", "dull and cold", "so very bad"]
LABELS = ["good", "good", "bad", "bad"]


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


@pytest.mark.parametrize("texts", [None, 5, "a text", np.array([["a"]]), [5]])
def test_scikit_learn_is_told_what_no_texts_are(texts: Any, bundle: Path) -> None:
    with pytest.raises(TextError, match="give "):
        TextVectors(str(bundle)).transform(texts)


def test_a_column_of_texts_is_texts(bundle: Path) -> None:
    vectors = TextVectors(str(bundle)).transform(np.array(TEXTS))
    assert (vectors == np.asarray(edgebert.load(bundle).embed(TEXTS))).all()


@pytest.mark.parametrize("named", [{"width": np.array([8, 16])}, {"width": [8]}, {"width": "8"}])
def test_a_width_that_is_none(named: dict[str, Any], bundle: Path) -> None:
    with pytest.raises(InputError, match=r"^width is .*; this bundle's embeddings are "):
        edgebert.load(bundle).embed(TEXTS, **named)


@pytest.mark.parametrize("name", [[1], np.array(["a", "b"]), 5, {}])
def test_a_prompt_whose_name_is_none(name: Any, bundle: Path) -> None:
    with pytest.raises(InputError, match=r"^prompt_name is .*; this bundle has the prompts: "):
        edgebert.load(bundle).embed(TEXTS, prompt_name=name)


def test_langchain_finds_by_a_bundles_vectors(bundle: Path) -> None:
    pytest.importorskip("langchain_core", reason="langchain-core is not installed")
    from langchain_core.vectorstores import InMemoryVectorStore

    from examples.adapters.langchain import BundleEmbeddings

    embeddings = BundleEmbeddings(str(bundle))
    own = np.asarray(edgebert.load(bundle).embed(TEXTS))
    assert (np.float32(embeddings.embed_documents(TEXTS)) == own).all()
    assert (np.float32(embeddings.embed_query(TEXTS[1])) == own[1]).all()
    assert embeddings.embed_documents([]) == []
    assert (np.float32(embeddings.embed_documents(np.array(TEXTS))) == own).all()
    for wrong in (None, 5, "a text", np.array([])):
        with pytest.raises(TextError, match="give "):
            embeddings.embed_documents(wrong)
    store = InMemoryVectorStore(embeddings)
    store.add_texts(TEXTS)
    assert [store.similarity_search(text, k=1)[0].page_content for text in TEXTS] == TEXTS

"""`examples/adapters/haystack_embedders.py`: a bundle gives its own vectors in a Haystack pipeline."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgebert
from edgebert.errors import BundleError, InputError

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
pytest.importorskip("haystack", reason="haystack-ai is not installed")

from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore

from examples.adapters.haystack_embedders import BundleDocumentEmbedder, BundleTextEmbedder

TEXTS = ["good film", "a lovely story", "dull and cold", "so very bad"]


@pytest.fixture(scope="module")
def vectors(bundle: Path) -> Any:
    return np.asarray(edgebert.load(bundle).embed(TEXTS))


def test_documents_and_queries_get_the_bundles_own_vectors(bundle: Path, vectors: Any) -> None:
    documents = [Document(content=text) for text in TEXTS]
    found = BundleDocumentEmbedder(str(bundle)).run(documents)["documents"]
    assert (np.float32([document.embedding for document in found]) == vectors).all()
    assert [document.content for document in found] == TEXTS
    assert all(document.embedding is None for document in documents)
    assert (np.float32(BundleTextEmbedder(str(bundle)).run(TEXTS[1])["embedding"]) == vectors[1]).all()
    assert BundleDocumentEmbedder(str(bundle)).run([]) == {"documents": []}


def test_a_pipeline_finds_the_document_and_survives_its_own_yaml(bundle: Path) -> None:
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    store.write_documents(
        BundleDocumentEmbedder(str(bundle)).run([Document(content=text) for text in TEXTS])["documents"]
    )
    pipeline = Pipeline()
    pipeline.add_component("query", BundleTextEmbedder(str(bundle)))
    pipeline.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=1))
    pipeline.connect("query.embedding", "retriever.query_embedding")
    for text in TEXTS:
        (found,) = pipeline.run({"query": {"text": text}})["retriever"]["documents"]
        assert found.content == text
    index = Pipeline()
    index.add_component("embedder", BundleDocumentEmbedder(str(bundle), meta_fields_to_embed=["title"]))
    again = Pipeline.loads(index.dumps(), allowed_modules=["examples.adapters.haystack_embedders"])
    given = [Document(content="film", meta={"title": "good"})]
    (document,) = again.run({"embedder": {"documents": given}})["embedder"]["documents"]
    expected = np.asarray(edgebert.load(bundle).embed(["good\nfilm"]))[0]
    assert (np.float32(document.embedding) == expected).all()


def test_what_cannot_be_embedded_is_told(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no content; embed documents of text alone"):
        BundleDocumentEmbedder(str(bundle)).run([Document(content=None)])
    with pytest.raises(BundleError, match="none"):
        BundleTextEmbedder(str(tmp_path / "none")).warm_up()
    with pytest.raises(InputError, match="this bundle has the prompts: "):
        BundleTextEmbedder(str(bundle), prompt="none").run("a text")

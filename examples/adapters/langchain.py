"""A bundle as LangChain's `Embeddings`. Needs edgebert and langchain-core, no PyTorch.

>>> from langchain_core.vectorstores import InMemoryVectorStore
>>> store = InMemoryVectorStore(BundleEmbeddings("build/my"))  # doctest: +SKIP
>>> store.add_texts(["a text", "another"])  # doctest: +SKIP
>>> store.similarity_search("a question", k=1)  # doctest: +SKIP
"""

from __future__ import annotations

from langchain_core.embeddings import Embeddings

import edgebert


class BundleEmbeddings(Embeddings):
    """Embed texts with a bundle for the task `similarity`.

    Models that were trained with prompts use different prompts for queries and for documents. Pass the names of the
    prompts; `edgebert inspect` lists them.
    """

    def __init__(self, bundle: str, *, query_prompt: str | None = None, document_prompt: str | None = None) -> None:
        """Open the bundle in a folder."""
        self.model = edgebert.load(bundle)
        self.query_prompt, self.document_prompt = query_prompt, document_prompt

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed each text. An empty list gives an empty list."""
        if isinstance(texts, list) and not texts:
            return []
        return [list(map(float, vector)) for vector in self.model.embed(texts, prompt_name=self.document_prompt)]

    def embed_query(self, text: str) -> list[float]:
        """Embed one text."""
        (vector,) = self.model.embed([text], prompt_name=self.query_prompt)
        return list(map(float, vector))

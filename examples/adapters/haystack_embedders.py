"""A bundle as Haystack's embedders of queries and documents. Needs edgebert and haystack-ai, no PyTorch.

>>> from haystack.document_stores.in_memory import InMemoryDocumentStore
>>> embedded = BundleDocumentEmbedder("build/my").run(documents)  # doctest: +SKIP
>>> InMemoryDocumentStore().write_documents(embedded["documents"])  # doctest: +SKIP
>>> BundleTextEmbedder("build/my").run("a question")["embedding"]  # doctest: +SKIP
"""

from dataclasses import replace
from typing import Any

from haystack import Document, component, default_from_dict, default_to_dict

import edgebert


@component
class BundleTextEmbedder:
    """Embed queries with a bundle for the task `similarity`.

    Models that were trained with prompts use different prompts for queries and for documents. Pass the name of the
    prompt; `edgebert inspect` lists the names.
    """

    def __init__(self, bundle: str, *, prompt: str | None = None) -> None:
        """Take the bundle's folder, and the name of the prompt (None: the bundle's default)."""
        self.bundle, self.prompt = bundle, prompt
        self._model: Any = None

    def warm_up(self) -> None:
        """Open the bundle: a pipeline calls this before it runs, so a wrong path fails there."""
        self._model = self._model or edgebert.load(self.bundle)

    @component.output_types(embedding=list[float])
    def run(self, text: str) -> dict[str, Any]:
        """Embed a text."""
        self.warm_up()
        (vector,) = self._model.embed([text], prompt_name=self.prompt)
        return {"embedding": vector.tolist()}

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as a dictionary; the bundle is not copied."""
        return default_to_dict(self, bundle=self.bundle, prompt=self.prompt)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "BundleTextEmbedder":
        """Make the component from its settings."""
        return default_from_dict(cls, data)


@component
class BundleDocumentEmbedder:
    """Embed documents with a bundle for the task `similarity`. The input documents are not changed."""

    def __init__(
        self,
        bundle: str,
        *,
        prompt: str | None = None,
        meta_fields_to_embed: list[str] | None = None,
        embedding_separator: str = "\n",
        batch_size: int = 32,
    ) -> None:
        """Take the bundle's folder, the prompt's name, and the fields of `meta` to embed before the content."""
        self.bundle, self.prompt, self.batch_size = bundle, prompt, batch_size
        self.meta_fields_to_embed, self.embedding_separator = meta_fields_to_embed or [], embedding_separator
        self._model: Any = None

    def warm_up(self) -> None:
        """Open the bundle: a pipeline calls this before it runs, so a wrong path fails there."""
        self._model = self._model or edgebert.load(self.bundle)

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, Any]:
        """Embed documents. An empty list gives an empty list."""
        if not documents:
            return {"documents": []}
        self.warm_up()
        texts = [self._text(document) for document in documents]
        vectors = self._model.embed(texts, batch_size=self.batch_size, prompt_name=self.prompt)
        pairs = zip(documents, vectors, strict=True)
        return {"documents": [replace(document, embedding=vector.tolist()) for document, vector in pairs]}

    def _text(self, document: Document) -> str:
        if document.content is None:
            raise ValueError(f"document {document.id} has no content; embed documents of text alone")
        before = [str(document.meta[name]) for name in self.meta_fields_to_embed if document.meta.get(name) is not None]
        return self.embedding_separator.join([*before, document.content])

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as a dictionary; the bundle is not copied."""
        return default_to_dict(
            self,
            bundle=self.bundle,
            prompt=self.prompt,
            meta_fields_to_embed=self.meta_fields_to_embed,
            embedding_separator=self.embedding_separator,
            batch_size=self.batch_size,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "BundleDocumentEmbedder":
        """Make the component from its settings."""
        return default_from_dict(cls, data)

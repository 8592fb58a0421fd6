"""A bundle as a component of a spaCy pipeline: entities in `doc.ents`, labels in `doc.cats`. Needs no PyTorch.

>>> import spacy
>>> import spacy_component  # this file: it registers the factory "edgebert"
>>> nlp = spacy.blank("en")
>>> nlp.add_pipe("edgebert", config={"bundle": "build/entities"})  # doctest: +SKIP
>>> nlp("a cafe in Bergen").ents  # doctest: +SKIP
"""

from collections.abc import Iterable, Iterator
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import filter_spans, minibatch

import edgebert

# The field of a prediction that becomes entities, and the tasks whose scores per label become categories.
ENTITIES = {"token-classification": "entities", "intent-slots": "slots"}
CATEGORIES = ("text-classification", "multi-label", "intent-slots")


class BundleComponent:
    """Writes a bundle's answers into documents. Documents of blank text stay as they are."""

    def __init__(self, bundle: str, batch_size: int = 1) -> None:
        """Open the bundle.

        Raises:
            ValueError: Its task finds neither entities nor labels.
        """
        self.bundle, self.batch_size = bundle, batch_size
        self.model: Any = edgebert.load(bundle)
        self.task = self.model.facts.task
        if self.task not in (*ENTITIES, *CATEGORIES):
            known = ", ".join(dict.fromkeys((*ENTITIES, *CATEGORIES)))
            raise ValueError(f"{bundle}: is a bundle for {self.task}; give one for {known}")

    def __call__(self, doc: Doc) -> Doc:
        """Answer one document."""
        return self._written(doc, self.model(doc.text)) if doc.text.strip() else doc

    def pipe(self, docs: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Answer the documents of `nlp.pipe`, `batch_size` documents at a time."""
        for several in minibatch(docs, batch_size):
            asked = [doc.text for doc in several if doc.text.strip()]
            answers = iter(self.model(asked, batch_size=self.batch_size))
            yield from (self._written(doc, next(answers)) if doc.text.strip() else doc for doc in several)

    def _written(self, doc: Doc, answer: Any) -> Doc:  # noqa: ANN401 - the prediction of one of several tasks
        if self.task in CATEGORIES:
            doc.cats = dict(answer.scores)
        if self.task in ENTITIES:
            # If an entity begins or ends inside a token, include the whole token.
            found = getattr(answer, ENTITIES[self.task])
            spans = [doc.char_span(each.start, each.end, each.label, alignment_mode="expand") for each in found]
            doc.set_ents(filter_spans([span for span in spans if span is not None]))
        return doc


@Language.factory("edgebert", default_config={"batch_size": 1}, assigns=["doc.ents", "doc.cats"])
def make_component(nlp: Language, name: str, bundle: str, batch_size: int) -> BundleComponent:
    """Make the component from a pipeline's configuration."""
    return BundleComponent(bundle, batch_size)

"""Token classification: entities in a text, from one tag per word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebert.data.words import Words
from edgebert.errors import DataError
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.prediction import Prediction
from edgebert.runtime.session import TextOutputs
from edgebert.runtime.tagging import Entity, Settings, Tagger, shown
from edgebert.tasks.device import DeviceTask
from edgebert.tasks.token_classification.spec import SPEC

if TYPE_CHECKING:
    from edgebert.data.examples import Example
    from edgebert.manifest import Facts
    from edgebert.metrics.entities import Tags
    from edgebert.runtime.piped import TopK
    from edgebert.strict_json import Json


@dataclass(frozen=True)
class Entities(Prediction):
    """The entities of a text in order, its words, and one BIO tag for each of them."""

    entities: tuple[Entity, ...]
    words: tuple[str, ...]
    tags: tuple[str, ...]

    def __str__(self) -> str:
        """Label and text of each entity; a hyphen if there are none."""
        return shown(self.entities)


class TokenClassification(DeviceTask[Settings, str | Words, Entities]):
    """Tags by softmax over the row of each word's first token, and the entities that they form."""

    spec = SPEC

    def __init__(self, facts: Facts, encoder: TextEncoder | None) -> None:
        """Take tags and their scheme from a bundle's facts."""
        super().__init__(facts, encoder)
        self.tagger = Tagger(facts.labels, facts.label_values, self.settings, encoder)

    @property
    def widths(self) -> Sequence[int | None]:
        """Columns of the graph's outputs; None for any number."""
        return (len(self.tagger.tags),)

    def encode(self, given: str | Words) -> list[Encoded]:
        """Windows that share tokens, if the text is too long for one."""
        return self.tagger.encode(given)

    def decode(self, given: str | Words, windows: Sequence[Encoded], outputs: Sequence[TextOutputs]) -> Entities:
        """Entities from the logits of every window. *Shape* of each: (tokens, tags)."""
        tagged = self.tagger.read(given, windows, [logits for (logits,) in outputs])
        return Entities(tagged.entities, tagged.words, tagged.tags)

    def piped(self, given: str | Words, answer: Entities, top_k: TopK) -> Json:
        """Entities in the form of transformers' `token-classification` with an `aggregation_strategy`.

        `word` is the original text, while the pipeline joins tokens. `score` is the probability of the entity's type,
        B- and I- together, while the pipeline uses that of the most likely tag only.
        """
        return [
            {"entity_group": each.label, "score": each.score, "word": each.text, "start": each.start, "end": each.end}
            for each in answer.entities
        ]

    def given(self, example: Example) -> str | Words:
        """The row's words, or its text if it was not split."""
        return Words(example.words) if example.words and not example.is_raw else example.text

    @property
    def known(self) -> list[str]:
        """Entity types that a data file may have, as the bundle names them."""
        return self.tagger.types

    def unknown(self, example: Example) -> list[str]:
        """The row's entity types that the bundle does not have."""
        return self.tagger.unknown(example.label or ())

    def expected(self, example: Example, unknown: Sequence[str] = ()) -> Tags:
        """The row's tags in BIO.

        Raises:
            DataError: A row has no tags, or a tag that is neither the bundle's nor of a type in `unknown`.
        """
        if example.label is None:
            raise DataError(f"{example.place}: no tags; expected one for each word, or entities")
        return self.tagger.bio(example.label, example, unknown)

    def predicted(self, prediction: Entities) -> Tags:
        """The predicted tags in BIO."""
        return prediction.tags

"""Intent and slots: what a command asks for, and the spans that name its values, in one forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebert.data.words import Words
from edgebert.errors import DataError
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.plain_math import argmax, numbers_of, softmax
from edgebert.runtime.prediction import Prediction
from edgebert.runtime.session import TextOutputs
from edgebert.runtime.tagging import Entity, Settings, Tagger, shown
from edgebert.tasks.device import DeviceTask
from edgebert.tasks.intent_slots.spec import SPEC

if TYPE_CHECKING:
    from edgebert.data.examples import Example
    from edgebert.manifest import Facts
    from edgebert.metrics.entities import Frame


@dataclass(frozen=True)
class Command(Prediction):
    """The most likely intent, all intents' probabilities, the slots in order, and a BIO tag for each word."""

    intent: str
    score: float
    scores: dict[str, float]
    slots: tuple[Entity, ...]
    words: tuple[str, ...]
    tags: tuple[str, ...]

    def __str__(self) -> str:
        """Intent, its probability and the slots, tab-separated."""
        return f"{self.intent}\t{self.score:.4f}\t{shown(self.slots)}"


class IntentSlots(DeviceTask[Settings, str | Words, Command]):
    """An intent by softmax over the [CLS] row, tags by softmax over the row of each word's first token."""

    spec = SPEC

    def __init__(self, facts: Facts, encoder: TextEncoder | None) -> None:
        """Take intents, tags and their scheme from a bundle's facts."""
        super().__init__(facts, encoder)
        self.labels = list(facts.labels)
        self.tagger = Tagger(facts.head.tags, (), self.settings, encoder)
        self._intents: dict[str, str] = {name: name for name in self.labels}
        self._intents |= dict(zip(facts.label_values, self.labels, strict=False))

    @property
    def widths(self) -> Sequence[int | None]:
        """Columns of the graph's outputs; None for any number."""
        return (len(self.labels), len(self.tagger.tags))

    def encode(self, given: str | Words) -> list[Encoded]:
        """Windows that share tokens, if the text is too long for one."""
        return self.tagger.encode(given)

    def decode(self, given: str | Words, windows: Sequence[Encoded], outputs: Sequence[TextOutputs]) -> Command:
        """Intent and slots from both logits of every window; several windows are combined by mean probability.

        *Shape* of the logits: (intents,) and (tokens, tags).
        """
        shares = [softmax(numbers_of(intent)) for intent, _ in outputs]
        scores = [sum(column) / len(shares) for column in zip(*shares, strict=True)]
        tagged = self.tagger.read(given, windows, [tags for _, tags in outputs])
        best = argmax(scores)
        by_intent = dict(zip(self.labels, scores, strict=True))
        return Command(self.labels[best], scores[best], by_intent, tagged.entities, tagged.words, tagged.tags)

    def given(self, example: Example) -> str | Words:
        """The row's words, or its text if it was not split."""
        return Words(example.words) if example.words and not example.is_raw else example.text

    def intent(self, example: Example, unknown: Sequence[str] = ()) -> str:
        """The row's intent with the bundle's name for it; an intent in `unknown` keeps the file's name.

        Raises:
            DataError: The intent is neither the bundle's nor in `unknown`.
        """
        intent: str = example.label[0]
        if intent not in self._intents and intent not in unknown:
            from edgebert.data.examples import listed

            known = listed(self.labels)
            raise DataError(f"{example.place}: unknown intent {intent!r}; expected one of: {known}")
        return self._intents.get(intent, intent)

    @property
    def known(self) -> list[str]:
        """Intents and slot types that a data file may have, as the bundle names them."""
        return [*self.labels, *self.tagger.types]

    def unknown(self, example: Example) -> list[str]:
        """The row's intent and slot types that the bundle does not have."""
        if example.label is None:
            return []
        intent, tags = example.label
        return [*([] if intent in self._intents else [intent]), *self.tagger.unknown(tags)]

    def expected(self, example: Example, unknown: Sequence[str] = ()) -> Frame:
        """The row's intent, and its tags in BIO.

        Raises:
            DataError: The row lacks one of them, or has an intent or slot type that is neither the bundle's nor in
                `unknown`.
        """
        if example.label is None:
            raise DataError(f"{example.place}: no intent and no tags; expected both")
        return self.intent(example, unknown), self.tagger.bio(example.label[1], example, unknown)

    def predicted(self, prediction: Command) -> Frame:
        """The predicted intent, and the predicted tags in BIO."""
        return prediction.intent, prediction.tags

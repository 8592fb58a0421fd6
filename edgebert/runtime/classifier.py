"""Text classification on the device: texts in, labels and scores out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, overload

import numpy as np

from edgebert.errors import InputError, TextError
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.session import Ids, Logits, Session

Text = str | tuple[str, str]


@dataclass(frozen=True)
class Classification:
    """The likeliest label, its probability, every label's probability, and whether the text was cut short."""

    label: str
    score: float
    scores: dict[str, float]
    truncated: bool


class TextClassifier:
    """A bundle that is open: call it with a text, a pair, a list of either, or an iterator of either."""

    def __init__(self, manifest: dict[str, Any], encoder: TextEncoder, session: Session) -> None:
        """Join the parts of an opened bundle; `edgebert.load` does this."""
        self.labels: list[str] = manifest["labels"]
        self.manifest = manifest
        self._inputs: list[str] = manifest["inputs"]
        self._segments: int = manifest["segments"]
        self._encoder = encoder
        self._session = session

    @overload
    def __call__(self, text: Text, *, batch_size: int = ...) -> Classification: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, text: list[Text], *, batch_size: int = ...) -> list[Classification]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, text: Iterable[Text], *, batch_size: int = ...) -> Iterator[Classification]: ...

    def __call__(
        self, text: Text | Iterable[Text], *, batch_size: int = 32
    ) -> Classification | list[Classification] | Iterator[Classification]:
        """Classify.

        Args:
            text: A string or a (text, pair) tuple; a list of them; or any other iterable, answered lazily in batches.
            batch_size: Texts run together where there are several.

        Raises:
            InputError: `batch_size` is below 1.
            TextError: Not a string, not valid Unicode, without a token, or a pair where the bundle takes single texts.
        """
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}; give 1 or more")
        if isinstance(text, str | tuple):
            return self._classify([text], 1)[0]
        if isinstance(text, list):
            return self._classify(text, batch_size)
        if isinstance(text, Iterable) and not isinstance(text, bytes | bytearray):
            return self._stream(iter(text), batch_size)
        raise TextError(f"text is {type(text).__name__} {text!r:.40}; give a str, a pair, or an iterable of them")

    def logits(self, texts: Sequence[Text], batch_size: int = 32) -> Logits:
        """Raw outputs of the head. *Shape*: (texts, labels).

        Raises:
            TextError: A single string instead of a list, or a text that cannot be classified.
        """
        if isinstance(texts, str):
            raise TextError(f"the str {texts!r:.40} was given; give a list of texts")
        return self._batched([self._encode(text) for text in texts], batch_size)

    def run_encoded(self, encoded: Sequence[Encoded]) -> Logits:
        """Logits of texts that are already token ids, as one batch. *Shape*: (texts, labels)."""
        return self._session.run(padded_inputs(encoded, self._inputs))

    def _encode(self, text: Text) -> Encoded:
        if isinstance(text, tuple):
            if len(text) != 2:
                raise TextError(
                    f"a tuple of {len(text)} was given; a pair is (text, text_pair), several texts are a list"
                )
            if self._segments == 1:
                raise TextError("a pair of texts was given, but this bundle classifies single texts; join them first")
            return self._encoder.encode_pair(*text)
        if self._segments == 2:
            shown = f"{text!r:.40}"
            raise TextError(
                f"the single text {shown} was given, but this bundle compares pairs; give (text, text_pair)"
            )
        return self._encoder.encode(text)

    def _classify(self, texts: Sequence[Text], batch_size: int) -> list[Classification]:
        encoded = [self._encode(text) for text in texts]
        logits = self._batched(encoded, batch_size)
        return [self._classification(row, item.truncated) for row, item in zip(logits, encoded, strict=True)]

    def _batched(self, encoded: Sequence[Encoded], batch_size: int) -> Logits:
        result = np.empty((len(encoded), len(self.labels)), dtype=np.float32)
        # Texts of like length share a batch, so that little is padded.
        order = sorted(range(len(encoded)), key=lambda at: len(encoded[at].ids))
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            result[chosen] = self.run_encoded([encoded[at] for at in chosen])
        return result

    def _stream(self, texts: Iterator[Text], batch_size: int) -> Iterator[Classification]:
        while batch := list(islice(texts, batch_size)):
            yield from self._classify(batch, batch_size)

    def _classification(self, logits: Logits, truncated: bool) -> Classification:
        exponentials = np.exp(logits - logits.max())
        scores = (exponentials / exponentials.sum()).tolist()
        best = int(logits.argmax())
        return Classification(self.labels[best], scores[best], dict(zip(self.labels, scores, strict=True)), truncated)


def padded_inputs(encoded: Sequence[Encoded], names: Sequence[str]) -> dict[str, Ids]:
    """Arrays of one batch, padded to its longest text. *Shape* of each: (batch, longest), int64."""
    shape = (len(encoded), max(len(item.ids) for item in encoded))
    arrays = {name: np.zeros(shape, dtype=np.int64) for name in names}
    for row, item in enumerate(encoded):
        length = len(item.ids)
        arrays["input_ids"][row, :length] = item.ids
        arrays["attention_mask"][row, :length] = 1
        if "token_type_ids" in arrays:
            arrays["token_type_ids"][row, :length] = item.type_ids
    return arrays

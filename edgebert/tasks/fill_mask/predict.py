"""Fill in masked tokens: for every [MASK] of a text, the likeliest tokens of the vocabulary."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgebert.data.examples import Columns, Example, read_examples
from edgebert.errors import BundleError, TextError
from edgebert.metrics.scores import Metric, Table
from edgebert.runtime.encode import Encoded, TextEncoder, check_text
from edgebert.runtime.model import Model, Text
from edgebert.runtime.prediction import Prediction
from edgebert.runtime.session import Outputs
from edgebert.settings import within

DATA = "one text a line, or a table or JSON Lines with the recipe's column of texts, or text"
MASK = "[MASK]"
MASK_TOKENS = (MASK, "<mask>")
# Of every text, this share of its tokens, and at least one, is hidden (Devlin et al. 2019, arXiv:1810.04805).
SHARE = 0.15
# Of every hidden token of a text: its id, and the id of the likeliest token at its mask.
Guesses = Sequence[tuple[int, int]]


def _found(expected: Sequence[bool], predicted: Sequence[Guesses]) -> Table:
    """Hidden tokens found and hidden tokens, of every text. *Shape*: (texts, 2)."""
    rows = [[sum(hidden == likeliest for hidden, likeliest in guesses), len(guesses)] for guesses in predicted]
    return np.array(rows, dtype=np.float64)


def _share(table: Table) -> float:
    found, hidden = table.sum(0)
    return float(found / hidden)


METRICS = {"accuracy": Metric(_found, _share)}


@dataclass(frozen=True)
class Settings:
    """How many tokens are named for every mask."""

    top_k: int = within(5, 1, 100_000)


@dataclass(frozen=True)
class Candidate(Prediction):
    """A token that may stand at a mask: its text, its probability and its id.

    Several ids may have one text: a byte-level vocabulary has `the` with and without a space before it.
    """

    token: str
    score: float
    id: int


@dataclass(frozen=True)
class Filled(Prediction):
    """For every mask, in order, its likeliest tokens, best first; and whether the text was cut short.

    `hidden` holds the tokens that the task itself has hidden, one a mask, and `hidden_ids` their ids; both are empty if
    the caller wrote the masks.
    """

    masks: list[list[Candidate]]
    truncated: bool
    hidden: list[str] = field(default_factory=list)
    hidden_ids: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        """Tokens and probabilities, masks apart by a bar."""
        return " | ".join(", ".join(f"{one.token} {one.score:.4f}" for one in several) for several in self.masks)


@dataclass(frozen=True)
class Masked(Encoded):
    """A window with masks. `masks`: where they stand, and the token that each hides, None for the caller's own."""

    masks: Mapping[int, int | None] = field(default_factory=dict)


def read(path: Path, columns: Columns, settings: Settings) -> list[Example]:
    """One text a row, of plain lines, a table or JSON Lines; a text is its own label."""
    rows = read_examples(path, replace(columns, text_pair="", label=""))
    return [replace(row, label=row.text) for row in rows]


def hidden_positions(ids: Sequence[int], random: np.random.Generator) -> NDArray[np.int64]:
    """Positions to hide, drawn without repetition: 15% of what stands between the two special tokens, at least one."""
    inside = len(ids) - 2
    return 1 + np.sort(random.choice(inside, max(1, round(SHARE * inside)), replace=False))


class FillMask:
    """Probabilities by softmax over the vocabulary, at every mask."""

    OUTPUTS: ClassVar[Mapping[str, bool]] = {"logits": True}

    def __init__(self, manifest: dict[str, Any], encoder: TextEncoder) -> None:
        """Take the number of candidates from a manifest."""
        self.top_k = Settings(**manifest["head"]["settings"]).top_k
        self.encoder = encoder

    @property
    def widths(self) -> Sequence[int | None]:
        """Columns of the graph's outputs; None for any number."""
        return (None,)

    def mask(self) -> tuple[str, int]:
        """The tokenizer's own mask token, and its number.

        Raises:
            BundleError: It has none.
        """
        for token in MASK_TOKENS:
            number = self.encoder.token_id(token)
            if number is not None:
                return token, number
        raise BundleError(f"the tokenizer has no {' or '.join(MASK_TOKENS)}; take a checkpoint that was trained on one")

    def encode(self, given: Text) -> list[Encoded]:
        """One window, cut where the text is too long.

        Args:
            given: A text that holds [MASK]; or a tuple of one text, of which the task hides 15% of the tokens itself,
                drawn from a hash of the text: the question that rows of data files are asked.

        Raises:
            TextError: No mask, or none before the text is cut.
        """
        if isinstance(given, tuple):
            return [self._hide(given)]
        check_text(given, "text")
        token, number = self.mask()
        window = self.encoder.encode(given.replace(MASK, token))
        masks = {at: None for at, found in enumerate(window.ids) if found == number}
        if not masks:
            cut = f" among its first {self.encoder.max_length} tokens" if window.truncated else ""
            raise TextError(f"text {given!r:.40} holds no {MASK}{cut}; write {MASK} for the word to be found")
        return [Masked(window.ids, window.type_ids, window.truncated, masks=masks)]

    def decode(self, given: Text, windows: Sequence[Encoded], outputs: Sequence[Outputs]) -> Filled:
        """Softmax at every mask. *Shape* of the logits: (length, vocabulary)."""
        window, logits = windows[0], outputs[0][0]
        assert isinstance(window, Masked)
        hidden = [number for number in window.masks.values() if number is not None]
        words = [self._best(logits[at], hides is None) for at, hides in window.masks.items()]
        return Filled(words, window.truncated, [self.encoder.token(number) for number in hidden], hidden)

    def given(self, example: Example) -> Text:
        """The text, for the task to hide some of its tokens."""
        return (example.text,)

    def expected(self, example: Example) -> bool:
        """That every hidden token is found."""
        return True

    def predicted(self, prediction: Filled) -> Guesses:
        """For every hidden token its id and that of the likeliest token at its mask."""
        likeliest = [best[0].id for best in prediction.masks]
        return list(zip(prediction.hidden_ids, likeliest, strict=True))

    def _hide(self, given: tuple[Any, ...]) -> Masked:
        if len(given) != 1:
            what = "a pair of texts" if len(given) == 2 else f"a tuple of {len(given)}"
            raise TextError(f"{what} was given, but this bundle takes single texts; give one text")
        check_text(given[0], "text")
        window, (_, number) = self.encoder.encode(given[0]), self.mask()
        seed = hashlib.sha256(given[0].encode()).digest()[:8]
        positions = hidden_positions(window.ids, np.random.default_rng(int.from_bytes(seed, "big"))).tolist()
        ids = [number if at in positions else found for at, found in enumerate(window.ids)]
        return Masked(ids, window.type_ids, window.truncated, masks={at: window.ids[at] for at in positions})

    def _best(self, logits: NDArray[np.float32], words_only: bool) -> list[Candidate]:
        """Likeliest tokens; for a caller's mask no special ones such as [SEP], which never stand in a text."""
        special = [at for at in self.encoder.special_ids() if at < len(logits)] if words_only else []
        ranked = -logits
        ranked[special] = np.inf
        count = min(self.top_k, len(logits) - len(special))
        kept = np.flatnonzero(ranked <= np.partition(ranked, count - 1)[count - 1])
        best = kept[np.argsort(ranked[kept], kind="stable")][:count]
        most = logits.max()
        scores = np.exp(logits[best] - most) / np.exp(logits - most).sum()
        ids = map(int, best)
        return [Candidate(self.encoder.token(at), float(score), at) for at, score in zip(ids, scores, strict=True)]


class FillMaskModel(Model):
    """Answers lists batch by batch: one text's scores over a whole vocabulary are megabytes."""

    def _answers(self, texts: Sequence[Any], windows: Sequence[list[Encoded]], batch_size: int) -> list[Any]:
        answers: list[Any] = []
        for start in range(0, len(texts), batch_size):
            part = slice(start, start + batch_size)
            answers += super()._answers(texts[part], windows[part], batch_size)
        return answers


TASK = FillMask
MODEL = FillMaskModel

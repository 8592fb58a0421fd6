"""Fill in masked tokens: for every [MASK] of a text, the most likely tokens of the vocabulary."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgebert.errors import BundleError, TextError
from edgebert.runtime.encode import Encoded, check_text
from edgebert.runtime.inputs import Text
from edgebert.runtime.model import Model
from edgebert.runtime.prediction import Prediction
from edgebert.runtime.progress import Advance
from edgebert.runtime.session import Session, TextOutputs
from edgebert.tasks.device import DeviceTask
from edgebert.tasks.fill_mask.spec import SPEC, Guesses, Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgebert.data.examples import Example
    from edgebert.manifest import Facts
    from edgebert.runtime.piped import TopK
    from edgebert.strict_json import Json

MASK = "[MASK]"
MASK_TOKENS = (MASK, "<mask>")
# This share of a text's tokens, and at least one, is hidden (Devlin et al. 2019, arXiv:1810.04805).
SHARE = 0.15


@dataclass(frozen=True)
class Candidate(Prediction):
    """A candidate for a mask: its text, its probability and its id.

    Several ids may have the same text: a byte-level vocabulary has `the` with and without a space before it.
    """

    token: str
    score: float
    id: int


@dataclass(frozen=True)
class Filled(Prediction):
    """For every mask, in order, its most likely tokens, best first; and whether the text was truncated.

    Special tokens ([SEP], [PAD], [MASK] and others) are never candidates for a mask that the caller wrote, unlike in
    transformers' pipeline. Probabilities are over the whole vocabulary in both, so the other tokens have the pipeline's
    scores.

    `hidden` holds the tokens that the task itself has hidden, one per mask, and `hidden_ids` their ids. Both are empty
    if the caller wrote the masks.
    """

    masks: list[list[Candidate]]
    truncated: bool
    hidden: list[str] = field(default_factory=list)
    hidden_ids: list[int] = field(default_factory=list)

    @property
    def is_cut(self) -> bool:
        """Whether the text was truncated."""
        return self.truncated

    def __str__(self) -> str:
        """Tokens and probabilities, masks separated by a bar."""
        return " | ".join(", ".join(f"{one.token} {one.score:.4f}" for one in several) for several in self.masks)


@dataclass(frozen=True)
class Masked(Encoded):
    """A window with masks. `masks`: their positions, and the token that each hides, None for the caller's own."""

    masks: Mapping[int, int | None] = field(default_factory=dict)


def hidden_positions(ids: Sequence[int], random: np.random.Generator) -> NDArray[np.int64]:
    """Choose positions to hide, without repetition: 15% of the tokens between the special tokens, at least one."""
    import numpy as np

    inside = len(ids) - 2
    return 1 + np.sort(random.choice(inside, max(1, round(SHARE * inside)), replace=False))


class FillMask(DeviceTask[Settings, Text, Filled]):
    """At every mask, softmax over the vocabulary, special tokens included.

    Candidates for a mask that the caller wrote exclude special tokens, which never occur in a text.
    """

    spec = SPEC

    @property
    def widths(self) -> Sequence[int | None]:
        """Columns of the graph's outputs; None for any number."""
        return (None,)

    def mask(self) -> tuple[str, int]:
        """The tokenizer's own mask token, and its id.

        Raises:
            BundleError: The tokenizer has no mask token.
        """
        for token in MASK_TOKENS:
            number = self.encoder.token_id(token)
            if number is not None:
                return token, number
        raise BundleError(f"the tokenizer has no {' or '.join(MASK_TOKENS)}; use a checkpoint trained with one")

    def encode(self, given: Text) -> list[Encoded]:
        """One window; a text that is too long is truncated.

        Args:
            given: A text with [MASK]. Or a tuple of one text, in which the task hides 15% of the tokens itself, drawn
                from a hash of the text; rows of data files are read in this way.

        Raises:
            TextError: The text has no mask, or none before the point of truncation.
        """
        if isinstance(given, tuple):
            return [self._hide(given)]
        check_text(given, "text")
        token, number = self.mask()
        window = self.encoder.encode(given.replace(MASK, token))
        masks = {at: None for at, found in enumerate(window.ids) if found == number}
        if not masks:
            cut = f" among its first {self.encoder.max_length} tokens" if window.truncated else ""
            raise TextError(f"text {given!r:.40} holds no {MASK}{cut}; write {MASK} in place of the word to predict")
        return [Masked(window.ids, window.type_ids, window.truncated, masks=masks)]

    def decode(self, given: Text, windows: Sequence[Encoded], outputs: Sequence[TextOutputs]) -> Filled:
        """Softmax at every mask. *Shape* of the logits: (length, vocabulary)."""
        import numpy as np

        window, logits = windows[0], np.asarray(outputs[0][0])
        assert isinstance(window, Masked)
        hidden = [number for number in window.masks.values() if number is not None]
        words = [self._best(logits[at], hides is None) for at, hides in window.masks.items()]
        return Filled(words, window.truncated, [self.encoder.token(number) for number in hidden], hidden)

    def piped(self, given: Text, answer: Filled, top_k: TopK) -> Json:
        """Candidates in the form of transformers' `fill-mask`: a list for one mask, or a list for each of several."""
        window = self.encode(given)[0]
        assert isinstance(window, Masked)
        alone = len(answer.masks) == 1
        rows: list[Json] = []
        for at, candidates in zip(window.masks, answer.masks, strict=True):
            row: list[Json] = []
            for each in candidates:
                ids = [*window.ids[:at], each.id, *window.ids[at + 1 :]]
                token, text = self.encoder.decode([each.id], special=True), self.encoder.decode(ids, special=not alone)
                row.append({"score": each.score, "token": each.id, "token_str": token, "sequence": text})
            rows.append(row)
        return rows[0] if alone else rows

    def given(self, example: Example) -> Text:
        """The text, for the task to hide some of its tokens."""
        return (example.text,)

    def expected(self, example: Example, unknown: Sequence[str] = ()) -> bool:
        """The correct answer: every hidden token is found."""
        return True

    def predicted(self, prediction: Filled) -> Guesses:
        """For every hidden token its id, and the id of the most likely token at its mask."""
        likeliest = [best[0].id for best in prediction.masks]
        return list(zip(prediction.hidden_ids, likeliest, strict=True))

    def model(self, facts: Facts, session: Session) -> FillMaskModel:
        """The opened bundle, which answers lists batch by batch."""
        return FillMaskModel(facts, self, session)

    def _hide(self, given: tuple[Any, ...]) -> Masked:
        if len(given) != 1:
            what = "a pair of texts" if len(given) == 2 else f"a tuple of {len(given)}"
            raise TextError(f"{what} was given, but this bundle takes single texts; give one text")
        check_text(given[0], "text")
        import numpy as np

        window, (_, number) = self.encoder.encode(given[0]), self.mask()
        seed = hashlib.sha256(given[0].encode()).digest()[:8]
        positions = hidden_positions(window.ids, np.random.default_rng(int.from_bytes(seed, "big"))).tolist()
        ids = [number if at in positions else found for at, found in enumerate(window.ids)]
        return Masked(ids, window.type_ids, window.truncated, masks={at: window.ids[at] for at in positions})

    def _best(self, logits: NDArray[np.float32], words_only: bool) -> list[Candidate]:
        """Most likely tokens; for a caller's mask without special ones such as [SEP], which never occur in a text."""
        import numpy as np

        special = [at for at in self.encoder.special_ids() if at < len(logits)] if words_only else []
        ranked = -logits
        ranked[special] = np.inf
        count = min(self.settings.top_k, len(logits) - len(special))
        kept = np.flatnonzero(ranked <= np.partition(ranked, count - 1)[count - 1])
        best = kept[np.argsort(ranked[kept], kind="stable")][:count]
        most = logits.max()
        scores = np.exp(logits[best] - most) / np.exp(logits - most).sum()
        ids = map(int, best)
        return [Candidate(self.encoder.token(at), float(score), at) for at, score in zip(ids, scores, strict=True)]


class FillMaskModel(Model):
    """Answers lists batch by batch, since one text's scores over a whole vocabulary take megabytes."""

    def _answers(
        self,
        texts: Sequence[Any],
        windows: Sequence[list[Encoded]],
        batch_size: int,
        advance: Advance | None = None,
    ) -> list[Any]:
        answers: list[Any] = []
        for start in range(0, len(texts), batch_size):
            part = slice(start, start + batch_size)
            answers += super()._answers(texts[part], windows[part], batch_size, advance)
        return answers

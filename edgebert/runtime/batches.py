"""Which texts run together: only those that cost no more together than one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# A run costs as much as so many tokens before its first one; MiniLM on one core: 2.5 tokens in INT8, 6 in FP32.
SPARE_TOKENS = 2
# Activations of more tokens no longer fit a core's cache: 32 texts of 128 tokens take 7% longer together than alone.
MAX_TOKENS = 1024


@dataclass(frozen=True)
class Batching:
    """What texts may share a run of a session.

    Attributes:
        spare: Tokens of padding that each text of a batch but one may add. 0: only texts of one length run together.
            None: padding costs nothing, any texts run together.
        buckets: Rising lengths that the session pads to by itself, if it does.
    """

    spare: int | None
    buckets: tuple[int, ...] = ()

    @property
    def pads(self) -> bool:
        """Whether texts of different lengths may share a run."""
        return self.spare != 0

    def plan(self, lengths: Sequence[int], size: int) -> Iterator[list[int]]:
        """Divide texts into batches, short ones first.

        Args:
            lengths: Tokens of each text.
            size: Most texts of a batch.

        Yields:
            Positions of the texts of one batch.
        """
        runs = [next((bucket for bucket in self.buckets if bucket >= length), length) for length in lengths]
        batch: list[int] = []
        tokens = 0
        for at in sorted(range(len(runs)), key=runs.__getitem__):
            if batch and (len(batch) == size or not self._joins(runs[at], len(batch), tokens)):
                yield batch
                batch, tokens = [], 0
            batch.append(at)
            tokens += runs[at]
        if batch:
            yield batch

    def _joins(self, length: int, count: int, tokens: int) -> bool:
        """Whether a text, as long as any of a batch or longer, costs no more in it than in a run of its own."""
        if self.spare is None:
            return True
        padding = count * length - tokens
        return padding <= self.spare * count and (count + 1) * length <= MAX_TOKENS


EQUAL_LENGTHS, LIKE_LENGTHS, ANY_LENGTHS = Batching(0), Batching(SPARE_TOKENS), Batching(None)

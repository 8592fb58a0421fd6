"""Which texts run together: only those that cost no more together than one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# Fixed cost of a run, in tokens; MiniLM on one core: 2.5 tokens in INT8, 6 in FP32.
SPARE_TOKENS = 2
# The activations of more tokens no longer fit a core's cache: 32 texts of 128 tokens take 7% longer together than
# alone.
MAX_TOKENS = 1024


@dataclass(frozen=True)
class Batching:
    """Which texts may share a run of a session.

    Attributes:
        spare: Padding tokens allowed for each text of a batch except one. 0: only texts of equal length run together.
            None: padding is free, so any texts run together.
        buckets: Ascending lengths that the session pads to, if it does.
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
            lengths: Number of tokens of each text.
            size: Maximum number of texts in a batch.

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
        """Whether a text, at least as long as the others in a batch, costs no more in it than in its own run."""
        if self.spare is None:
            return True
        padding = count * length - tokens
        return padding <= self.spare * count and (count + 1) * length <= MAX_TOKENS


EQUAL_LENGTHS, LIKE_LENGTHS, ANY_LENGTHS = Batching(0), Batching(SPARE_TOKENS), Batching(None)

"""The jobs that every architecture runs, and how many tokens each job generates."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Job:
    """One understanding job.

    Attributes:
        name: Name of the job.
        text_tokens: Number of input tokens, the same for every architecture.
        segments: Number of texts in the input, all of equal length. The encoder's token_type_ids separate them.
        label_tokens: Numbers of generated tokens after which the clock is read; the job ends after the last one. An
            encoder generates no tokens.
        tags: Whether the encoder computes one label per token instead of one label at [CLS].
    """

    name: str
    text_tokens: int
    segments: int
    label_tokens: tuple[int, ...]
    tags: bool = False

    @property
    def generated(self) -> int:
        """Number of tokens that a decoder generates for the whole job."""
        return self.label_tokens[-1]


CLASSIFY = Job("classify", 128, 1, (1, 2, 3))
COMPARE = Job("compare", 128, 2, (1, 2, 3))
TAG = Job("tag", 128, 1, (96,), tags=True)
JOBS = (CLASSIFY, COMPARE, TAG)


def jobs(tiny: bool) -> tuple[Job, ...]:
    """Return the three jobs. `tiny`: with 16 tokens and 6 tags, for tests."""
    if not tiny:
        return JOBS
    return tuple(replace(job, text_tokens=16, label_tokens=(6,) if job.tags else job.label_tokens) for job in JOBS)


def tokens_said(count: int) -> str:
    """Format a number of label tokens: `1 label token`, `96 label tokens`."""
    return f"{count} label token{'' if count == 1 else 's'}"

"""What every architecture is asked to do, and how much of it is generated."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Job:
    """One understanding job.

    Attributes:
        name: What it is called.
        text_tokens: Tokens that are read, the same number for every architecture.
        segments: Texts among them, of equal length: the encoder is told them apart by token_type_ids.
        label_tokens: Generated tokens after which the clock is read; the last one ends the job. An encoder has none.
        tags: Whether the encoder gives a label a token, in place of one for [CLS].
    """

    name: str
    text_tokens: int
    segments: int
    label_tokens: tuple[int, ...]
    tags: bool = False

    @property
    def generated(self) -> int:
        """Tokens that a decoder generates for the whole job."""
        return self.label_tokens[-1]


CLASSIFY = Job("classify", 128, 1, (1, 2, 3))
COMPARE = Job("compare", 128, 2, (1, 2, 3))
TAG = Job("tag", 128, 1, (96,), tags=True)
JOBS = (CLASSIFY, COMPARE, TAG)


def jobs(tiny: bool) -> tuple[Job, ...]:
    """The three jobs, or the same over 16 tokens with 6 tags for tests."""
    if not tiny:
        return JOBS
    return tuple(replace(job, text_tokens=16, label_tokens=(6,) if job.tags else job.label_tokens) for job in JOBS)


def tokens_said(count: int) -> str:
    """`1 label token`, `96 label tokens`."""
    return f"{count} label token{'' if count == 1 else 's'}"

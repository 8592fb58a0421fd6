"""The whole report: verdicts first, then runs side by side, then every run's sections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgebert.report.cases import cases_section
from edgebert.report.compare import compare_section
from edgebert.report.compute import compute_section
from edgebert.report.estimates import estimates_section
from edgebert.report.latency import distribution_section, lengths_section, ratios_section
from edgebert.report.memory import memory_section
from edgebert.report.origin import machine_section, method_section
from edgebert.report.parts import Section
from edgebert.report.run import Run
from edgebert.report.tradeoff import quality_section, stages_section
from edgebert.report.verdict import Steadiness, Verdict, steadiness, verdicts


@dataclass(frozen=True)
class Chapter:
    """One run of the report. `remark` says what is missing if there is no verdict."""

    label: str
    verdicts: tuple[Verdict, ...]
    steadiness: Steadiness
    remark: str
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Page:
    """A report before it has a format; `compared` is None for a single run."""

    chapters: tuple[Chapter, ...]
    compared: Section | None


def make_page(runs: Sequence[Run]) -> Page:
    """Make a report from results.

    Args:
        runs: One or more, in the order to show them.
    """
    return Page(tuple(map(_chapter, runs)), compare_section(runs) if len(runs) > 1 else None)


def _chapter(run: Run) -> Chapter:
    found = tuple(verdicts(run))
    remark = "" if found else "This result has no bundle, so there is nothing to compare."
    if not run.cases:
        remark = "This result has no case: its run ended before the first one was measured."
    return Chapter(run.label, found, steadiness(run), remark, tuple(_sections(run)))


def _sections(run: Run) -> list[Section]:
    measured = [
        *(cases_section, ratios_section, distribution_section, quality_section, stages_section),
        *(memory_section, lengths_section, compute_section),
    ]
    sections = [section(run) for section in measured] if run.cases else []
    sections += [estimates_section(run), machine_section(run), method_section(run)]
    return [section for section in sections if section]

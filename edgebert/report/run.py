"""One result file, and names that tell several apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from edgebert.errors import InputError
from edgebert.measure.document import CaseRow, DifferenceRow, PairRow, RatioRow, ResultDocument
from edgebert.measure.job import Environment
from edgebert.measure.read import RESULT, read_result, role_of, role_of_name
from edgebert.measure.statistics import EARLIER_METHOD
from edgebert.measure.variants import Role
from edgebert.report.titles import compared
from edgebert.runtime.quality import QualityRow


@dataclass(frozen=True)
class Run:
    """One bench run: its document, the folder of its raw samples, and a short name."""

    label: str
    document: ResultDocument
    folder: Path

    @property
    def cases(self) -> list[CaseRow]:
        """All cases, in the order of measurement."""
        return self.document["cases"]

    @property
    def environment(self) -> Environment:
        """The machine before the run."""
        return self.document["environment"]

    @property
    def machine(self) -> str:
        """The accelerator if the run used one, else the processor."""
        gpu = self.environment.get("gpu")
        if gpu and any(case["target"].startswith("cuda") for case in self.cases):
            gpus = gpu if isinstance(gpu, list) else [gpu]
            return ", ".join(str(each.get("name", "GPU") if isinstance(each, dict) else each) for each in gpus)
        return str(self.environment.get("cpu") or "machine not recorded")

    @property
    def interval_method(self) -> str:
        """Method of the intervals over rounds; older results without a name for it used the bootstrap."""
        named = (self.document.get("intervals") or {}).get("rounds")
        return named if isinstance(named, str) else EARLIER_METHOD

    @property
    def interval_remark(self) -> str:
        """The method as the end of a sentence, with the flaw of the older one."""
        narrow = ", too narrow for few rounds" if self.interval_method == EARLIER_METHOD else ""
        return f"{self.interval_method}{narrow}"

    def start_remark(self, case: CaseRow) -> str:
        """What a case's cold start leaves out, compared with `edgebert.load`; "" if nothing."""
        has_start = case.get("cold_start_ms") is not None
        # The runs of bench/peers have always opened bundles with `edgebert.load`, and other tools' models have no
        # hashes.
        unknown = case.get("hashed") is None and "ours" not in self.document["suite"]
        return "hashes not checked" if has_start and (unknown or case.get("hashed") is False) else ""

    def role(self, variant: str) -> Role:
        """What a variant of this run stands for."""
        return self._roles.get(variant) or role_of_name(variant)

    @cached_property
    def _roles(self) -> dict[str, Role]:
        """Roles of variants, by their first cases."""
        return {case["variant"]: role_of(case) for case in reversed(self.cases)}

    @property
    def ratios(self) -> list[RatioRow]:
        """All ratios, as they were checked when the result was read."""
        return self.document["ratios"]

    @cached_property
    def raw_owners(self) -> dict[tuple[int, int], CaseRow]:
        """The first case that names each file of raw samples, by the file's device and number, links followed."""
        found = ((raw_file(self.folder, case), case) for case in reversed(self.cases))
        return {file.identity: case for file, case in found if file}

    @cached_property
    def ratio_by_title(self) -> dict[tuple[str, str], RatioRow]:
        """Ratios by what they are about and the variant that they are of; of several the first."""
        titled = [(compared(ratio["what"]), ratio) for ratio in reversed(self.ratios)]
        return {(title.about, title.second): ratio for title, ratio in titled if title}

    @cached_property
    def difference_by_variants(self) -> dict[tuple[str, str], DifferenceRow]:
        """Differences of the metric by their two variants; of several the first."""
        rows = reversed(self.document.get("differences") or [])
        titled = [(compared(str(row.get("what", ""))), row) for row in rows]
        return {(title.first, title.second): row for title, row in titled if title}

    @cached_property
    def pair_by_variants(self) -> dict[frozenset[str], PairRow]:
        """McNemar's tests by their two variants, in either order; of several the first."""
        rows = reversed(self.document.get("pairs") or [])
        titled = [(compared(str(row.get("what", ""))), row) for row in rows]
        return {frozenset((title.first, title.second)): row for title, row in titled if title}

    def of_scenario(self, scenario: str) -> list[CaseRow]:
        """Cases of one scenario."""
        return [case for case in self.cases if case["scenario"] == scenario]

    def headline_cases(self) -> list[CaseRow]:
        """One case per variant: single-stream at natural lengths, or else at the longest measured length.

        For a result without that scenario, the cases of its first scenario.
        """
        return list(self._headline)

    @cached_property
    def _headline(self) -> list[CaseRow]:
        cases = self.of_scenario("single_stream") or [
            case for case in self.cases if case["scenario"] == self.cases[0]["scenario"]
        ]
        natural = [case for case in cases if case["lengths"] == "natural"]
        longest = max(cases, key=length_of)["lengths"] if cases else ""
        chosen = natural or [case for case in cases if case["lengths"] == longest]
        return list({case["variant"]: case for case in reversed(chosen)}.values())[::-1]

    def baseline(self) -> CaseRow | None:
        """The full-precision baseline's headline case."""
        return self._baseline

    @cached_property
    def _baseline(self) -> CaseRow | None:
        return next((case for case in self._headline if role_of(case) == "baseline"), None)

    def bundles(self) -> list[CaseRow]:
        """The bundles' headline cases."""
        return [case for case in self._headline if role_of(case) == "bundle"]


class RawFile(NamedTuple):
    """A file of raw samples: its path with links resolved, and its device and number there."""

    path: Path
    identity: tuple[int, int]


def raw_file(folder: Path, case: CaseRow) -> RawFile | None:
    """Find a case's raw samples; None if it names no file, or one that is missing or outside the result's folder."""
    name = case.get("raw")
    if not name:
        return None
    try:
        path = (folder / name).resolve()
        found = path.stat() if path.is_relative_to(folder.resolve()) else None
    except (OSError, ValueError, RuntimeError):  # before Python 3.13, `resolve` raises RuntimeError for a loop of links
        return None
    return None if found is None else RawFile(path, (found.st_dev, found.st_ino))


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """Read results; each is named by the shortest path suffix that tells it apart.

    Raises:
        InputError: A file cannot be used, or a run is given twice; the message names it.
    """
    files = [path / RESULT if path.is_dir() else path for path in paths]
    documents = [read_result(file) for file in files]
    for at, document in enumerate(documents):
        if (first := documents.index(document)) < at:
            raise InputError(f"{files[at]}: the same run as {files[first]}; give it once")
    named = zip(_labels(files), documents, files, strict=True)
    return [Run(label, document, file.parent) for label, document, file in named]


def lengths_of(case: CaseRow) -> str:
    """A case's input lengths in words."""
    return "natural lengths" if case["lengths"] == "natural" else f"{case['lengths']} tokens"


def batch_of(case: CaseRow) -> str:
    """Number of inputs that ran together, in words; for `offline` a maximum, since sessions split batches."""
    return f"batch {case['batch']}" if case["scenario"] != "offline" else f"batches of at most {case['batch']}"


def defined_quality(case: CaseRow | None) -> QualityRow | None:
    """A case's quality, if it has one and it is defined for its texts."""
    quality = case.get("quality") if case else None
    return None if quality and quality.get("lacks") else quality


def length_of(case: CaseRow) -> int:
    """Tokens of every input, or 0 for natural lengths."""
    return int(case["lengths"]) if str(case["lengths"]).isdigit() else 0


def _labels(files: Sequence[Path]) -> list[str]:
    whole = [file.resolve() for file in files]
    stems = [file.parent if file.name == RESULT else file.with_suffix("") for file in whole]
    for depth in range(1, 64):
        labels = ["/".join(stem.parts[-depth:]) for stem in stems]
        if len(set(labels)) == len(set(stems)):
            break
    return labels

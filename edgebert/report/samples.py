"""Raw samples beside a result."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgebert.errors import InputError
from edgebert.measure.document import CaseRow
from edgebert.report.run import Run, raw_file
from edgebert.strict_json import read_json

LONGEST_MS = 1e12
MAX_ROUNDS = 1_000  # as of a suite

Milliseconds = NDArray[np.float64]


def rounds_of(run: Run, case: CaseRow) -> list[Milliseconds]:
    """Latencies of a case, one array of milliseconds per fresh process; empty if the raw file is missing.

    Outliers are kept. A file outside the result's folder is not read, whatever the result says.

    Raises:
        InputError: Two cases name the same file.
    """
    document = _read(run, case)
    rounds = document.get("rounds") if isinstance(document, dict) else None
    found = []
    for answer in rounds if isinstance(rounds, list) and len(rounds) <= MAX_ROUNDS else []:
        latencies = answer.get("latencies_ns") if isinstance(answer, dict) else None
        if isinstance(latencies, list) and latencies and all(isinstance(value, int | float) for value in latencies):
            found.append(np.array(latencies, dtype=np.float64) / 1e6)
    # Drop values that no clock returns: the axes of a plot would overflow.
    return [taken for taken in found if ((taken > 0) & (taken <= LONGEST_MS)).all()]


def memory_of(run: Run, case: CaseRow) -> dict[str, float] | None:
    """Peak resident memory in MB at each mark of a case's start, from the result or from its raw file.

    Raises:
        InputError: Two cases name the same file.
    """
    recorded = case.get("memory")
    if recorded:
        return {name: float(recorded[f"{name}_mb"]) for name in MARKS if _is_number(recorded.get(f"{name}_mb"))}
    document = _read(run, case)
    marks = document.get("memory") if isinstance(document, dict) else None
    if not isinstance(marks, dict) or not all(_is_number(marks.get(mark)) for mark in MARKS.values()):
        return None
    return {name: marks[mark] / 1e6 for name, mark in MARKS.items()}


MARKS = {"import": "import_rss", "load": "load_rss", "first": "first_rss", "steady": "end_rss"}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _read(run: Run, case: CaseRow) -> object:
    file = raw_file(run.folder, case)
    if file is None:
        return None
    if (owner := run.raw_owners.get(file.identity, case)) is not case:
        # Otherwise one large file could be read, and plotted, for thousands of cases.
        first = f"{owner['variant']}, {owner['scenario']}"
        raise InputError(
            f"{file.path}: raw samples of two cases ({first}; {case['variant']}, {case['scenario']}); bench again"
        )
    try:
        return read_json(file.path)
    except (OSError, ValueError):
        return None

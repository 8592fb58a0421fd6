"""Read a result and check its structure, which later checks and reports rely on."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeGuard, cast, get_args

from edgebert.errors import InputError
from edgebert.escape import escaped
from edgebert.measure.document import CaseRow, ResultDocument
from edgebert.measure.variants import BASELINE, Role
from edgebert.strict_json import Json, read_json

RESULT = "result.json"
FORMAT = "edgebert-result"
FORMAT_VERSION = 1
LARGEST = 1e18
# More than any bench writes. A report of more would take minutes to hours, since it shows every variant and length and
# has a column for every key.
MAX_BYTES = 16 << 20
MAX_ROWS = 10_000
MAX_VARIANTS = 250
MAX_LENGTHS = 1_000
MAX_KEYS = 500
# Names of stage bundles from `edgebert.pipeline`, between the bundle's name and the runtime's.
STAGES = re.compile(r"(?:.*/)?(?:0-baseline|1-graph|2-distill|3-prune|4-vocabulary|5-[^@/]+)(?:@\w+)?")


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_positive(value: object) -> bool:
    return _is_number(value) and value > 0


def _is_interval(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_table, value))


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_texts(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


def _is_truth(value: object) -> bool:
    return isinstance(value, bool)


def _is_lengths(value: object) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"natural|[1-9][0-9]{0,6}", value))


def _is_unknown_labels(value: object) -> bool:
    labels = value.get("labels") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(labels, dict):
        return False
    return all(type(count) is int and count >= 0 for count in (value.get("rows"), value.get("more"), *labels.values()))


def _is_role(value: object) -> bool:
    return value in get_args(Role)


Check = tuple[Callable[[object], bool], str]
NUMBER: Check = (_is_number, "a number")
POSITIVE: Check = (_is_positive, "a number above 0")
TEXT: Check = (_is_text, "a text")
TABLE: Check = (_is_table, "an object")
TEXTS: Check = (_is_texts, "an object of texts")
LIST: Check = (_is_list, "a list")
ROWS: Check = (_is_rows, "a list of objects")
INTERVAL: Check = (_is_interval, "two numbers")
TRUTH: Check = (_is_truth, "true or false")
UNKNOWN_LABELS: Check = (_is_unknown_labels, "an object of rows, labels with their counts, and more")
LENGTHS: Check = (_is_lengths, "natural or a number of tokens")
ROLE: Check = (_is_role, "baseline, stage or bundle")

RESULT_KEYS = {"command": TEXT, "suite": TABLE, "environment": TABLE, "cases": ROWS, "ratios": ROWS}
RESULT_MAY = {
    **{"data": TABLE, "environment_after": TABLE, "verdict": TABLE, "null_model": TABLE, "intervals": TABLE},
    **dict.fromkeys(("waterfall", "estimates", "pairs", "differences", "gates"), ROWS),
}
CASE_KEYS = {
    **dict.fromkeys(("bundle", "bundle_hash", "variant", "target", "runtime", "scenario"), TEXT),
    "lengths": LENGTHS,
    **dict.fromkeys(("batch", "threads"), NUMBER),
}
CASE_MAY = {
    **dict.fromkeys(("p50_ms", "p90_ms", "p99_ms", "mean_ms", "throughput", "drift", "spread"), POSITIVE),
    **dict.fromkeys(("cold_start_ms", "import_ms", "load_ms", "first_ms", "peak_rss_mb", "size_mb"), NUMBER),
    **dict.fromkeys(("samples", "others"), NUMBER),
    **dict.fromkeys(("p50_ci", "p90_ci", "p99_ci", "throughput_ci", "cold_start_ci"), INTERVAL),
    **dict.fromkeys(("quality", "memory", "power", "server", "roofline", "outliers", "agreement", "resident"), TABLE),
    **{"together": TABLE, "hashed": TRUTH, "hash_ms": NUMBER},
    **{"operators": ROWS, "raw": TEXT, "role": ROLE, "instead_of": TEXT, "precision": TEXT},
}
ENVIRONMENT_MAY = {"flags": LIST, "versions": TEXTS, "gemm": TABLE}
GEMM_MAY = {"peaks": ROWS, "provider": TEXT, "threads": NUMBER, "copy_gb_s": NUMBER}
PEAK_KEYS = {"precision": TEXT, "rows": NUMBER, "gmacs": NUMBER}
VERDICT_MAY = {"reasons": LIST}
RATIO_KEYS = {"what": TEXT, "value": POSITIVE}
# Null for fewer than three rounds.
RATIO_MAY = {"ci_low": POSITIVE, "ci_high": POSITIVE, "rounds": NUMBER}
QUALITY_KEYS = {"metric": TEXT, "value": NUMBER}
QUALITY_MAY = {
    **{"n": NUMBER, "ci_low": NUMBER, "ci_high": NUMBER, "lacks": TEXT, "counts": TEXT, "cut": NUMBER},
    "unknown_labels": UNKNOWN_LABELS,
}


def read_result(path: Path) -> ResultDocument:
    """Read a result, and check the type of every key in the contract; other keys are kept.

    Args:
        path: `result.json`, or the folder that holds it.

    Raises:
        InputError: No such file, not JSON, not a result, damaged, or of another format version.
    """
    path = path / RESULT if path.is_dir() else path
    document = _json(path)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"{path}: not a result of `edgebert bench`; give the {RESULT} that it wrote")
    version = document.get("format_version")
    if version != FORMAT_VERSION:
        raise InputError(
            f"{path}: result of format version {version}, this EdgeBERT reads version {FORMAT_VERSION}; "
            "use the EdgeBERT that wrote it, or bench again"
        )
    try:
        return check_result(document)
    except ValueError as error:
        raise InputError(f"{path}: damaged, {error}; copy it again or bench again") from None


def check_result(document: Json) -> ResultDocument:
    """Check every key in the contract, and return the document as a result.

    Raises:
        ValueError: Names the first key that is missing, has the wrong type, or is larger than any real measurement.
    """
    check_sizes("", document)
    table = _table(document)
    _check("", table, RESULT_KEYS, RESULT_MAY)
    _check_counts(table)
    _check_environment(_table(table["environment"]))
    _check("verdict.", _table(table.get("verdict")), {}, VERDICT_MAY)
    for at, ratio in enumerate(_rows(table["ratios"])):
        _check(f"ratios[{at}].", ratio, RATIO_KEYS, RATIO_MAY)
    for at, case in enumerate(_rows(table["cases"])):
        check_case(f"cases[{at}].", case)
    return cast("ResultDocument", document)  # as the checks found it


def _check_counts(table: Mapping[str, object]) -> None:
    """Refuse more rows, variants, lengths and keys than any bench has.

    Raises:
        ValueError: Says how many there are.
    """
    for key in ("cases", "ratios", *RESULT_MAY):
        _check_count(f"'{key}'", "rows", len(_rows(table.get(key))), MAX_ROWS)
    cases, stages, estimates = (_rows(table.get(key)) for key in ("cases", "waterfall", "estimates"))
    for rows in (cases, stages):
        _check_count("the result", "variants", len({str(row.get("variant")) for row in rows}), MAX_VARIANTS)
    _check_count("the result", "lengths", len({str(case.get("lengths")) for case in cases}), MAX_LENGTHS)
    _check_count("the table of cases", "keys", len({key for case in cases for key in _keys(case)}), MAX_KEYS)
    _check_count("the table of estimates", "keys", len({key for row in estimates for key in row}), MAX_KEYS)


def _keys(case: Mapping[str, object]) -> Iterator[str]:
    """Keys of a case, and of the tables in it."""
    for key, value in case.items():
        yield key
        if isinstance(value, dict):
            yield from (f"{key}.{inner}" for inner in value)


def _check_count(what: str, of: str, count: int, most: int) -> None:
    if count > most:
        raise ValueError(f"{what} has {count:,} {of}; at most {most:,} are read")


def check_case(prefix: str, case: Mapping[str, object]) -> None:
    """Check one case of a result, except for the sizes of its numbers (`check_sizes`).

    Raises:
        ValueError: As `check_result`.
    """
    _check(prefix, case, CASE_KEYS, CASE_MAY)
    if case.get("quality") is not None:
        _check(f"{prefix}quality.", _table(case["quality"]), QUALITY_KEYS, QUALITY_MAY)


def role_of(case: CaseRow) -> Role:
    """Role of a case's variant: from the case, or for older results from its name."""
    return case.get("role") or role_of_name(case["variant"])


def role_of_name(variant: str) -> Role:
    """Role of a bench's variant, from its name."""
    if variant == BASELINE:
        return "baseline"
    return "stage" if STAGES.fullmatch(variant) else "bundle"


def _json(path: Path) -> Json:
    try:
        return read_json(path, MAX_BYTES)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the {RESULT} that `edgebert bench` wrote") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); give the {RESULT} that `edgebert bench` wrote") from None
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error}); copy it again or bench again") from None


def check_sizes(key: str, value: object) -> None:
    """Refuse a number that is not finite, or larger than any real measurement.

    Plots and ratios of such numbers overflow.

    Raises:
        ValueError: Names its key.
    """
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        check_sizes(f"{key}.{name}".lstrip("."), each)
    if _is_number(value) and not abs(value) <= LARGEST:
        fault = "larger than any real measurement" if math.isfinite(value) else "not finite"
        raise ValueError(f"'{escaped(key)}' is {value:.3g}, {fault}")


def _check_environment(environment: Mapping[str, object]) -> None:
    _check("environment.", environment, {}, ENVIRONMENT_MAY)
    gemm = _table(environment.get("gemm"))
    _check("environment.gemm.", gemm, {}, GEMM_MAY)
    for at, peak in enumerate(_rows(gemm.get("peaks"))):
        _check(f"environment.gemm.peaks[{at}].", peak, PEAK_KEYS, {})


def _table(value: object) -> Mapping[str, object]:
    """Return a value that was checked to be an object or null."""
    return value if isinstance(value, dict) else {}


def _rows(value: object) -> list[Mapping[str, object]]:
    """Return a value that was checked to be a list of objects or null."""
    return value if isinstance(value, list) else []


def _check(prefix: str, table: Mapping[str, object], needed: dict[str, Check], optional: dict[str, Check]) -> None:
    for key in needed:
        if key not in table:
            raise ValueError(f"no '{prefix}{key}'")
    for key, (holds, kind) in {**needed, **optional}.items():
        value = table.get(key)
        if not holds(value) and (value is not None or key in needed):
            raise ValueError(f"'{prefix}{key}' is {str(value)[:40]!r}, expected {kind}")

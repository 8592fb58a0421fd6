"""Check the document of a measured process before anything reads it: it may come from another machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

from edgebert.errors import RunError
from edgebert.measure.read import ROWS, TEXT, TEXTS, TRUTH, Check

LARGEST = 1 << 63


def is_count(value: Any) -> TypeGuard[int]:  # noqa: ANN401
    """Whether a value is a whole number of 64 bits."""
    return type(value) is int and -LARGEST < value < LARGEST


def _is_number(value: Any) -> bool:  # noqa: ANN401
    """Whether a value is a number that float64 holds; NaN and infinity are, which a broken model may answer."""
    return type(value) is float or is_count(value)


def _is_rate(value: Any) -> bool:  # noqa: ANN401
    return _is_number(value) and 0 <= value < LARGEST


def _is_positive(value: Any) -> bool:  # noqa: ANN401
    return _is_rate(value) and value > 0


def _list_of(holds: Callable[[Any], bool], least: int = 0) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and len(value) >= least and all(map(holds, value))


def _table_of(**fields: Check) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and not _wrong(value, fields)


def _or_null(check: Check) -> Check:
    holds, kind = check
    return (lambda value: value is None or holds(value)), f"{kind} or null"


def _is_matrix(value: Any) -> bool:  # noqa: ANN401
    return _list_of(_list_of(_is_number, 1), 1)(value) and len(set(map(len, value))) == 1


COUNT: Check = (is_count, "a whole number")
NUMBER: Check = (_is_number, "a number")
RATE: Check = (_is_rate, "a number of at least 0")
POSITIVE: Check = (_is_positive, "a number above 0")
COUNTS: Check = (_list_of(is_count), "a list of whole numbers")
DURATIONS: Check = (_list_of(_is_positive, 1), "a list of numbers above 0")
WORDS: Check = (_list_of(TEXT[0]), "a list of texts")
QUALITY: Check = (_table_of(metric=TEXT, value=NUMBER), "an object with metric and value")
PEAK = _table_of(precision=TEXT, rows=COUNT, gmacs=RATE)
PEAKS: Check = (_list_of(PEAK), "a list of peaks")
PROBE: Check = (_table_of(peaks=PEAKS, threads=COUNT, copy_gb_s=POSITIVE), "an object with peaks")
OPERATOR = _table_of(op=TEXT, count=NUMBER, us=NUMBER, share=NUMBER)
OPERATORS: Check = (_list_of(OPERATOR), "a list of operators")
SETTINGS: Check = (_table_of(bound_ms=RATE, percent=RATE, tolerance=RATE), "an object with bound_ms")
POWER: Check = (_table_of(joules_per_inference=RATE, source=TEXT), "an object with joules_per_inference")
PROCESSOR: Check = (_table_of(wall_ns=COUNT, own_ns=COUNT, busy_ns=COUNT), "an object with wall_ns")
SPAN: Check = (lambda value: COUNTS[0](value) and len(value) == 2, "two whole numbers")

# What `edgebert.measure.child` writes and a bench reads, of every scenario and of each.
EVERY = {
    **dict.fromkeys(("start_ns", "import_ns", "load_ns", "first_ns", "hash_ns"), COUNT),
    **dict.fromkeys(("import_rss", "load_rss", "first_rss", "end_rss"), _or_null(COUNT)),
    **{"processor": _or_null(PROCESSOR), "hashed": TRUTH},
}
OWN: dict[str, dict[str, Check]] = {
    "single_stream": {"latencies_ns": DURATIONS, "null_ns": COUNTS, "power": _or_null(POWER)},
    "offline": {"texts": POSITIVE, "total_ns": POSITIVE},
    "cold_start": {},
    "memory": {},
    "soak": {"latencies_ns": DURATIONS, "resident_bytes": _or_null(SPAN)},
    "server": {
        **{"latencies_ns": DURATIONS, "settings": SETTINGS},
        **dict.fromkeys(("target_qps", "achieved_qps", "capacity_qps"), RATE),
    },
    "quality": {"quality": QUALITY, "table": (_is_matrix, "rows of as many numbers each")},
    "answers": {
        "answers": (_list_of(lambda _: True, 1), "a list of answers"),
        "outputs": (_list_of(_list_of(_is_number)), "lists of numbers"),
        **{"not_finite": COUNTS, "quality": _or_null(QUALITY)},
    },
    "operators": {"operators": OPERATORS, "nodes": ROWS},
    "probe": {"windows": COUNTS, "probe": PROBE},
}
ENVIRONMENT = {"versions": TEXTS}
MAY = {
    **{"first_ns": COUNT, "null_ns": COUNTS, "gemm": _or_null(PROBE), "int8": _or_null(TEXT), "flags": WORDS},
    **{"throttled": _or_null(WORDS), "throttle_events": _or_null(COUNT)},
}


def check_received(subject: str, scenario: str, document: Any) -> dict[str, Any]:  # noqa: ANN401
    """Give the document of a measured process back if it holds what its scenario's readers need.

    Args:
        subject: What was run and where, for the message.
        scenario: Its job's; of one that no bench has (a script's own), only that it is an object is checked.
        document: What came.

    Raises:
        RunError: It is no object, lacks a field, or has a value of another kind.
    """
    own = {**EVERY, **OWN[scenario]} if scenario in OWN else {}
    needed = ENVIRONMENT if scenario == "environment" else own
    fault = f"with {document!r:.40}, expected an object"
    if isinstance(document, dict):
        fault = _wrong(document, {**{key: check for key, check in MAY.items() if key in document}, **needed})
    if fault:
        raise damaged(subject, fault)
    found: dict[str, Any] = document
    return found


def damaged(subject: str, fault: str) -> RunError:
    """Error of an answer that cannot be used."""
    return RunError(
        f"{subject} answered {fault}; EdgeBERT there was altered or is another version, run the same command again"
    )


def _wrong(document: dict[str, Any], fields: Mapping[str, Check]) -> str:
    """What is wrong with the first field that is missing or of another kind; "" if nothing is."""
    for key, (holds, kind) in fields.items():
        if key not in document:
            return f"without '{key}'"
        if not holds(document[key]):
            return f"with '{key}' {document[key]!r:.40}, expected {kind}"
    return ""

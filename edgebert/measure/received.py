"""Check a measured process's document before it is used: it may come from another machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeGuard, cast

from edgebert.errors import RunError, TargetError
from edgebert.measure.job import Answer, Environment
from edgebert.measure.read import LARGEST, ROWS, TEXT, TEXTS, TRUTH, UNKNOWN_LABELS, Check, check_sizes

# Smaller than any real rate or energy, but large enough that quotients do not overflow.
SMALLEST = 1e-9
LONGEST_TEXT = 1 << 24


def is_count(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number in the range of real measurements."""
    return type(value) is int and -LARGEST <= value <= LARGEST


def _is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a float64 number; NaN and infinity count, since a broken model may return them."""
    return type(value) is float or is_count(value)


def _is_rate(value: object) -> TypeGuard[int | float]:
    return _is_number(value) and (value == 0 or SMALLEST <= value <= LARGEST)


def _is_positive(value: object) -> bool:
    return _is_rate(value) and value > 0


def _is_time(value: object) -> bool:
    return _is_number(value) and 1 <= value <= LARGEST


def _is_size(value: object) -> TypeGuard[int]:
    return is_count(value) and value >= 0


def _is_some(value: object) -> TypeGuard[int]:
    return is_count(value) and value >= 1


def _is_length(value: object) -> bool:
    return _is_some(value) and value <= LONGEST_TEXT


def _list_of(holds: Callable[[object], bool], least: int = 0) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and len(value) >= least and all(map(holds, value))


def _table_of(may: Mapping[str, Check] | None = None, /, **fields: Check) -> Callable[[object], bool]:
    return lambda value: isinstance(value, dict) and not _wrong(value, _asked(may or {}, fields, value))


def _asked(may: Mapping[str, Check], needed: Mapping[str, Check], value: Mapping[str, object]) -> dict[str, Check]:
    return {**{key: check for key, check in may.items() if key in value}, **needed}


def _or_null(check: Check) -> Check:
    holds, kind = check
    return (lambda value: value is None or holds(value)), f"{kind} or null"


def _is_matrix(value: object) -> bool:
    return isinstance(value, list) and _list_of(_list_of(_is_number, 1), 1)(value) and len(set(map(len, value))) == 1


COUNT: Check = (_is_size, "a whole number of at least 0")
SOME: Check = (_is_some, "a whole number of at least 1")
NUMBER: Check = (_is_number, "a number")
RATE: Check = (_is_rate, "a number of at least 0")
POSITIVE: Check = (_is_positive, "a number above 0")
COUNTS: Check = (_list_of(_is_size), "a list of whole numbers of at least 0")
LENGTHS: Check = (_list_of(_is_length), "a list of numbers of tokens")
DURATIONS: Check = (_list_of(_is_time, 1), "a list of nanoseconds")
WORDS: Check = (_list_of(TEXT[0]), "a list of texts")
BOUND: Check = _or_null(NUMBER)
QUALITY_MAY = {"lacks": TEXT, "counts": TEXT, "cut": COUNT, "unknown_labels": UNKNOWN_LABELS}
IS_QUALITY = _table_of(QUALITY_MAY, metric=TEXT, value=NUMBER, n=SOME, ci_low=BOUND, ci_high=BOUND)
QUALITY: Check = (
    lambda value: (
        isinstance(value, dict) and IS_QUALITY(value) and (value["ci_low"] is None) == (value["ci_high"] is None)
    ),
    "an object with metric, value, n and an interval",
)
PEAK = _table_of(precision=TEXT, rows=SOME, gmacs=RATE)
PEAKS: Check = (_list_of(PEAK), "a list of peaks")
PROBE: Check = (_table_of({"provider": TEXT}, peaks=PEAKS, threads=COUNT, copy_gb_s=POSITIVE), "an object with peaks")
OPERATOR = _table_of(op=TEXT, count=NUMBER, us=NUMBER, share=NUMBER)
OPERATORS: Check = (_list_of(OPERATOR), "a list of operators")
SETTINGS: Check = (_table_of(bound_ms=RATE, percent=RATE, tolerance=RATE), "an object with bound_ms")
POWER: Check = (_table_of(joules_per_inference=RATE, source=TEXT), "an object with joules_per_inference")
TOGETHER: Check = (_table_of(largest=SOME, mean=POSITIVE), "an object with largest and mean")
PROCESSOR: Check = (_table_of(wall_ns=COUNT, own_ns=COUNT, busy_ns=COUNT), "an object with wall_ns")
SPAN: Check = (
    lambda value: isinstance(value, list) and _list_of(is_count, 2)(value) and len(value) == 2,
    "two whole numbers",
)

# Values that `edgebert.measure.child` writes and a bench reads, common to all scenarios and for each one.
EVERY = {
    **dict.fromkeys(("start_ns", "import_ns", "load_ns", "first_ns", "hash_ns"), COUNT),
    **dict.fromkeys(("import_rss", "load_rss", "first_rss", "end_rss"), _or_null(COUNT)),
    **{"processor": _or_null(PROCESSOR), "hashed": TRUTH},
}
OWN: dict[str, dict[str, Check]] = {
    "single_stream": {"latencies_ns": DURATIONS, "null_ns": COUNTS, "power": _or_null(POWER)},
    "offline": {"texts": SOME, "total_ns": SOME},
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
    "probe": {"windows": LENGTHS, "probe": PROBE},
}
# Values of jobs that do not open a bundle to measure it.
UNTIMED: dict[str, dict[str, Check]] = {"environment": {"versions": TEXTS}, "usable": {"unusable": TEXT}}
MAY = {
    **{"first_ns": COUNT, "null_ns": COUNTS, "gemm": _or_null(PROBE), "int8": _or_null(TEXT), "flags": WORDS},
    **{"throttled": _or_null(WORDS), "throttle_events": _or_null(COUNT), "device_memory_mb": _or_null(RATE)},
    "together": TOGETHER,
}
# Outputs of a broken model may be NaN or infinite: they are compared and never written.
UNBOUNDED = ("answers", "outputs")


def check_received(subject: str, scenario: str, document: object, target: str = "") -> Answer:
    """Check that a measured process's document has what its scenario needs, and return it.

    Args:
        subject: Name of the run, for the message.
        scenario: The job's scenario. For unknown ones (of a script) the document only has to be an object.
        document: The received document.
        target: The machine that sent it; "" for this one.

    Raises:
        RunError: It is not an object, lacks a field, or has a value of the wrong type or range.
        TargetError: The same, if it came from a target.
    """
    own = {**EVERY, **OWN[scenario]} if scenario in OWN else {}
    needed = UNTIMED.get(scenario, own)
    if not isinstance(document, dict):
        raise damaged(subject, f"with {document!r:.40}, expected an object", target)
    if fault := _wrong(document, _asked(MAY, needed, document)) or _oversized(scenario, document):
        raise damaged(subject, fault, target)
    return cast("Answer", document)  # as it was found


def environment_of(answer: Answer) -> Environment:
    """The environment in a job's document, which was checked on arrival."""
    return cast("Environment", answer)


def damaged(subject: str, fault: str, target: str = "") -> RunError | TargetError:
    """Make the error for an unusable answer, from a target or from a process here."""
    kind, where = (TargetError, f"{target}: ") if target else (RunError, "")
    return kind(
        f"{where}{subject} answered {fault}; EdgeBERT there was altered or is another version, "
        "run the same command again"
    )


def _oversized(scenario: str, document: Mapping[str, object]) -> str:
    left_out = UNBOUNDED if scenario == "answers" else ()
    try:
        check_sizes("", {key: value for key, value in document.items() if key not in left_out})
    except ValueError as error:
        return f"an impossible figure: {error}"
    return ""


def _wrong(document: Mapping[str, object], fields: Mapping[str, Check]) -> str:
    """Describe the first field that is missing or has the wrong type; "" if none."""
    for key, (holds, kind) in fields.items():
        if key not in document:
            return f"without '{key}'"
        if not holds(document[key]):
            return f"with '{key}' {document[key]!r:.40}, expected {kind}"
    return ""

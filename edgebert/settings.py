"""Strict reading of TOML tables into frozen dataclasses (recipes, profiles, suites). Standard library only."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from edgebert.errors import SettingsError
from edgebert.escape import escaped, shown_value
from edgebert.strict_json import MARK, MARKED, Json, open_regular

Settings = TypeVar("Settings")
Default = TypeVar("Default")
# A value of a table, as given from Python; EdgeBERT's tables have no dates.
Setting = str | bool | int | float | Sequence["Setting"]

MAX_SHOWN = 120
MAX_BYTES = 1 << 20
# Python's parser takes minutes for keys of many thousand parts.
MAX_DOTS = 64
PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*"""
DEEP_KEY = rf"(?:\.[ \t]*{PART}){{{MAX_DOTS},}}"


def within(default: Default, low: float | None = None, high: float | None = None) -> Default:
    """Declare a numeric field with a default and the closed range that it must lie in."""
    return dataclasses.field(default=default, metadata={"low": low, "high": high})


def required_within(low: float | None = None, high: float | None = None) -> Any:  # noqa: ANN401
    """Declare a required numeric field, and the closed range that it must lie in."""
    return dataclasses.field(metadata={"low": low, "high": high})


def read_toml(path: Path) -> dict[str, Json]:
    """Parse a TOML file.

    Raises:
        SettingsError: The file is missing, unreadable or not TOML.
    """
    try:
        with open_regular(path) as opened:
            data = opened.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise SettingsError(f"{path}: larger than {MAX_BYTES >> 20} MB; is it the right file?")
        return parse_toml(data.decode("utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file; give the path of a TOML file") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: cannot be read ({error}); save it as UTF-8") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error}); give the path of a TOML file") from None
    except ValueError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None


def parse_toml(text: str) -> dict[str, Json]:
    """Parse a TOML document.

    Raises:
        ValueError: Not TOML, keys or brackets nested too deeply, a number of more than 4,300 digits, or a U+0000
            character, which no path may hold.
    """
    import tomllib

    if text.startswith(MARK):
        raise ValueError(MARKED)
    if re.search(DEEP_KEY, text):
        raise ValueError(f"a key of more than {MAX_DOTS} parts")
    try:
        table = tomllib.loads(text)
        nul = any("\0" in text for text in _texts(table))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # Python converts no more digits to a whole number
        raise ValueError(f"a whole number of more than {sys.get_int_max_str_digits():,} digits") from None
    if nul:
        raise ValueError("a text holds the character U+0000")
    return table


def _texts(value: object) -> Iterator[str]:
    """Yield every key and string of a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value:
            yield from _texts(item)
            yield from _texts(value[item]) if isinstance(value, dict) else ()


def fill(
    cls: type[Settings], table: Mapping[str, object], source: str, prefix: str = "", strict: bool = True
) -> Settings:
    """Make a frozen dataclass from a TOML table.

    Args:
        cls: The dataclass; fields are scalars, tuples, dicts of strings, `Literal`s or further dataclasses.
        table: The parsed TOML table.
        source: The file's name, for messages.
        prefix: The dotted key of this table inside the file.
        strict: Whether to refuse keys that the dataclass does not have, or ignore them.

    Raises:
        SettingsError: An unknown key, a missing key, a wrong type or a value out of range.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = _hints(cls)  # type: ignore[arg-type]
    for key in table if strict else ():
        if key not in fields:
            allowed = ", ".join(sorted(fields))
            raise SettingsError(f"{source}: unknown key {_key(prefix + key)}; allowed here: {allowed}")
    values = {}
    for name, field in fields.items():
        if name in table:
            key = f"{prefix}{name}"
            values[name] = _value(hints[name], table[name], source, key, strict)
            _check_range(field, values[name], source, key)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise SettingsError(f"{source}: key {_key(prefix + name)} is missing; it has no default")
    try:
        return cls(**values)
    except ValueError as error:
        raise SettingsError(f"{source}: {escaped(prefix.rstrip('.')) or 'file'}: {error}") from None


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _value(hint: object, value: object, source: str, key: str, strict: bool) -> object:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:  # JSON's null; TOML has none
            return None
        if any(typing.get_origin(arg) is Literal and value in typing.get_args(arg) for arg in args):
            return value
        return _value(next(arg for arg in args if arg is not type(None)), value, source, key, strict)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return fill(hint, _table(value, source, key), source, f"{key}.", strict)
    if origin is Literal:
        _expect(value in args, source, key, value, "one of " + ", ".join(repr(arg) for arg in args))
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(source, key, value, f"a list of {_named(args[0])}")
        return tuple(_value(args[0], item, source, f"{key}[{i}]", strict) for i, item in enumerate(value))
    if origin in (dict, Mapping):
        table = _table(value, source, key)
        return {name: _value(args[1], item, source, f"{key}.{name}", strict) for name, item in table.items()}
    return _scalar(hint, value, source, key)


def _table(value: object, source: str, key: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _wrong(source, key, value, "a table")
    return value


def _named(hint: type) -> str:
    if typing.get_origin(hint) is Literal:
        return ", ".join(repr(arg) for arg in typing.get_args(hint))
    return str(hint.__name__)


def _scalar(hint: object, value: object, source: str, key: str) -> object:
    if hint in (Any, object):
        return value
    if not isinstance(hint, type):
        raise TypeError(f"{hint!r} is no type that `fill` reads")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        _expect(abs(value) < 1 << 1023, source, key, value, "a number that a double holds")
        return float(value)
    right = isinstance(value, hint) and not (hint is not bool and isinstance(value, bool))
    _expect(right, source, key, value, f"a {hint.__name__}")
    return value


def _expect(holds: bool, source: str, key: str, value: object, expected: str) -> None:
    if not holds:
        raise _wrong(source, key, value, expected)


def _wrong(source: str, key: str, value: object, expected: str) -> SettingsError:
    return SettingsError(f"{source}: {_key(key)} is {_shown(value)}; expected {expected}")


def _check_range(field: dataclasses.Field[Any], value: object, source: str, key: str) -> None:
    low, high = field.metadata.get("low"), field.metadata.get("high")
    for item in value if isinstance(value, tuple) else () if value is None else (value,):
        endless = isinstance(item, float) and not math.isfinite(item)
        if endless or (low is not None and item < low) or (high is not None and item > high):
            raise SettingsError(f"{source}: {_key(key)} is {_shown(value)}; expected a value {_bounds(low, high)}")


def _key(key: str) -> str:
    return f"'{escaped(key)}'"


def _shown(value: object) -> str:
    """Show a value in a message, cut if it is long."""
    if isinstance(value, int) and abs(value) >= 1 << 64:
        return "a number of more than 19 digits"
    text = shown_value(value, MAX_SHOWN + 1)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _bounds(low: float | None, high: float | None) -> str:
    if high is not None:
        return f"between {low} and {high}"
    return "that is finite" if low is None else f"at least {low}"

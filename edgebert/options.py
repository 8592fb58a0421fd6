"""Check options of the Python API: an error names the option whose value has the wrong type."""

from __future__ import annotations

from collections.abc import Sequence

from edgebert.errors import SettingsError
from edgebert.escape import shown_value


def flag(value: object, what: str) -> bool:
    """Return a boolean option.

    Raises:
        TypeError: It is not a boolean; the string "no" would count as true.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{what} is {_shown(value)}; give True or False")
    return value


def name(value: object, what: str) -> str:
    """Return a string option.

    Raises:
        TypeError: It is not a string.
    """
    if not isinstance(value, str):
        raise TypeError(f"{what} is {_shown(value)}; give a str")
    return value


def names(value: object, what: str) -> tuple[str, ...]:
    """Return an option that lists names, in order.

    Raises:
        TypeError: It is not a list of strings; one string would be read as a list of its characters.
    """
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise TypeError(f"{what} is {_shown(value)}; give a list of str")
    return tuple(name(each, f"{what}[{at}]") for at, each in enumerate(value))


def check_choice(value: object, what: str, allowed: Sequence[str]) -> None:
    """Refuse a value that is not allowed.

    Raises:
        SettingsError: Names the allowed values.
    """
    if not isinstance(value, str) or value not in allowed:
        raise SettingsError(f"{what} is {_shown(value)}; give {' or '.join(allowed)}")


def _shown(value: object) -> str:
    return f"{type(value).__name__} {shown_value(value)}"

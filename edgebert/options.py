"""Options of the Python API: a value of a wrong type is refused by the option's name. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence

from edgebert.errors import SettingsError


def flag(value: object, what: str) -> bool:
    """A boolean.

    Raises:
        TypeError: It is something else; the text "no" would count as yes.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{what} is {_shown(value)}; give True or False")
    return value


def name(value: object, what: str) -> str:
    """A name.

    Raises:
        TypeError: It is no string.
    """
    if not isinstance(value, str):
        raise TypeError(f"{what} is {_shown(value)}; give a str")
    return value


def names(value: object, what: str) -> tuple[str, ...]:
    """Several names, in their order.

    Raises:
        TypeError: It is no list of strings; one string would be a list of its characters.
    """
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise TypeError(f"{what} is {_shown(value)}; give a list of str")
    return tuple(name(each, f"{what}[{at}]") for at, each in enumerate(value))


def check_choice(value: object, what: str, allowed: Sequence[str]) -> None:
    """Refuse a value that is none of the allowed ones.

    Raises:
        SettingsError: Names them.
    """
    if not isinstance(value, str) or value not in allowed:
        raise SettingsError(f"{what} is {_shown(value)}; give {' or '.join(allowed)}")


def _shown(value: object) -> str:
    return f"{type(value).__name__} {value!r:.40}"

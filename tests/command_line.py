"""Helpers for tests of the command line."""

from collections.abc import Callable

Run = Callable[..., tuple[int, str, str]]


def refused(answer: tuple[int, str, str]) -> str:
    code, out, err = answer
    assert (code, out) == (2, "")
    assert err.startswith("edgebert: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    return err.removeprefix("edgebert: ").rstrip("\n")

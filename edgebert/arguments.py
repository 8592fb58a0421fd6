"""Parse the command line, and report wrong arguments in one line. Standard library only."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import NoReturn

from edgebert.errors import InputError
from edgebert.escape import name_fault, shortened

# Options whose value is free text and may be empty; all other values name something.
TEXTS = ("--text-pair", "--context")


class Parser(argparse.ArgumentParser):
    """An argument parser that raises a one-line error on wrong use."""

    def error(self, message: str) -> NoReturn:
        """Raise `InputError` with the message and the `--help` command to run."""
        raise InputError(f"{shortened(message, 2000)}; see {self.prog} --help")


def unusable(words: Sequence[str]) -> str:
    """Describe the first argument with characters that no file or result can hold; "" if all are fine."""
    for before, word in zip(["", *words], words, strict=False):
        if fault := name_fault(word):
            option = f"{before} " if before.startswith("--") and "=" not in before else ""
            return f"argument {option}{shortened(repr(word))} {fault}"
    for option, value in _options(words):
        if value == "--":
            return f"argument {shortened(option)}=--: the value is --, which ends the options; give another value"
        if not value.strip() and not any(text.startswith(option) for text in TEXTS):
            return f"argument {shortened(option)} is empty; give a value or leave it out"
    return ""


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Return options and values as far as they can be parsed without knowing the command; stop at a lone `--`."""
    before = ""
    for word in words:
        if word == "--":
            return
        option, equals, value = word.partition("=")
        if word.startswith("--") and equals:
            yield option, value
        elif before.startswith("--") and "=" not in before and not word.strip():
            yield before, word
        before = word


def blank(arguments: argparse.Namespace) -> str:
    """Return the first empty file or folder argument, which would mean the current folder; "" if there is none."""
    for name in ("bundle", "estimate_or_bundle", "recipe", "result", "name"):
        value = getattr(arguments, name, None)
        words = value if isinstance(value, list) else [] if value is None else [value]
        if not all(word.strip() for word in words):
            return f"argument {name.split('_')[-1].upper()} is empty; give a name"
    return ""

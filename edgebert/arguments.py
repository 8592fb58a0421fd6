"""The command line's arguments: what no command can use, in a line. Standard library only."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import NoReturn

from edgebert.errors import InputError
from edgebert.escape import name_fault, shortened

# Options whose value is a text, which may be empty; every other value names something.
TEXTS = ("--text-pair", "--context")


class Parser(argparse.ArgumentParser):
    """An argument parser that raises wrong use as an error of one line."""

    def error(self, message: str) -> NoReturn:
        """Raise `InputError` with the message and the command whose help shows what is right."""
        raise InputError(f"{shortened(message, 2000)}; see {self.prog} --help")


def unusable(words: Sequence[str]) -> str:
    """What is wrong with the first argument that no file, message or result could hold; "" if nothing is."""
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
    """Options and their values, as far as they can be known without the command's own; none behind a lone `--`."""
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
    """Name the first folder or file that is called nothing, which would be read as the current one; "" if none is."""
    for name in ("bundle", "estimate_or_bundle", "recipe", "result", "name"):
        value = getattr(arguments, name, None)
        words = value if isinstance(value, list) else [] if value is None else [value]
        if not all(word.strip() for word in words):
            return f"argument {name.split('_')[-1].upper()} is empty; give a name"
    return ""

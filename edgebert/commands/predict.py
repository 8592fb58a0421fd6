"""`edgebert predict`: texts in, predictions out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import edgebert
from edgebert.commands.output import note, write, write_json
from edgebert.errors import DataError, InputError
from edgebert.examples import Columns, Example, read_examples
from edgebert.runtime.model import Text
from edgebert.runtime.tasks import device_half


def run(arguments: argparse.Namespace) -> int:
    """Answer the texts given, a file's, or stdin's, one answer a line."""
    if arguments.text and arguments.input:
        raise InputError("both TEXT and --input are given; give one of them")
    if arguments.text_pair is not None and arguments.context is not None:
        raise InputError("both --text-pair and --context are given; they are two names of the second text, give one")
    second = arguments.text_pair if arguments.context is None else arguments.context
    if second is not None and not arguments.text:
        raise InputError(
            "a second text goes with TEXT, and none was given; pairs of a file stand in its own columns: --input FILE"
        )
    model = edgebert.load(arguments.bundle, runtime=arguments.runtime, threads=arguments.threads)
    texts = list(_texts(arguments, second, model.manifest))
    answers = model(texts)
    if arguments.json:
        write_json([{"text": text, **asdict(answer)} for text, answer in zip(texts, answers, strict=True)])
        return 0
    for text, answer in zip(texts, answers, strict=True):
        shown = " ".join((text if isinstance(text, str) else " | ".join(text)).split())
        cut = "\t(cut short)" if getattr(answer, "truncated", False) else ""
        write(f"{answer}\t{shown if len(shown) <= 200 else shown[:200] + '…'}{cut}")
    return 0


def _texts(arguments: argparse.Namespace, second: str | None, manifest: dict[str, Any]) -> Iterator[Text]:
    if arguments.input:
        for example in _rows(Path(arguments.input), manifest):
            yield example.text if example.text_pair is None else (example.text, example.text_pair)
    elif second is not None:
        yield from ((text, second) for text in arguments.text)
    elif arguments.text:
        yield from arguments.text
    else:
        yield from _stdin()


def _rows(path: Path, manifest: dict[str, Any]) -> list[Example]:
    """Texts under the usual names, or under those of the data that the bundle was made from."""
    first, pair = getattr(device_half(manifest["task"]), "KEYS", ("text", "text_pair"))
    usual = Columns(first, pair if manifest["segments"] == 2 else "", "")
    if manifest["segments"] == 1 and _has_pairs(path, Columns(first, pair, "")):
        raise InputError(f"{path}: has pairs ('{pair}'), but this bundle takes single texts; leave it out")
    try:
        return read_examples(path, usual)
    except DataError as error:
        own = replace(Columns(**manifest["data"]["columns"]), label="")
        try:
            return read_examples(path, own)
        except DataError:
            raise error from None


def _has_pairs(path: Path, columns: Columns) -> bool:
    try:
        return read_examples(path, columns)[0].text_pair is not None
    except DataError:
        return False


def _stdin() -> list[str]:
    if sys.stdin.isatty():
        note("edgebert: reads texts from this terminal, one a line; end with Ctrl-D")
    try:
        lines = sys.stdin.read().split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"standard input is not UTF-8 (byte {error.start}); convert it to UTF-8") from None
    texts = [line for line in lines if line.strip()]
    if not texts:
        raise InputError("no text came on standard input; give TEXT, --input FILE, or one text a line")
    return texts

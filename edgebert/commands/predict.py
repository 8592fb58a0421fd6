"""`edgebert predict`: texts in, predictions out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import edgebert
from edgebert.commands.columnar import QUIET_S, answered, is_columnar
from edgebert.commands.columnar_out import batches_of, check_out, write_answers
from edgebert.commands.output import named_columns, note, write, write_json, write_json_line
from edgebert.data.empty import note_of_skipped
from edgebert.data.examples import Example
from edgebert.data.named import OPTIONS, Named
from edgebert.errors import DataError, InputError
from edgebert.escape import escaped
from edgebert.runtime.encode import MAX_CHARACTERS
from edgebert.runtime.inputs import Text
from edgebert.runtime.model import Model
from edgebert.runtime.prediction import Prediction
from edgebert.runtime.progress import shown
from edgebert.runtime.rows import text_rows
from edgebert.streams import flush

TAB = "\t"
MAX_LINE = 4 * MAX_CHARACTERS  # bytes of UTF-8
NO_TEXT = "standard input has no text; give TEXT, --input FILE, or one text per line"


def run(arguments: argparse.Namespace) -> int:
    """Answer the texts given as arguments, in a file or on stdin: one answer per line, each at once, or a file.

    Invalid texts are refused before the first answer, except on stdin, which is read line by line.
    """
    named = _checked(arguments)
    source, out = (Path(name) if name else None for name in (arguments.input, arguments.out))
    if out:
        check_out(out, source)
    second = arguments.text_pair if arguments.context is None else arguments.context
    model = edgebert.load(arguments.bundle, runtime=arguments.runtime, threads=arguments.threads)
    if out:
        count = write_answers(
            out,
            answered(model, source, named, second, whole=True)
            if source is not None and is_columnar(source)
            else batches_of(_answers(model, arguments, second)),
        )
        note(f"edgebert: {out}: {count} answer{'s' * (count != 1)}")
        return 0
    answers = _answers(model, arguments, second)
    if arguments.json:
        write_json([{"text": text, **answer.to_dict()} for text, answer in answers])
        return 0
    for text, answer in answers:
        if arguments.jsonl:
            write_json_line({"text": text, **answer.to_dict()})
        else:
            _write_line(text, answer)
        flush()
    return 0


def _checked(arguments: argparse.Namespace) -> Named:
    """Columns that are named, after everything that two options say against each other is refused."""
    if arguments.text and arguments.input:
        raise InputError("both TEXT and --input are given; give one of them")
    if arguments.text_pair is not None and arguments.context is not None:
        raise InputError("both --text-pair and --context are given; both name the second text; give one of them")
    if arguments.json and arguments.jsonl:
        raise InputError("both --json and --jsonl are given; give one of them")
    if arguments.out and (arguments.json or arguments.jsonl):
        raise InputError("--out writes a file, --json and --jsonl write to stdout; give one of them")
    named = named_columns(arguments)
    if not arguments.input:
        named.refuse(tuple(OPTIONS), "no --input is given")
    return named


def _write_line(text: Text, answer: Prediction) -> None:
    """Write an answer and its text, cut to 200 characters, as one line."""
    shown = " ".join((text if isinstance(text, str) else " | ".join(text)).split())
    cut = "\t(cut short)" if answer.is_cut else ""
    write(f"{escaped(str(answer), TAB)}\t{shown if len(shown) <= 200 else shown[:200] + '…'}{cut}")


def _answers(model: Model, arguments: argparse.Namespace, second: str | None) -> Iterable[tuple[Text, Prediction]]:
    """Yield texts and the model's answers."""
    if arguments.input:
        source, named = Path(arguments.input), named_columns(arguments)
        if is_columnar(source):
            parts = answered(model, source, named, second, whole=False)
            return ((text, answer) for part in parts for text, answer in zip(part.texts, part.answers, strict=True))
        rows = text_rows(source, model.manifest, named)
        if said := note_of_skipped(source, rows):
            note(f"edgebert: {said}")
        return _to_rows(model, _with_second(rows, second))
    if arguments.text:
        texts = [text if second is None else (text, second) for text in arguments.text]
        # One text at a time, as on a device: dynamic INT8 uses one scale for all texts that run together.
        return zip(texts, model(texts, batch_size=1), strict=True)
    return _to_lines(model, second)


def _with_second(rows: list[Example], second: str | None) -> list[Example]:
    """Rows of a file, each with the command line's second text if there is one."""
    if second is None:
        return rows
    if rows[0].text_pair is not None:
        raise InputError(f"{rows[0].source}: has pairs, and a second text is given too; leave one of them out")
    return [replace(row, text_pair=second) for row in rows]


def _to_rows(model: Model, rows: Sequence[Example]) -> Iterator[tuple[Text, Prediction]]:
    texts: list[Text] = [row.text if row.text_pair is None else (row.text, row.text_pair) for row in rows]
    for row, text in zip(rows, texts, strict=True):
        with row.told():
            model.task.encode(text)
    return _shown(model, texts)


def _shown(model: Model, texts: Sequence[Text]) -> Iterator[tuple[Text, Prediction]]:
    """Answers one by one; stderr shows how far they are where stdout shows none of them on the same terminal."""
    with shown(not sys.stdout.isatty(), len(texts), QUIET_S, "predict") as advance:
        for text in texts:
            yield text, model(text)
            advance(1)


def _to_lines(model: Model, second: str | None) -> Iterator[tuple[Text, Prediction]]:
    """Answer the non-blank lines of stdin as they come, each with the second text if there is one."""
    if sys.stdin is None:
        raise InputError(NO_TEXT)
    if sys.stdin.isatty():
        end = "Ctrl-Z and Enter" if sys.platform == "win32" else "Ctrl-D"
        note(f"edgebert: type one text per line; end with {end}")
    answered = False
    for number, line in enumerate(iter(lambda: sys.stdin.buffer.readline(MAX_LINE + 1), b""), 1):
        place = f"standard input: line {number}"
        if len(line) > MAX_LINE:
            raise DataError(f"{place}: has more than {MAX_LINE:,} bytes; split the text")
        try:
            text = line.decode().removeprefix("\ufeff").rstrip("\r\n")
        except UnicodeDecodeError as error:
            value = line[error.start : error.start + 4]
            raise DataError(f"{place}: bytes {value!r} are not UTF-8; convert it to UTF-8") from None
        if text.strip():
            given = text if second is None else (text, second)
            with Example(text, second, None, number, "standard input").told():
                answer = model(given)
            yield given, answer
            answered = True
    if not answered:
        raise InputError(NO_TEXT)

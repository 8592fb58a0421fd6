"""Damaged data files raise a DataError that names the file, or give valid rows."""

import gzip
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fuzz.damage import damaged_bytes
from fuzz.tally import TALLY, assert_line, examples
from hypothesis import given

from edgebert.data.examples import Columns, Example
from edgebert.errors import DataError
from edgebert.tasks.table import spec_of


@dataclass(frozen=True)
class Source:
    """A data file of a task; `line_by_line`: every line is a separate row."""

    task: str
    name: str
    content: bytes
    columns: Columns = field(default_factory=Columns)
    line_by_line: bool = False


def lines(*rows: str) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()


def json_lines(*rows: Any) -> bytes:
    return lines(*(json.dumps(row, ensure_ascii=False) for row in rows))


PAIRS = Columns("text", "second", "label")
TEXTS = ["a good film", "schön und gut", "the “story”, dull", "a\\b 中文 🙂"]
CONLL = lines(*"Ann B-p|Lee I-p|is O||Rome B-l|é O|中 O||x O".replace(" ", "\t").split("|"))
WORDS = [
    {"words": ["Ann", "Lee"], "tags": ["B-p", "I-p"], "intent": "go"},
    {"words": ["x"], "tags": ["O"], "intent": "s"},
]
SPANS = [{"text": "Ann is in Rome", "entities": [{"label": "l", "start": 10, "end": 14}], "intent": "go"}]
CONTEXT = "Zoë met Ann in Rome 🙂."
ANSWERS = [{"text": "Ann", "answer_start": 8}]
SQUAD = {
    "version": "1.1",
    "data": [{"title": "t", "paragraphs": [{"context": CONTEXT, "qas": [
        {"id": "1", "question": "Who?", "answers": ANSWERS},
        {"id": "2", "question": "Where?", "answers": [], "is_impossible": True},
    ]}]}],
}  # fmt: skip
ASKED = [
    {"question": "Who?", "context": CONTEXT, "answers": [{"text": "Ann", "start": 8}]},
    {"question": "Who?", "context": CONTEXT, "answers": {"text": ["Ann"], "answer_start": [8]}},
]
SOURCES = [
    Source("text-classification", "d.tsv", lines("text\tlabel", *(f"{text}\ty" for text in TEXTS)), line_by_line=True),
    Source("text-classification", "d.csv", lines("text,label", 'a "film",y', '"one, ""two""",n', '"two\nlines",y')),
    Source(
        "text-classification", "d.jsonl", json_lines(*({"text": t, "label": "y"} for t in TEXTS)), line_by_line=True
    ),
    Source("text-classification", "pairs.tsv", lines("text\tsecond\tlabel", "a\tb\ty", "c d\te\tn"), PAIRS, True),
    Source("multi-label", "d.jsonl", json_lines({"text": "a", "label": ["x", "y"]}, {"text": "b", "label": []})),
    Source("multi-label", "d.tsv", lines("text\tlabel", "a\tx,y", "b\t", "c\tx"), line_by_line=True),
    Source("regression", "d.tsv", lines("text\tlabel", "a b\t0.5", "c\t0", "d\t4e-1"), line_by_line=True),
    Source("rerank", "d.tsv", lines("text\tsecond\tlabel", "a b\tc\t0.5", "a b\td\t1"), PAIRS, line_by_line=True),
    Source("similarity", "d.csv", lines("text,second,label", "a b,c,0.5", "d,e,1"), PAIRS, line_by_line=True),
    Source("fill-mask", "d.txt", lines(*TEXTS), line_by_line=True),
    Source("token-classification", "d.conll", CONLL),
    Source("token-classification", "words.jsonl", json_lines(*WORDS), line_by_line=True),
    Source("token-classification", "spans.jsonl", json_lines(*SPANS * 3), line_by_line=True),
    Source("intent-slots", "words.jsonl", json_lines(*WORDS), line_by_line=True),
    Source("question-answering", "d.json", json.dumps(SQUAD, ensure_ascii=False).encode()),
    Source("question-answering", "d.jsonl", json_lines(*ASKED), line_by_line=True),
]
SLOTS = {"seq.in": lines("go to Rome", "stop it"), "seq.out": lines("O O B-l", "O O"), "label": lines("go", "stop")}


def read(source: Source, path: Path) -> list[Example]:
    spec = spec_of(source.task)
    return spec.read(path, source.columns, spec.settings())


def outcome(source: Source, path: Path, named: Path) -> list[Example] | None:
    """The rows of a damaged file, or None if it is correctly refused."""
    try:
        return read(source, path)
    except DataError as error:
        assert_line(error, str(named))
        TALLY.add("damaged data files", "refused")
        return None


def check(rows: list[Example], with_intents: bool) -> None:
    """Check that the task can use the rows: valid texts, labels of the right kind."""
    assert rows
    for row in rows:
        assert row.text.strip()
        assert row.line >= 1
        for text in (row.text, row.text_pair or "", *row.words):
            text.encode()
        json.dumps(row.label, default=vars).encode()
        if isinstance(row.label, float):
            assert math.isfinite(row.label)
        if isinstance(row.label, tuple) and row.label and hasattr(row.label[0], "start"):
            assert row.text_pair is not None
            for answer in row.label:
                assert row.text_pair[answer.start : answer.start + len(answer.text)] == answer.text
        if row.words and row.label is not None:
            tags = row.label[1] if with_intents else row.label
            assert len(tags) == len(row.words)
    TALLY.add("damaged data files", "read")


def check_untouched_lines(source: Source, damaged: bytes, rows: list[Example], whole: list[Example]) -> None:
    """Check that unchanged lines give unchanged rows."""
    before, after = source.content.split(b"\n"), damaged.split(b"\n")
    if not source.line_by_line or len(before) != len(after) or before[0] != after[0] or b"\r" in damaged:
        return
    same = {at for at, (old, new) in enumerate(zip(before, after, strict=True), 1) if old == new}
    assert [row for row in rows if row.line in same] == [row for row in whole if row.line in same]


@pytest.mark.parametrize("zipped", ["", ".gz"])
@pytest.mark.parametrize("source", SOURCES, ids=[f"{source.task}-{source.name}" for source in SOURCES])
def test_damaged_data_files(source: Source, zipped: str, scratch: Path) -> None:
    path = scratch / f"{source.name}{zipped}"
    pack = (lambda content: gzip.compress(content, mtime=0)) if zipped else bytes
    path.write_bytes(pack(source.content))
    whole = read(source, path)
    check(whole, source.task == "intent-slots")

    @examples(brief=12, long=120)
    @given(damaged_bytes(source.content))
    def is_refused_or_read(damaged: bytes) -> None:
        path.write_bytes(pack(damaged))
        rows = outcome(source, path, path)
        if rows is not None:
            check(rows, source.task == "intent-slots")
            check_untouched_lines(source, damaged, rows, whole)

    is_refused_or_read()


def test_damaged_gzip_files(scratch: Path) -> None:
    source = SOURCES[0]
    path = scratch / f"{source.name}.gz"
    content = gzip.compress(source.content, mtime=0)
    path.write_bytes(content)
    whole = read(source, path)

    @examples(brief=25, long=120)
    @given(damaged_bytes(content))
    def is_refused_or_read(damaged: bytes) -> None:
        path.write_bytes(damaged)
        rows = outcome(source, path, path)
        # A checksum holds the content; what is left to change is the header, which holds none of it.
        assert rows is None or rows == whole or rows == whole * (len(rows) // len(whole))
        TALLY.add("damaged data files", "read", rows is not None)

    is_refused_or_read()


@pytest.mark.parametrize("name", SLOTS)
def test_damaged_slot_folders(name: str, scratch: Path) -> None:
    folder = scratch / "slots"
    folder.mkdir(exist_ok=True)
    for part, content in SLOTS.items():
        (folder / part).write_bytes(content)

    @examples(brief=15, long=60)
    @given(damaged_bytes(SLOTS[name]))
    def is_refused_or_read(damaged: bytes) -> None:
        (folder / name).write_bytes(damaged)
        rows = outcome(Source("intent-slots", "slots", b""), folder, folder)
        if rows is not None:
            check(rows, with_intents=True)

    is_refused_or_read()

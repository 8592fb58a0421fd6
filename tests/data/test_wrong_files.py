"""Invalid data files for every reader: each is refused in one line with file, location and value."""

from pathlib import Path
from typing import Any

import pytest

from edgebert.data.examples import Columns
from edgebert.errors import DataError
from edgebert.settings import fill
from edgebert.tasks.table import spec_of

CLASSES, SCORES, LABELS = "text-classification", "regression", "multi-label"
TAGS, FRAMES, ANSWERS = "token-classification", "intent-slots", "question-answering"
BOM = "\ufeff"
LISTED = '{"text": "a", "label": %s}\n'
ROW = '{"text": "a", "label": "x"}\n'
QUESTION = '{"data": [{"paragraphs": [{"context": "Ann", "qas": [{"question": "who", %s}]}]}]}'


def read(task: str, path: Path) -> Any:
    spec = spec_of(task)
    return spec.read(path, Columns(), fill(spec.settings, {"separator": ","} if task == LABELS else {}, "r.toml"))


@pytest.mark.parametrize(
    ("task", "name", "content", "says"),
    [
        (CLASSES, "d.tsv", "text\tlabel\nabc\t\n", ": line 2: 'label' is ''; expected a string that is not blank"),
        (CLASSES, "d.tsv", "text\tlabel\nabc\t \n", ": line 2: 'label' is ' '; expected a string that is not blank"),
        (CLASSES, "d.csv", "text,label\na,\n", ": line 2: 'label' is ''; expected a string that is not blank"),
        (CLASSES, "d.jsonl", LISTED % '""', ": line 1: 'label' is ''; expected a string that is not blank"),
        (CLASSES, "d.tsv", "text\tlabel\na\tx\nb\tx \n", ": line 3: the label 'x ' is also written 'x'; write it one"),
        (CLASSES, "d.tsv", "text\tlabel\na\tx\ntext\tlabel\nb\ty\n", ": line 3: the header again, as in joined files"),
        (CLASSES, "d.csv", f"text,label\na,x\n{BOM}text,label\nb,y\n", ": line 3: the header again"),
        (CLASSES, "d.tsv", "text\ttext\tlabel\na\tb\tc\n", ": line 1: column 'text' occurs 2 times in the header"),
        (CLASSES, "d.tsv", "text\tlabel\n", ": holds no rows; expected a header and at least one row"),
        (CLASSES, "d.tsv", "\x1a", ": line 1: no column 'text'; the header has: '\\x1a'"),
        (CLASSES, "d.csv", 'text,label\n"a,b\n', ": line 2: not valid CSV (unexpected end of data); check its quotes"),
        (CLASSES, "d.jsonl", LISTED % "NaN", ": line 1: not JSON (NaN is not a JSON number)"),
        (CLASSES, "d.jsonl", LISTED % "null", ": line 1: 'label' is None; expected a string"),
        (CLASSES, "d.jsonl", f"{ROW}{BOM}{ROW}", ": line 2: not JSON (Unexpected UTF-8 BOM"),
        (CLASSES, "d.jsonl", f"{ROW[:-1]}{ROW}", ": line 1: not JSON (Extra data)"),
        (CLASSES, "d.jsonl", LISTED % r'"\ud800"', r": line 1: holds the lone surrogate '\ud800'; expected valid"),
        (SCORES, "d.tsv", "text\tlabel\na\tNaN\n", ": line 2: 'label' is 'NaN'; expected a number from 0 to 1"),
        (SCORES, "d.tsv", "text\tlabel\na\t\n", ": line 2: 'label' is ''; expected a number from 0 to 1"),
        (SCORES, "d.tsv", "text\tlabel\na\t0,5\n", ": line 2: 'label' is '0,5'; expected a number from 0 to 1"),
        (LABELS, "d.tsv", "text\tlabel\na\tx,,y\n", ": line 2: 'label' is 'x,,y'; expected labels that are not blank"),
        (LABELS, "d.jsonl", LISTED % '[1, "1"]', ": line 1: 'label' is [1, '1']; expected each label once"),
        (LABELS, "d.jsonl", LISTED % "[null]", ": line 1: 'label' is [None]; expected a list of strings"),
        (TAGS, "d.conll", "a O\nb\n", ": line 2: 1 columns in 'b'; expected 2, separated by blanks"),
        (TAGS, "d.conll", "a\tNaN\n", ": line 1: 'NaN' is no BIO tag; expected O, B-TYPE, I-TYPE"),
        (TAGS, "d.conll", "-DOCSTART- O\n\n", ": holds no sentence; expected one word and its tag per line"),
        (TAGS, "d.jsonl", r'{"words": ["a"], "tags": ["B-\uDFFF"]}', r": line 1: holds the lone surrogate '\udfff'"),
        (TAGS, "d.jsonl", '{"words": ["a", null]}', ": line 1: 'words' is ['a', None]; expected a list of strings"),
        (ANSWERS, "d.json", QUESTION % '"answers": []' + BOM, r": line 1: not JSON (Extra data, at '\ufeff')"),
        (ANSWERS, "d.json", QUESTION % '"answers": null', ": data[0]: paragraphs[0]: qas[0]: 'answers' is None"),
        (ANSWERS, "d.json", '{"data": [{}]}', ": data[0]: no key 'paragraphs' in {}; expected a list there"),
        (ANSWERS, "d.json", "null", ": None; expected an object with 'data'"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(task: str, name: str, content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert refused(task, tmp_path / name).startswith(says)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seq.in": ""}, "/seq.in: is empty; expected at least one row"),
        ({"seq.out": "O\n"}, "/seq.out: line 1: 1 tags in 'O'; expected 2, one for each word of seq.in there"),
        ({"seq.out": "O\u00a0O\n"}, "/seq.out: line 1: 1 tags in 'O\\xa0O'; expected 2"),
        ({"label": "x\ny\n"}, "/label: 2 lines; expected 1, as many as seq.in has"),
    ],
)
def test_a_wrong_folder_of_slots_is_refused_in_one_line(changes: dict[str, str], says: str, tmp_path: Path) -> None:
    for name, content in ({"seq.in": "a b\n", "seq.out": "O O\n", "label": "x\n"} | changes).items():
        (tmp_path / name).write_text(content)
    assert refused(FRAMES, tmp_path).startswith(says)


@pytest.mark.parametrize("name", ["d.tsv", "d.csv", "d.jsonl", "d.txt", "d.conll", "d.json"])
@pytest.mark.parametrize("content", ["", "\n \n", BOM])
def test_a_file_without_anything_is_refused(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    task = {"d.conll": TAGS, "d.json": ANSWERS}.get(name, CLASSES)
    refused(task, tmp_path / name)


def test_a_text_that_begins_with_a_mark_and_a_label_that_is_nan_are_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text(f"{BOM}text\tlabel\n{BOM}nan\tNaN\n")
    [row] = read(CLASSES, tmp_path / "d.tsv")
    assert (row.text, row.label) == (f"{BOM}nan", "NaN")


def refused(task: str, path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(task, path)
    message = str(caught.value)
    assert caught.value.exit_code == 2
    assert message.isprintable()
    assert message.startswith(str(path))
    return message.removeprefix(str(path))

"""Rows with an empty cell: refused with the row and the option that skips them, or skipped and counted."""

import json
from pathlib import Path

import pytest
from manifests import manifest_of

from edgebert.data.empty import note_of_skipped, without_empty
from edgebert.data.examples import Columns, read_examples
from edgebert.data.named import Named
from edgebert.data.squad import read_squad
from edgebert.errors import DataError, EmptyCellError, InputError
from edgebert.runtime.rows import read_rows
from edgebert.runtime.tagged_rows import read_tagged
from edgebert.runtime.tagging import Settings
from edgebert.tasks.multi_label import spec as multi_label
from edgebert.tasks.regression import spec as regression

REMEDY = "; fill it, or skip such rows: --skip-empty, in a recipe data.skip_empty = true"
SKIPS = Columns(skip_empty=True)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("d.tsv", "text\tlabel\na\tx\n\ty\n", "line 3: 'text' is ''; expected a text that is not blank"),
        ("d.tsv", "text\tlabel\na\tx\nb\t\n", "line 3: 'label' is ''; expected a string that is not blank"),
        ("d.tsv", "text\tlabel\na\tx\n\t\n", "line 3: 'text' is ''; expected a text that is not blank"),
        ("d.csv", "label;text\nx;a\n ;b\n", "line 3: 'label' is ' '; expected a string that is not blank"),
        (
            "d.jsonl",
            '{"text": "a", "label": "x"}\n{"text": null, "label": 1}\n',
            "line 2: 'text' is None; expected a text that is not blank",
        ),
        (
            "d.jsonl",
            '{"text": "a", "label": "x"}\n{"text": "b", "label": null}\n',
            "line 2: 'label' is None; expected a string",
        ),
    ],
)
def test_an_empty_cell_is_refused_or_its_row_skipped(name: str, content: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(EmptyCellError) as caught:
        read_examples(path, Columns())
    assert str(caught.value) == f"{path}: {says}{REMEDY}"
    rows = without_empty(path, read_examples(path, SKIPS))
    assert [(row.text, row.label) for row in rows] == [("a", "x")]
    line = says.split(":")[0].removeprefix("line ")
    assert note_of_skipped(path, rows) == f"{path}: skipped 1 of 2 rows with an empty cell (line {line})"


def test_an_empty_cell_of_a_pair_a_score_and_labels(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("a,b,y\none,two,1\none,,2\none,two,\n")
    pairs = Columns("a", "b", "y", skip_empty=True)
    rows = without_empty(path, regression.read(path, pairs, regression.Settings()))
    assert ([row.label for row in rows], rows.skipped) == ([1.0], (3, 4))
    labels = multi_label.read(path, Columns("a", "", "y"), multi_label.Settings())
    assert [row.label for row in labels] == [("1",), ("2",), ()]


def test_another_fault_is_refused_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text("text\tlabel\na\tx\n\ty\nb\tmany\n")
    with pytest.raises(DataError, match="line 2: 'label' is 'x'; expected a number"):
        regression.read(tmp_path / "d.tsv", SKIPS, regression.Settings())


def test_a_file_of_empty_rows_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.tsv"
    path.write_text("text\tlabel\n\tx\n")
    with pytest.raises(DataError, match=r"d\.tsv: every row has an empty cell"):
        without_empty(path, read_examples(path, SKIPS))


def test_many_skipped_rows_are_named_by_the_first(tmp_path: Path) -> None:
    path = tmp_path / "d.tsv"
    path.write_text("text\tlabel\n" + "\tx\n" * 7 + "a\tx\n")
    said = note_of_skipped(path, without_empty(path, read_examples(path, SKIPS)))
    assert said.endswith("skipped 7 of 8 rows with an empty cell (lines 2, 3, 4, 5, 6, …)")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"words": [], "tags": []}, "'words' is []"),
        ({"text": "", "slots": [], "intent": "x"}, "'text' is ''"),
        ({"words": ["a"], "tags": ["O"], "intent": " "}, "'intent' is ' '"),
    ],
)
def test_words_and_intents(row: dict[str, object], says: str, tmp_path: Path) -> None:
    whole = {"words": ["a"], "tags": ["O"], "intent": "x"}
    path = tmp_path / "d.jsonl"
    path.write_text(f"{json.dumps(whole)}\n{json.dumps(row)}\n")
    with pytest.raises(EmptyCellError) as caught:
        read_tagged(path, Columns(), Settings(), with_intents=True)
    assert str(caught.value).startswith(f"{path}: line 2: {says}; expected ")
    assert str(caught.value).endswith(REMEDY)
    rows = without_empty(path, read_tagged(path, SKIPS, Settings(), with_intents=True))
    assert ([row.label for row in rows], rows.skipped) == ([("x", ("O",))], (2,))


@pytest.mark.parametrize("empty", [{"question": ""}, {"context": None}, {"answers": None}])
def test_questions_of_json_lines(empty: dict[str, object], tmp_path: Path) -> None:
    whole: dict[str, object] = {"question": "q", "context": "c", "answers": []}
    path = tmp_path / "d.jsonl"
    path.write_text(f"{json.dumps(whole | empty)}\n{json.dumps(whole)}\n")
    (key, value), *_ = empty.items()
    with pytest.raises(EmptyCellError, match=rf"line 1: '{key}' is {value!r}; expected .*--skip-empty"):
        read_squad(path)
    rows = without_empty(path, read_squad(path, skip_empty=True))
    assert ([row.line for row in rows], rows.skipped) == ([2], (1,))


def test_formats_without_cells_refuse_the_option(tmp_path: Path) -> None:
    (tmp_path / "d.txt").write_text("a\n")
    columns = {"text": "text", "text_pair": "", "label": "label"}
    manifest = manifest_of(data={"columns": columns})
    with pytest.raises(InputError, match=r"d\.txt: only tables and JSON Lines have empty cells; leave --skip-empty"):
        read_rows(tmp_path / "d.txt", manifest, Named(skip_empty=True))

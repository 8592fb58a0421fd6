"""`edgebert predict` on Parquet and Arrow files: equal answers, streaming, atomic output, one line of error."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run
from fuzz.answering import make_model, wordpiece
from small_bundle import write_small_bundle

import edgebert
from edgebert.commands import columnar_out
from edgebert.commands.columnar import opened
from edgebert.data.columns import Columns
from edgebert.runtime.model import Model

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed (the extra parquet)")
pq = pytest.importorskip("pyarrow.parquet")

TEXTS = ["a", "b a", "a b b", "b b b b", "a a a a a a a a a a"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_bundle(tmp_path_factory.mktemp("columnar") / "small")


@pytest.fixture(scope="module")
def model(small: Path) -> Model:
    return edgebert.load(small)


def write(path: Path, table: Any, rows: int = 2) -> Path:
    """Write a table in groups of this many rows: Parquet, an Arrow file, or with .stream.arrow an Arrow stream."""
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=rows)
        return path
    new = pa.ipc.new_stream if path.stem.endswith("stream") else pa.ipc.new_file
    with new(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)
    return path


def read(path: Path) -> Any:
    return pq.read_table(path) if path.suffix == ".parquet" else pa.ipc.open_file(path).read_all()


def refusal(run: Run, *words: object) -> str:
    code, out, err = run("predict", *words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("name", ["in.parquet", "in.arrow", "in.stream.arrow", "IN.PARQUET"])
@pytest.mark.parametrize("out", ["out.parquet", "out.arrow"])
def test_answers_stand_behind_the_columns_of_their_rows(
    name: str, out: str, small: Path, model: Model, tmp_path: Path, run: Run
) -> None:
    table = pa.table({"id": [5, 4, 3, 2, 1], "body": TEXTS, "label": list("xyzxy")})
    write(tmp_path / name.lower(), table).rename(tmp_path / name)
    asked = ("predict", small, "--input", tmp_path / name, "--text-column", "body")
    code, said, err = run(*asked, "--out", tmp_path / out)
    assert (code, said, err) == (0, "", f"edgebert: {tmp_path / out}: 5 answers\n")
    found = read(tmp_path / out)
    assert found.select(["id", "body", "label"]).equals(table)
    expected = [model(text).to_dict() for text in TEXTS]
    assert found["predicted_label"].to_pylist() == [each["label"] for each in expected]
    assert found["predicted_score"].to_pylist() == [each["score"] for each in expected]
    assert [dict(row) for row in found["predicted_scores"].to_pylist()] == [each["scores"] for each in expected]
    assert found["predicted_truncated"].to_pylist() == [False] * 4 + [True]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, out])
    code, said, err = run(*asked, "--jsonl")
    assert (code, err) == (0, "")
    assert [json.loads(line) for line in said.splitlines()] == [
        {"text": text, **answer} for text, answer in zip(TEXTS, expected, strict=True)
    ]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())], ids=lambda kind: str(kind)[:6]
)
def test_every_kind_of_string_is_read(kind: Any, small: Path, tmp_path: Path, run: Run) -> None:
    for name in ("in.parquet", "in.arrow"):
        file = write(tmp_path / name, pa.table({"text": pa.array(TEXTS).cast(kind)}))
        for out in ("out.parquet", "out.arrow"):
            code, _, err = run("predict", small, "--input", file, "--out", tmp_path / out)
            assert code == 0, err
            assert read(tmp_path / out)["text"].cast(pa.string()).to_pylist() == TEXTS


def test_groups_of_rows_are_as_large_as_set(
    small: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebert.commands.columnar.ROWS", 3)
    monkeypatch.setattr(columnar_out, "GROUP_ROWS", 6)
    file = write(tmp_path / "in.parquet", pa.table({"text": TEXTS * 4}), rows=7)
    assert run("predict", small, "--input", file, "--out", tmp_path / "out.parquet")[0] == 0
    written = pq.ParquetFile(tmp_path / "out.parquet")
    assert [written.metadata.row_group(at).num_rows for at in range(written.num_row_groups)] == [6, 6, 6, 2]
    assert read(tmp_path / "out.parquet")["text"].to_pylist() == TEXTS * 4


@pytest.mark.parametrize("name", ["in.txt", "in.jsonl"])
def test_answers_to_other_files_and_texts_go_into_a_table_too(
    name: str, small: Path, model: Model, tmp_path: Path, run: Run
) -> None:
    as_json = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS)
    (tmp_path / name).write_text(as_json if name.endswith("l") else "\n".join(TEXTS))
    for asked in (("--input", tmp_path / name), tuple(TEXTS)):
        assert run("predict", small, *asked, "--out", tmp_path / "out.parquet")[0] == 0
        found = read(tmp_path / "out.parquet")
        assert found["text"].to_pylist() == TEXTS
        assert found["predicted_label"].to_pylist() == [model(text).label for text in TEXTS]


@pytest.mark.parametrize(("column", "shown"), [(["a", None, "b"], "None"), (["a", " ", "b"], "' '")])
def test_an_empty_cell_is_refused_by_its_row_or_skipped(
    column: list[str | None], shown: str, small: Path, tmp_path: Path, run: Run
) -> None:
    file = write(tmp_path / "in.parquet", pa.table({"id": [1, 2, 3], "text": column}))
    out = tmp_path / "out.parquet"
    assert refusal(run, small, "--input", file, "--out", out) == (
        f"edgebert: {file}: row 2: 'text' is {shown}; expected a text that is not blank; fill it, or skip such rows: "
        "--skip-empty, in a recipe data.skip_empty = true\n"
    )
    assert list(tmp_path.iterdir()) == [file]
    code, _, err = run("predict", small, "--input", file, "--out", out, "--skip-empty")
    assert code == 0
    assert err.splitlines() == [
        f"edgebert: {file}: skipped 1 of 3 rows with an empty cell (row 2)",
        f"edgebert: {out}: 2 answers",
    ]
    assert read(out)["id"].to_pylist() == [1, 3]


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "none": (lambda: pa.table({"body": TEXTS}), "no column 'text'; it has 'body'; name it with --text-column"),
    "similar": (lambda: pa.table({"texts": TEXTS}), "it has 'texts'; did you mean 'texts'?; name it with"),
    "numbers": (lambda: pa.table({"text": [1, 2]}), "column 'text' is int64; expected strings"),
    "bytes": (lambda: pa.table({"text": [b"a"]}), "column 'text' is binary; expected strings"),
    "nothing": (lambda: pa.table({"text": pa.nulls(3)}), "column 'text' is null; expected strings"),
    "no rows": (lambda: pa.table({"text": pa.array([], pa.string())}), "holds no rows"),
    "empty": (lambda: pa.table({"text": ["a", ""]}), "row 2: 'text' is ''; expected a text that is not blank"),
    "pairs": (lambda: pa.table({"text": ["a"], "text_pair": ["b"]}), "has pairs ('text_pair'), but this bundle takes"),
    "again": (lambda: pa.table({"text": ["a"], "predicted_label": ["b"]}), "has a column 'predicted_label' already"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_what_cannot_be_read_is_refused_in_one_line(
    wrong: str, suffix: str, small: Path, tmp_path: Path, run: Run
) -> None:
    made, said = WRONG[wrong]
    file = write(tmp_path / f"in.{suffix}", made())
    assert said in refusal(run, small, "--input", file, "--out", tmp_path / "out.parquet")
    assert list(tmp_path.iterdir()) == [file]


def test_a_column_that_stands_twice_is_refused(small: Path, tmp_path: Path, run: Run) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["text", "text"])
    assert "column 'text' stands 2 times" in refusal(run, small, "--input", write(tmp_path / "in.arrow", table))


def test_text_that_is_not_unicode_is_refused_by_its_row(small: Path, tmp_path: Path, run: Run) -> None:
    wrong = pa.array([b"a", b"\xff\xfe"], pa.binary()).view(pa.string())
    file = write(tmp_path / "in.arrow", pa.table({"text": wrong}))
    assert f"{file}: row 2: holds bytes that are not UTF-8" in refusal(run, small, "--input", file)


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
@pytest.mark.parametrize("kept", [0, 3, 40, -20])
def test_a_damaged_file_is_refused_in_one_line(suffix: str, kept: int, small: Path, tmp_path: Path, run: Run) -> None:
    file = write(tmp_path / f"in.{suffix}", pa.table({"text": TEXTS}))
    file.write_bytes(file.read_bytes()[:kept])
    assert f"{file}: cannot be read as a" in refusal(run, small, "--input", file)


@pytest.mark.parametrize("column", ["text", "other"])
def test_offsets_that_point_nowhere_are_refused(column: str, small: Path, tmp_path: Path, run: Run) -> None:
    columns = {"text": TEXTS, "other": ["x"] * 5} if column == "other" else {"text": TEXTS}
    columns[column] = ["a" * 77, "b" * 22, "c", "d", "e"]
    file = write(tmp_path / "in.arrow", pa.table(columns), rows=9)
    before, after = (np.int32([77, third]).tobytes() for third in (99, -99))
    assert file.read_bytes().count(before) == 1
    file.write_bytes(file.read_bytes().replace(before, after))
    said = refusal(run, small, "--input", file, "--out", tmp_path / "out.parquet")
    assert "cannot be read as an Arrow IPC file" in said
    assert list(tmp_path.iterdir()) == [file]


def test_a_column_whose_name_is_not_unicode_is_refused(small: Path, tmp_path: Path, run: Run) -> None:
    file = write(tmp_path / "in.arrow", pa.table({"text": TEXTS, "wrong": TEXTS}))
    file.write_bytes(file.read_bytes().replace(b"wrong", b"wr\xffng"))
    assert "cannot be read as an Arrow IPC file" in refusal(run, small, "--input", file)


def test_files_that_are_none(small: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "folder.parquet").mkdir()
    assert "is a folder; name one data file" in refusal(run, small, "--input", tmp_path / "folder.parquet")
    assert "no such file" in refusal(run, small, "--input", tmp_path / "none.parquet")


def test_where_an_answer_cannot_go(small: Path, tmp_path: Path, run: Run) -> None:
    file = write(tmp_path / "in.parquet", pa.table({"text": ["a"]}))
    before = file.read_bytes()
    asked = (small, "--input", file, "--out")
    assert "expected a name that ends in .parquet or .arrow" in refusal(run, *asked, tmp_path / "out.csv")
    assert f"the folder {tmp_path / 'none'} does not exist" in refusal(run, *asked, tmp_path / "none" / "out.parquet")
    assert "is the input file; name another one" in refusal(run, *asked, file)
    (tmp_path / "d.arrow").mkdir()
    assert "is a folder; name a file" in refusal(run, *asked, tmp_path / "d.arrow")
    assert "--json and --jsonl write to stdout" in refusal(run, *asked, tmp_path / "out.parquet", "--jsonl")
    assert "is not a table (.tsv, .csv)" in refusal(run, small, "--input", file, "--no-header")
    assert file.read_bytes() == before


def test_an_answer_that_fails_leaves_the_file_as_it_was(
    small: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "in.parquet", pa.table({"text": TEXTS}))
    out = tmp_path / "out.parquet"
    assert run("predict", small, "--input", file, "--out", out)[0] == 0
    before = out.read_bytes()
    calls = iter([None, None, edgebert.RunError("outputs for this text have NaN")])
    usual = Model.__call__

    def fails(self: Model, text: Any, **named: Any) -> Any:
        if error := next(calls):
            raise error
        return usual(self, text, **named)

    monkeypatch.setattr(Model, "__call__", fails)
    assert run("predict", small, "--input", file, "--out", out)[0] == 1
    assert out.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "out.parquet"]


def test_without_pyarrow_the_extra_is_named(
    small: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "in.parquet", pa.table({"text": TEXTS}))
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    said = "edgebert: pyarrow is not installed; pip install edgebert[parquet]\n"
    assert refusal(run, small, "--input", file) == said
    assert refusal(run, small, "a", "--out", tmp_path / "out.parquet") == said


ASKED: dict[str, list[Any]] = {
    "text-classification": ["one", "two"],
    "multi-label": ["one", "two"],
    "regression": ["one", "two"],
    "rerank": [("one", "two"), ("three", "four")],
    "token-classification": ["one", "two three"],
    "intent-slots": ["one", "two three"],
    "question-answering": [("who", "the cat sat"), ("what", "on the mat")],
    "similarity": ["one", "two"],
    "fill-mask": ["the [MASK] sat", "a [MASK]"],
}


@pytest.mark.parametrize("task", ASKED)
@pytest.mark.parametrize("name", ["out.parquet", "out.arrow"])
def test_every_tasks_answers_come_back_as_they_were(task: str, name: str, tmp_path: Path) -> None:
    model = make_model(task, wordpiece(tmp_path), segments=1 + (task == "rerank"))
    answers = [(text, model(text)) for text in ASKED[task]]
    assert columnar_out.write_answers(tmp_path / name, columnar_out.batches_of(answers)) == 2
    table = read(tmp_path / name)
    for row, (text, answer) in zip(table.to_pylist(), answers, strict=True):
        row |= {key: dict(value) for key, value in row.items() if key == "predicted_scores"}
        pair = text if isinstance(text, tuple) else (text,)
        expected = dict(zip(("text", "text_pair"), pair, strict=False))
        assert row == expected | {f"predicted_{key}": value for key, value in answer.to_dict().items()}


@pytest.mark.parametrize("name", ["in.parquet", "in.arrow"])
def test_a_large_file_is_not_held_in_memory(name: str, tmp_path: Path) -> None:
    texts = [f"{number:04}" * 2_000 for number in range(4_000)]  # 32 MB in a single row group
    file = tmp_path / name
    if file.suffix == ".parquet":
        pq.write_table(pa.table({"text": texts}), file, compression=None, use_dictionary=False)
    else:
        write(file, pa.table({"text": texts}), rows=128)
    columns, found, most = Columns("text", "", ""), [], 0
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        with opened(file) as table:
            for _, rows in table.rows(columns, whole=True):
                found += [row.text[:4] for row in rows]
                most = max(most, pa.total_allocated_bytes() - before)
        most += tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [text[:4] for text in texts]
    assert most < 20 << 20

"""`--skip-empty` of evaluate, bench and predict, and `data.skip_empty` of a recipe."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Run, refused
from small_bundle import write_small_bundle

from edgebert.bundle import read_manifest
from edgebert.data.named import Named
from edgebert.measure.workload import read_workload

TABLE = "text\tlabel\na\tshort\n\tlong\na b a b a\tlong\nb\t\n"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_small_bundle(tmp_path / "small")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "d.tsv").write_text(TABLE)
    return tmp_path / "d.tsv"


def test_without_the_option_the_row_and_the_option_are_named(small: Path, data: Path, run: Run) -> None:
    for command in (("evaluate", small, "--data"), ("bench", small, "--baseline", small, "--data")):
        message = refused(run(*command, data))
        assert message.startswith(f"{data}: line 3: 'text' is ''; expected a text that is not blank; ")
        assert "--skip-empty" in message
    assert "line 3: 'text' is ''" in refused(run("predict", small, "--input", data))


def test_evaluate_skips_and_counts(small: Path, data: Path, run: Run) -> None:
    code, out, err = run("evaluate", small, "--data", data, "--skip-empty", "--json")
    assert (code, json.loads(out)["quality"]["n"], json.loads(out)["skipped_rows"]) == (0, 2, 2)
    assert err == f"edgebert: {data}: skipped 2 of 4 rows with an empty cell (lines 3, 5)\n"


def test_predict_skips_texts_that_are_empty_and_counts(small: Path, data: Path, run: Run) -> None:
    code, out, err = run("predict", small, "--input", data, "--skip-empty")
    assert (code, [line.split("\t")[0] for line in out.splitlines()]) == (0, ["short", "long", "short"])
    assert err == f"edgebert: {data}: skipped 1 of 4 rows with an empty cell (line 3)\n"
    assert refused(run("predict", small, "a", "--skip-empty")) == "no --input is given; leave --skip-empty out"


def test_a_result_of_bench_says_how_many(small: Path, data: Path) -> None:
    workload = read_workload(data, read_manifest(small), named=Named(skip_empty=True))
    assert (workload.inputs, workload.as_dict()["skipped_rows"]) == (["a", "a b a b a"], 2)
    data.write_text("text\tlabel\na\tshort\n")
    assert "skipped_rows" not in read_workload(data, read_manifest(small)).as_dict()


def test_the_remark_on_missing_columns_stays(small: Path, data: Path, run: Run) -> None:
    data.write_text("words\tlabel\na\tshort\n")
    assert "this bundle reads the columns text, label" in refused(
        run("evaluate", small, "--data", data, "--skip-empty")
    )


def test_a_recipe_skips_them_in_every_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    from edgebert.compress.data import read_task_data
    from edgebert.recipe import DataSettings, ModelSettings, Recipe

    (tmp_path / "d.tsv").write_text(TABLE)
    settings = DataSettings(train="d.tsv", validation="d.tsv", unlabelled=("d.tsv",), skip_empty=True)
    read = read_task_data(Recipe("tiny", "text-classification", ModelSettings("x"), data=settings), tmp_path)
    assert (len(read.train), len(read.unlabelled), read.labels.values) == (2, 3, ["long", "short"])
    assert [entry["rows"] for entry in read.fingerprints] == [2, 2, None]
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"edgebert: {tmp_path / 'd.tsv'}: skipped 2 of 4 rows with an empty cell (lines 3, 5)"
    assert len(said) == 3
    with pytest.raises(Exception, match=r"line 3: 'text' is ''.*data\.skip_empty = true"):
        read_task_data(
            Recipe("tiny", "text-classification", ModelSettings("x"), data=replace(settings, skip_empty=False)),
            tmp_path,
        )

"""`edgebert evaluate --by-label`, and truncated texts, on a bundle written by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Run, refused
from small_bundle import write_small_bundle

import edgebert
from edgebert.bundle import read_document, write_manifest

# The bundle answers `long` for texts of at least four words, and reads at most six words.
ROWS = [
    ("a", "short"),
    ("a b", "short"),
    ("a b a b", "short"),
    ("a b a b a", "long"),
    ("a " * 9, "long"),
    ("b", "long"),
]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_small_bundle(tmp_path / "small")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "data.tsv", ROWS)


def write_rows(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("\n".join(["text\tlabel", *("\t".join((text.strip(), label)) for text, label in rows)]) + "\n")
    return path


def test_each_label_and_the_confusions_are_shown_below_the_metrics(small: Path, data: Path, run: Run) -> None:
    code, out, _ = run("evaluate", small, "--data", data, "--by-label")
    assert code == 0
    metrics, labels, confusions = (part.splitlines() for part in out.split("\n\n"))
    assert metrics[0].startswith("accuracy 0.6667")
    assert [line.split() for line in labels if "---" not in line] == [
        ["label", "precision", "recall", "f1", "support"],
        ["short", "0.6667", "0.6667", "0.6667", "3"],
        ["long", "0.6667", "0.6667", "0.6667", "3"],
    ]
    assert [line.split() for line in confusions if "---" not in line] == [
        ["expected", "label", "predicted", "count"],
        ["short", "long", "1"],
        ["long", "short", "1"],
    ]
    assert out.startswith(run("evaluate", small, "--data", data)[1])


def test_the_same_is_in_json(small: Path, data: Path, run: Run) -> None:
    code, out, _ = run("evaluate", small, "--data", data, "--by-label", "--json")
    assert code == 0
    score = {"precision": 0.666667, "recall": 0.666667, "f1": 0.666667, "support": 3}
    assert json.loads(out)["by_label"] == [
        {
            "of": "label",
            "labels": [{"label": "short", **score}, {"label": "long", **score}],
            "confusions": [
                {"expected": "short", "predicted": "long", "count": 1},
                {"expected": "long", "predicted": "short", "count": 1},
            ],
        }
    ]
    assert "by_label" not in json.loads(run("evaluate", small, "--data", data, "--json")[1])


@pytest.mark.parametrize("task", ["regression", "rerank", "similarity", "question-answering", "fill-mask"])
def test_a_task_without_labels_is_refused_before_the_data_is_read(small: Path, task: str, run: Run) -> None:
    write_manifest(small, {**read_document(small), "task": task})
    message = refused(run("evaluate", small, "--data", small / "none.tsv", "--by-label"))
    assert message == f"--by-label: the task {task} of {small} has no labels; leave --by-label out"


def test_cut_texts_are_counted_on_stderr_and_in_json(small: Path, data: Path, run: Run) -> None:
    code, out, err = run("evaluate", small, "--data", data, "--json")
    assert (code, err) == (0, "edgebert: 1 of 6 texts (16.7%) cut to 8 tokens\n")
    assert json.loads(out)["truncated"] == {"texts": 1, "share": 0.166667}


def test_where_no_text_was_cut_stderr_says_nothing(small: Path, tmp_path: Path, run: Run) -> None:
    # Six words and two special tokens are exactly the limit.
    data = write_rows(tmp_path / "short.tsv", [("a", "short"), ("a b a b a b", "long")])
    code, out, err = run("evaluate", small, "--data", data, "--json")
    document: Any = json.loads(out)
    assert (code, err, document["truncated"]) == (0, "", {"texts": 0, "share": 0.0})


def test_labels_that_the_model_does_not_have_count_as_wrong_and_are_named_once(
    small: Path, tmp_path: Path, run: Run
) -> None:
    data = write_rows(tmp_path / "more.tsv", [*ROWS, ("a b", "tiny"), ("b a", "tiny"), ("a", "huge")])
    code, out, err = run("evaluate", small, "--data", data, "--json", "--by-label")
    document: Any = json.loads(out)
    told = f"{data}: 3 of 9 rows have labels that the model does not have: 'tiny' (2), 'huge' (1)"
    assert err.splitlines()[0] == f"edgebert: {told}; they count as wrong, --strict-labels refuses them"
    assert (code, err.count("tiny")) == (0, 1)
    assert document["quality"]["value"] == pytest.approx(4 / 9, abs=1e-6)
    assert document["unknown_labels"] == {"rows": 3, "labels": {"tiny": 2, "huge": 1}, "more": 0}
    labels = {row["label"]: (row["recall"], row["support"]) for row in document["by_label"][0]["labels"]}
    assert labels == {"short": (0.666667, 3), "long": (0.666667, 3), "tiny": (0.0, 2), "huge": (0.0, 1)}
    assert {"expected": "tiny", "predicted": "short", "count": 2} in document["by_label"][0]["confusions"]


def test_strict_labels_names_all_of_them_before_a_text_is_answered(small: Path, tmp_path: Path, run: Run) -> None:
    data = write_rows(tmp_path / "more.tsv", [*ROWS, ("a b", "tiny"), ("b a", "tiny"), ("a", "huge")])
    assert refused(run("evaluate", small, "--data", data, "--strict-labels")) == (
        f"{data}: line 8: 3 of 9 rows have labels that the model does not have: 'tiny' (2), 'huge' (1) "
        "(it has short, long); correct the file, or leave --strict-labels out to count them as wrong"
    )
    known = write_rows(tmp_path / "known.tsv", ROWS[:4])
    assert run("evaluate", small, "--data", known, "--strict-labels")[0] == 0


def test_python_warns_of_them_or_refuses_them(small: Path, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "more.tsv", [*ROWS, ("a b", "tiny")])
    model = edgebert.load(small)
    with pytest.warns(edgebert.UnknownLabelWarning, match=r"1 of 7 rows has a label .*: 'tiny' \(1\); they count as w"):
        found = edgebert.evaluate(model, data)
    assert found["accuracy"].value == pytest.approx(4 / 7)
    with pytest.raises(edgebert.DataError, match="leave strict_labels out"):
        edgebert.evaluate(model, data, strict_labels=True)

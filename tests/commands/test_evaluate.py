"""`edgebert evaluate`: the manifest's own metric, the task's other metrics, and errors with their line."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from command_line import Run, refused
from this_machine import pretend

import edgebert
from edgebert.bundle import read_document, write_manifest

pytestmark = pytest.mark.int8


def test_evaluate_gives_the_manifests_own_figure(built: Path, data_dir: Path, manifest: Any, run: Run) -> None:
    test = manifest["metrics"]["test"]
    code, out, _ = run("evaluate", built, "--data", data_dir / "test.tsv", "--json")
    assert code == 0
    assert json.loads(out)["quality"] == pytest.approx(test)
    code, out, _ = run("evaluate", built, "--data", data_dir / "test.tsv")
    assert out.startswith(f"accuracy {test['value']:.4f} (95% {test['ci_low']:.4f} to {test['ci_high']:.4f}, 64 texts)")


def test_sums_that_saturate_here_are_told_on_stderr(
    bundle_copy: Path, data_dir: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, "avx2")
    manifest = read_document(bundle_copy)
    manifest["profile"]["export"] |= {"reduce_range": False, "weight_type": "int8"}
    write_manifest(bundle_copy, manifest)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        code, out, err = run("evaluate", bundle_copy, "--data", data_dir / "test.tsv", "--json")
    assert code == 0
    assert json.loads(out)["quality"]["n"] == 64
    # One line, without the source line that Python prints for warnings.
    assert err.startswith(f"edgebert: warning: {bundle_copy}: INT8 sums saturate on this CPU")
    assert err.endswith("export with --profile x86-avx2, whose weights have seven\n")
    assert err.count("\n") == 1


def test_every_metric_of_the_task_is_told_from_both_sides(built: Path, data_dir: Path, run: Run) -> None:
    code, out, _ = run("evaluate", built, "--data", data_dir / "test.tsv")
    assert code == 0
    told = {line.split()[0]: float(line.split()[1]) for line in out.splitlines()}
    assert list(told) == ["accuracy", "f1", "macro_f1", "matthews"]
    found = edgebert.evaluate(edgebert.load(built), data_dir / "test.tsv")
    assert {name: round(quality.value, 4) for name, quality in found.items()} == told
    _, out, _ = run("evaluate", built, "--data", data_dir / "test.tsv", "--json")
    assert [other["metric"] for other in json.loads(out)["others"]] == ["f1", "macro_f1", "matthews"]


def test_a_metric_that_one_text_says_nothing_of_is_no_nought(built: Path, tmp_path: Path, run: Run) -> None:
    path = tmp_path / "one.tsv"
    path.write_text("text\tlabel\na film\tneg\n")
    code, out, _ = run("evaluate", built, "--data", path)
    assert code == 0
    assert "1 text)" in out.splitlines()[0]
    assert "f1 undefined (1 text, without a text of the positive label)" in out.splitlines()
    assert "matthews undefined (1 text, without two different labels)" in out.splitlines()
    _, out, _ = run("evaluate", built, "--data", path, "--json")
    assert [other.get("lacks", "") for other in json.loads(out)["others"]] == [
        "a text of the positive label",
        "",
        "two different labels",
    ]


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        ("text\na film\n", "line 1: no column 'label'"),
        ("text\tlabel\na film\tpos\n \tneg\n", "line 3: "),
        ("text\tlabel\na film\tpos\n\x01\tneg\n", "line 3: text '\\x01' holds no token"),
    ],
)
def test_evaluate_names_the_line_of_a_fault(content: str, fact: str, built: Path, tmp_path: Path, run: Run) -> None:
    path = tmp_path / "d.tsv"
    path.write_text(content)
    message = refused(run("evaluate", built, "--data", path))
    assert str(path) in message
    assert fact in message

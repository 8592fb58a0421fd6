"""`edgebert export` with invalid input: one line of error, exit code 2, and no incomplete files."""

import errno
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from manifests import manifest_of
from this_machine import pretend

from edgebert.bundle import bundle_hash, read_document
from edgebert.cli import main
from edgebert.commands.export import question_for
from edgebert.cpu import measured_on


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Check for exit code 2 and one line on stderr besides messages; return that line."""
    assert main(["export", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if line.startswith("edgebert: ")]
    lines = [line for line in lines if "; raise finetune.epochs" not in line]
    assert len(lines) == 1
    return lines[0]


def test_what_does_not_go_together_is_said_before_pytorch_is_imported(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "edgebert.pipeline", None)
    more = ("--set", "quantize.format=static", "--set", "export.graph=plain", "--out", str(tmp_path / "out"))
    assert "static INT8 is made of the rewritten graph" in refused(capsys, str(recipe_file), *more)


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself SIGTERM there")
def test_an_export_that_is_terminated_says_what_is_kept(
    recipe_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("edgebert.commands.export.export_bundle", lambda order: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        assert main(["export", str(recipe_file)]) == 1
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
    said = "edgebert: interrupted; finished work is kept, the same command continues it"
    assert capsys.readouterr().err.splitlines() == [said]


@pytest.mark.parametrize("name", ["../x", "..", ".", "/tmp/x", "a/b", "a\\b", "c:x", "x" * 300, "a\n"])
def test_a_name_that_would_put_the_bundle_elsewhere_is_refused_without_an_out(
    name: str, recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "edgebert.pipeline", None)
    monkeypatch.chdir(tmp_path)
    told = refused(capsys, str(recipe_file), "--set", f"name={json.dumps(name)}")
    assert "which names no folder in build/; give --out" in told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("finetune.epoch=1", "unknown key 'finetune.epoch'"),
        ("finetune.epochs=-1", "'finetune.epochs' is -1"),
        ("quantize.format=int4", "'quantize.format' is 'int4'; expected one of"),
        ("task=translation", "task 'translation' is not known"),
        ("metric=bleu", "'metric' is 'bleu'; expected one of 'accuracy'"),
        ("head.threshold=0.5", "unknown key 'head.threshold'"),
        ("distill.layers=[2,0]", "rising order"),
        ("distill.layers=[0,7]", "the teacher has 3 layers"),
        ("profile=toaster", "unknown profile 'toaster'; shipped: "),
        ("data.text=sentence", "no column 'sentence'"),
        ("data.train=nothing.tsv", "nothing.tsv: no such file"),
        ('data.train=""', "need 'data.train'"),
        ("model.source=./nowhere", "no such model folder"),
        ('data.label_names={ pos = "p", bad = "b" }', "that the model does not have: 'neg' ("),
        ("export.formats=[]", "formats is empty"),
    ],
)
def test_a_recipe_that_cannot_be_run(
    override: str, says: str, recipe_file: Path, data_dir: Path, built: Path, tmp_path: Path, capsys: Any
) -> None:
    work = str(built.with_name(built.name + ".work"))
    out = tmp_path / "out"
    line = refused(
        capsys, str(recipe_file), "--data-dir", str(data_dir), "--out", str(out), "--work", work, "--set", override
    )
    assert says in line
    assert list(tmp_path.iterdir()) == []


def test_more_labels_in_the_data_than_in_the_head(
    recipe_file: Path, data_dir: Path, classifier_checkpoint: Path, tmp_path: Path, capsys: Any
) -> None:
    data = Path(shutil.copytree(data_dir, tmp_path / "data"))
    with (data / "train.tsv").open("a") as opened:
        opened.write("a film\tmixed\n")
    model, out = str(classifier_checkpoint), str(tmp_path / "o")
    line = refused(capsys, str(recipe_file), "--data-dir", str(data), "--model", model, "--out", out)
    assert (
        "no label of the files ('mixed', 'neg', 'pos') is among the 2 of the head (LABEL_0, LABEL_1); map them" in line
    )
    assert not (tmp_path / "o").exists()


def test_an_out_that_cannot_be_written(recipe_file: Path, data_dir: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").write_text("not a folder")
    line = refused(capsys, str(recipe_file), "--data-dir", str(data_dir), "--out", str(tmp_path / "file" / "out"))
    assert "cannot be written" in line


def test_an_out_that_holds_something_else_is_left_alone(
    recipe_file: Path, data_dir: Path, built: Path, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    work = str(built.with_name(built.name + ".work"))
    line = refused(
        capsys, str(recipe_file), "--data-dir", str(data_dir), "--out", str(tmp_path / "precious"), "--work", work
    )
    assert "exists and is not a bundle" in line
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "years of work"


def test_a_full_disk_leaves_no_bundle(
    recipe_file: Path, data_dir: Path, built: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **named: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("edgebert.exporters.assemble.copy_graphs", full)
    work = str(built.with_name(built.name + ".work"))
    out = tmp_path / "out"
    line = refused(capsys, str(recipe_file), "--data-dir", str(data_dir), "--out", str(out), "--work", work)
    assert "no space left" in line
    assert not out.exists()
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_a_bundle_that_a_killed_export_moved_aside_stands_again_before_any_work(
    bundle_copy: Path, tmp_path: Path, capsys: Any
) -> None:
    before = bundle_hash(bundle_copy)
    bundle_copy.rename(tmp_path / ".bundle.old")
    recipe = tmp_path / "x.toml"
    recipe.write_text('name = "x"\ntask = "text-classification"\n[model]\nsource = "no-such-folder"\n')
    refused(capsys, str(recipe), "--out", str(bundle_copy))
    assert bundle_hash(bundle_copy) == before


def test_without_the_export_extra_the_extra_is_named(
    recipe_file: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebert.exporting.NEEDED", ("no_such_package",))
    line = refused(capsys, str(recipe_file), "--out", str(tmp_path / "out"))
    assert "pip install 'edgebert[export]'" in line


@pytest.mark.parametrize(
    ("task", "segments", "asked"),
    [
        ("text-classification", 1, '"your text"'),
        ("text-classification", 2, '"one text" --text-pair "another"'),
        ("regression", 2, '"one text" --text-pair "another"'),
        ("similarity", 2, '"your text"'),
        ("question-answering", 2, '"a question" --context "the text to answer it from"'),
        ("fill-mask", 1, '"a text with a [MASK] in it"'),
    ],
)
def test_the_closing_hint_asks_what_the_bundle_answers(task: str, segments: int, asked: str) -> None:
    assert question_for(manifest_of(task=task, segments=segments)) == asked


@pytest.mark.parametrize(("policy", "spins"), [("", "20000"), ("ACTIVE", None)])
def test_threads_wait_briefly_unless_they_are_told_otherwise(
    policy: str, spins: str | None, recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, policy)
        if not policy or name == "GOMP_SPINCOUNT":
            monkeypatch.delenv(name)
    refused(capsys, str(recipe_file), "--data-dir", str(tmp_path / "no"), "--out", str(tmp_path / "o"))
    assert os.environ.get("GOMP_SPINCOUNT") == spins


@pytest.mark.parametrize(
    ("features", "profile", "has"),
    [(["avx2"], "x86-avx2", "AVX2 without VNNI"), (["avx2", "avx512_vnni"], "x86-avx512-vnni", "VNNI")],
)
def test_an_export_is_for_the_machine_at_hand_if_nothing_names_another(
    features: list[str], profile: str, has: str, recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """It stops before PyTorch is imported, after the message is printed."""
    pretend(monkeypatch, *features)
    monkeypatch.setitem(sys.modules, "edgebert.pipeline", None)
    out = ["--out", str(tmp_path / "out")]
    main(["export", str(recipe_file), *out])
    said = f"profile: {profile}, because this CPU (Some CPU) has {has}; --profile names another"
    lines = capsys.readouterr().err.splitlines()
    assert said in lines
    assert f"exporting tiny for {profile}; finished stages are kept in {tmp_path / 'out.work'}" in lines
    assert not any(line.startswith("warning: ") for line in lines)
    for named in (["--profile", "raspberry-pi-5"], ["--set", "profile=raspberry-pi-5"]):
        main(["export", str(recipe_file), *named, *out])
        assert not any(line.startswith("profile: ") for line in capsys.readouterr().err.splitlines())


def test_a_profile_whose_sums_saturate_here_is_warned_of_before_the_work(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch, "avx2")
    monkeypatch.setitem(sys.modules, "edgebert.pipeline", None)
    command = ["export", str(recipe_file), "--profile", "x86-avx512-vnni", "--out", str(tmp_path / "out")]
    main(command)
    said = (
        "edgebert: warning: profile x86-avx512-vnni has eight-bit weights, whose INT8 sums saturate on this CPU (Some "
        "CPU, AVX2 without VNNI): quality is measured here, and is better on CPUs with VNNI; for this CPU: "
        "--profile x86-avx2"
    )
    assert said in capsys.readouterr().err.splitlines()
    main([*command, "--set", "quantize.format=none"])
    assert "saturate" not in capsys.readouterr().err


@pytest.mark.slow
def test_a_manifest_says_where_its_quality_was_measured(
    recipe_file: Path, data_dir: Path, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """In a work folder from another CPU, only the steps that depend on the CPU are measured again."""
    before = measured_on()
    assert read_document(built)["measured_on"] == before
    pretend(monkeypatch, "avx2")
    out, work = tmp_path / "out", shutil.copytree(built.with_name(built.name + ".work"), tmp_path / "work")
    command = ["export", str(recipe_file), "--data-dir", str(data_dir), "--work", str(work), "--out", str(out)]
    assert main([*command, "--profile", read_document(built)["profile"]["name"], "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    # A CPU of the same kind measures nothing again, and the manifest still names the CPU that measured.
    again = before["int8"] != "avx2"
    here = {"cpu": "Some CPU", "machine": "x86_64", "int8": "avx2"} if again else before
    assert document["measured_on"] == read_document(out)["measured_on"] == here
    assert f"Measured on: {here['cpu']}, x86_64, AVX2 without VNNI." in (out / "README.md").read_text()
    assert [stage["title"] for stage in document["stages"] if not stage["cached"]] == ["quantize"] * again

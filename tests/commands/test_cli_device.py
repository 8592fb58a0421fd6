"""The command line of the device half: answers on stdout, one line of error on stderr, exit codes 0, 1 and 2."""

import io
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from edgebert.cli import main
from edgebert.errors import BundleError, SettingsError
from edgebert.measure.pairs import Difference, Pair
from edgebert.measure.results import Case, Result

Run = Callable[..., tuple[int, str, str]]
# Standard input as it is in a UTF-8 locale; in the C locale Python lets wrong bytes through as surrogates.
STRICT = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
COMMANDS = ["export", "predict", "evaluate", "bench", "report", "inspect", "verify", "profiles", "doctor"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; gives its exit code, stdout and stderr."""

    def command(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        return (code, *capsys.readouterr())

    return command


def refused(answer: tuple[int, str, str]) -> str:
    code, out, err = answer
    assert (code, out) == (2, "")
    assert err.startswith("edgebert: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    return err.removeprefix("edgebert: ").rstrip("\n")


def test_no_command_is_wrong_use_and_shows_the_help(run: Run) -> None:
    code, out, err = run()
    assert (code, out) == (2, "")
    for command in COMMANDS:
        assert f"    {command} " in err


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_an_example(command: str, run: Run) -> None:
    code, out, err = run(command, "--help")
    assert (code, err) == (0, "")
    assert f"Example: edgebert {command}" in out


WRONG = [["fly"], ["predict"], ["evaluate", "x"], ["predict", "x", "--runtime", "y"], ["verify", "x", "--fast"]]


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_use_ends_with_2_and_says_why(arguments: list[str], run: Run) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "error: " in err.splitlines()[-1]


def test_predict_answers_one_line_a_text(built: Path, run: Run) -> None:
    code, out, err = run("predict", built, "a good film", "the story was awful", "film " * 500)
    assert (code, err) == (0, "")
    rows = [line.split("\t") for line in out.splitlines()]
    assert [(row[0], row[2]) for row in rows[:2]] == [("pos", "a good film"), ("neg", "the story was awful")]
    assert 0.5 < float(rows[0][1]) <= 1
    assert rows[2][2].endswith("…")
    assert [len(row) for row in rows] == [3, 3, 4]
    assert rows[2][3] == "(cut short)"


def test_a_text_of_two_lines_is_answered_in_one(built: Path, run: Run) -> None:
    code, out, _ = run("predict", built, "a good\nfilm\tis so\rgood")
    assert code == 0
    assert len(out.splitlines()) == 1
    assert out.count("\t") == 2


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_predict_as_json_is_only_json(built: Path, runtime: str, run: Run) -> None:
    texts = ["a good film", "film " * 500 + "🙂"]
    answers = json.loads(run("predict", built, *texts, "--json", "--runtime", runtime, "--threads", 1)[1])
    assert [answer["text"] for answer in answers] == texts
    assert [answer["truncated"] for answer in answers] == [False, True]
    assert answers[0]["label"] == "pos"
    assert answers[0]["score"] == answers[0]["scores"]["pos"]
    assert sum(answers[0]["scores"].values()) == pytest.approx(1, abs=1e-6)


FILES = {
    "in.txt": "a good film\n\nthe story was awful\n",
    "in.jsonl": '{"text": "a good film"}\n{"text": "the story was awful", "id": 3}\n',
    "in.tsv": "id\ttext\n1\ta good film\n2\tthe story was awful\n",
}
ANSWERS = [["pos", "a good film"], ["neg", "the story was awful"]]


@pytest.mark.parametrize(("name", "content"), FILES.items())
def test_predict_reads_a_file(name: str, content: str, built: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / name).write_text(content)
    code, out, _ = run("predict", built, "--input", tmp_path / name)
    assert code == 0
    assert [line.split("\t")[::2] for line in out.splitlines()] == ANSWERS


def test_predict_reads_stdin(built: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a good film\n\n  \nthe story was awful"))
    code, out, _ = run("predict", built)
    assert code == 0
    assert [line.split("\t")[0] for line in out.splitlines()] == ["pos", "neg"]


def test_stdin_that_is_not_utf8_is_bad_input(built: Path) -> None:
    command = [sys.executable, "-m", "edgebert.cli", "predict", str(built)]
    done = subprocess.run(command, input=b"a good film\ncaf\xe9\n", capture_output=True, env=STRICT, check=False)
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (["a", "--text-pair", "b"], "this bundle takes single texts"),
        (["a", "--context", "b"], "this bundle takes single texts"),
        (["--text-pair", "b"], "a second text goes with exactly one TEXT; 0 given"),
        (["a", "c", "--text-pair", "b"], "a second text goes with exactly one TEXT; 2 given"),
        (["--context", "b"], "a second text goes with exactly one TEXT; 0 given"),
        (["a", "c", "--context", "b"], "a second text goes with exactly one TEXT; 2 given"),
        (["a", "--text-pair", "b", "--context", "b"], "both --text-pair and --context are given"),
        (["a", "--input", "x.txt"], "both TEXT and --input are given"),
        (["--input", "no.txt"], "no.txt: no such file"),
        (["--input", "x.pdf"], "unknown data format '.pdf'"),
        (["a", "  "], "holds no token"),
        (["a", "--threads", "0"], "threads is 0; give 1 to 1024"),
        (["a", "--threads", "100000"], "threads is 100000; give 1 to 1024"),
        (["good", "", "bad"], "text 2 of 3: text '' holds no token"),
    ],
)
def test_predict_refuses_what_it_cannot_answer(arguments: list[str], fact: str, built: Path, run: Run) -> None:
    assert fact in refused(run("predict", built, *arguments))


def test_predict_takes_texts_behind_an_option(built: Path, run: Run) -> None:
    before, after = (
        run("predict", "--json", built, "a good film", "dull"),
        run("predict", built, "--json", "a good film", "dull"),
    )
    assert before == after
    assert [answer["text"] for answer in json.loads(after[1])] == ["a good film", "dull"]


def test_an_option_that_is_not_known_is_wrong_use(built: Path, run: Run) -> None:
    code, out, err = run("predict", built, "--loud", "a")
    assert (code, out) == (2, "")
    assert "unrecognized arguments: --loud" in err


def test_predict_reads_the_columns_that_the_bundle_was_made_from(bundle_copy: Path, tmp_path: Path, run: Run) -> None:
    manifest = json.loads((bundle_copy / "manifest.json").read_text())
    manifest["data"]["columns"]["text"] = "sentence"
    (bundle_copy / "manifest.json").write_text(json.dumps(manifest))
    rows = tmp_path / "rows.tsv"
    rows.write_text("sentence\tlabel\na good film\tpos\n")
    code, out, _ = run("predict", bundle_copy, "--input", rows)
    assert code == 0
    assert out.endswith("\ta good film\n")


def test_bench_says_that_a_given_baseline_is_not_there(built: Path, run: Run) -> None:
    message = refused(run("bench", built, "--baseline", "no-such-folder"))
    assert message == "no-such-folder: no such folder; give --baseline a full-precision bundle"


def test_evaluate_gives_the_manifests_own_figure(built: Path, data_dir: Path, manifest: Any, run: Run) -> None:
    test = manifest["metrics"]["test"]
    code, out, _ = run("evaluate", built, "--data", data_dir / "test.tsv", "--json")
    assert code == 0
    assert json.loads(out)["quality"] == pytest.approx(test)
    code, out, _ = run("evaluate", built, "--data", data_dir / "test.tsv")
    assert out.startswith(f"accuracy {test['value']:.4f} (95% {test['ci_low']:.4f} to {test['ci_high']:.4f}, 64 texts)")


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        ("text\tlabel\na film\tpos\na song\tneutral\n", "line 3: unknown label 'neutral'; expected one of: neg, pos"),
        ("text\na film\n", "line 1: no column 'label'"),
        ("text\tlabel\na film\tpos\n \tneg\n", "line 3: "),
    ],
)
def test_evaluate_names_the_line_of_a_fault(content: str, fact: str, built: Path, tmp_path: Path, run: Run) -> None:
    path = tmp_path / "d.tsv"
    path.write_text(content)
    message = refused(run("evaluate", built, "--data", path))
    assert str(path) in message
    assert fact in message


def test_inspect_and_verify_tell_the_same_hash(built: Path, manifest: dict[str, Any], run: Run) -> None:
    _, inspected, _ = run("inspect", built, "--json")
    _, verified, _ = run("verify", built, "--json")
    assert json.loads(verified)["hash"] == json.loads(inspected)["bundle_hash"]
    assert {key: json.loads(inspected)[key] for key in manifest} == manifest
    code, page, err = run("inspect", built)
    assert (code, err) == (0, "")
    for shown in ("tiny", "text-classification, 2 labels: neg, pos", "int8-dynamic", json.loads(verified)["hash"]):
        assert shown in page
    assert all(entry["path"] in page for entry in manifest["files"])
    assert f"{len(manifest['files'])} files whole and unaltered" in run("verify", built)[1]


@pytest.mark.parametrize("command", ["predict", "verify", "bench"])
def test_a_damaged_bundle_is_one_line(command: str, bundle_copy: Path, built: Path, run: Run) -> None:
    model = bundle_copy / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    baseline = str(built.with_name(built.name + ".stages") / "0-baseline")
    arguments = [command, str(bundle_copy), *(["--baseline", baseline] if command == "bench" else [])]
    assert refused(run(*arguments)).startswith(f"{model}: altered")
    with pytest.raises(BundleError):
        main([*arguments, "--debug"])


def test_verify_tells_every_damaged_file(bundle_copy: Path, run: Run) -> None:
    model, tokenizer = bundle_copy / "model.onnx", bundle_copy / "tokenizer.json"
    model.write_bytes(model.read_bytes()[:-1])
    tokenizer.unlink()
    code, out, err = run("verify", bundle_copy, "--json")
    assert code == 2
    assert json.loads(out)["whole"] is False
    assert len(json.loads(out)["damages"]) == len(err.splitlines()) == 2
    assert f"{tokenizer}: missing from the bundle" in err
    assert f"{model}: {model.stat().st_size} bytes, expected {model.stat().st_size + 1}" in err


@pytest.mark.parametrize("command", ["predict", "inspect", "verify", "bench"])
def test_what_is_no_bundle_is_one_line(command: str, tmp_path: Path, run: Run) -> None:
    assert "no manifest.json" in refused(run(command, tmp_path))


def test_profiles_lists_them_and_shows_one_with_its_sources(run: Run) -> None:
    code, listed, _ = run("profiles")
    assert code == 0
    names = [line.split()[0] for line in listed.splitlines()[2:]]
    assert [target["name"] for target in json.loads(run("profiles", "--json")[1])] == names
    (target,) = json.loads(run("profiles", "raspberry-pi-5", "--json")[1])
    page = run("profiles", "raspberry-pi-5")[1]
    assert all(source in page for source in target["sources"].values())
    assert "unknown profile 'pi'" in refused(run("profiles", "pi"))
    with pytest.raises(SettingsError):
        main(["profiles", "pi", "--debug"])


def test_doctor_tells_versions_and_fitting_profiles(run: Run) -> None:
    code, out, err = run("doctor", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert {row["package"]: row["version"] for row in document["packages"]}["numpy"] == version("numpy")
    assert document["environment"]["cores"] >= 1
    page = run("doctor")[1]
    assert all(name in page for name in ("numpy", "onnxruntime", *document["profiles"]))


SUITE = 'name = "tiny"\nrounds = 2\nsamples = 10\nwarmup = 1\nbatch_size = 8\n'


def test_bench_measures_every_stage_beside_the_baseline(built: Path, data_dir: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "s.toml").write_text(SUITE)
    arguments = ["--data", data_dir / "test.tsv", "--suite", tmp_path / "s.toml", "--stages", "--out", tmp_path / "out"]
    code, out, err = run("bench", built, *arguments, "--json")
    assert code == 0, err
    document = json.loads(out)
    assert document == json.loads((tmp_path / "out" / "result.json").read_text())
    names = ["fp32", "1-graph", "2-distill", "3-prune", "bundle"]
    assert [case["variant"] for case in document["cases"]] == names * 2
    assert [case["scenario"] for case in document["cases"]] == ["single_stream"] * 5 + ["offline"] * 5
    what = [f"{kind}, natural lengths: fp32 / {name}" for kind in ("p50", "offline time") for name in names[1:]]
    assert [ratio["what"] for ratio in document["ratios"]] == what
    assert all(0 < ratio["ci_low"] <= ratio["ci_high"] for ratio in document["ratios"])
    assert [row["variant"] for row in document["waterfall"]] == names
    assert (document["data"]["rows"], document["environment"]["machine"]) == (64, platform.machine())
    for case in document["cases"][:5]:
        assert case["p50_ms"] <= case["p90_ms"] <= case["p99_ms"]
        assert case["cold_start_ms"] > case["import_ms"] > 0
        assert (case["samples"], case["quality"]["n"]) == (20, 64)
        assert 10 < case["peak_rss_mb"] < 1000
        assert case["p50_ci"][0] <= case["p50_ms"] <= case["p50_ci"][1]
        assert set(case["memory"]) == {"import_mb", "load_mb", "first_mb", "steady_mb"}
    assert document["null_model"]["samples"] == 5 * 20
    assert [pair["n"] for pair in document["pairs"]] == [64] * 4
    assert document["finished"]
    recorded = json.loads((built / "manifest.json").read_text())["metrics"]["test"]["value"]
    assert document["cases"][4]["quality"]["value"] == pytest.approx(recorded)


def disturbed_result(reasons: list[str]) -> Result:
    """A result of one bench with every scenario in it."""
    cases = [
        Case("b", "h", "fp32", "local", "onnxruntime", scenario, 1, "natural", 1, 30, 1.0, 2.0, 3.0, size_mb=1.0)
        for scenario in ("single_stream", "offline", "server", "cold_start", "memory", "soak")
    ]
    cases[0].p90_ci = [1.75, 2.25]
    cases[2].server = {"target_qps": 123.4, "bound_ms": 50.0, "percent": 99.0}
    cases[3].cold_start_ms, cases[3].cold_start_ci = 61.0, [58.0, 65.0]
    cases[4].memory, cases[4].arena = {"import_mb": 20.5, "load_mb": 50.0, "first_mb": 60.0, "steady_mb": 80.0}, False
    cases[5].drift = 1.25
    result = Result("edgebert bench", {}, None, {}, cases)
    result.pairs = [Pair("accuracy: fp32 / bundle", 5, 0, 0.0625, 40)]
    result.differences = [Difference("accuracy: fp32 / bundle", -0.125, -0.2, 0.0, 40)]
    result.verdict = {"disturbed": bool(reasons), "reasons": reasons}
    return result


HOT = ["it was hot"]


@pytest.mark.parametrize(
    ("strict", "reasons", "code"), [(True, HOT, 1), (True, HOT * 3, 1), (False, HOT, 0), (True, [], 0)]
)
def test_strict_refuses_a_disturbed_run_and_keeps_it(
    strict: bool, reasons: list[str], code: int, built: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebert.commands.bench.bench", lambda *arguments: disturbed_result(reasons))
    monkeypatch.setattr("edgebert.commands.bench.add_details", lambda *arguments: None)
    found, out, err = run("bench", built, "--out", tmp_path / "out", *(["--strict"] if strict else []))
    assert found == code
    assert out.count("disturbed: it was hot\n") == len(reasons)
    more = " and 2 more" if len(reasons) > 1 else ""
    refusal = (
        f"edgebert: refused, the machine was disturbed: it was hot{more}; the result is kept in {tmp_path / 'out'}\n"
    )
    assert err == f"result: {tmp_path / 'out' / 'result.json'}\n" + (refusal if code else "")
    for line in (
        "fp32     onnxruntime  natural           1.000   2.000  1.750-2.250  3.000  30",
        "fp32     onnxruntime  natural  123.4    99    50        1.000   2.000  3.000",
        "fp32     onnxruntime  natural  61       58       65",
        "fp32     onnxruntime  natural  off    20.5       50.0  60.0   80.0",
        "accuracy: fp32 / bundle: -0.1250 (95% -0.2000 to +0.0000); ",
        "only one is right on 5 / 0 texts, McNemar p = 0.062\n",
    ):
        assert line in out
    assert "1.250" in out


# Tests may run where signals are ignored, as behind nohup; a bench started by hand does not.
STARTED_BY_HAND = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
from edgebert.cli import main
sys.exit(main(sys.argv[1:]))
"""


def running() -> dict[int, int]:
    """Every process that has not ended, and its parent."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state not in "ZX":
            found[int(stat.parent.name)] = int(parent)
    return found


def children_of(pid: int) -> set[int]:
    return {child for child, parent in running().items() if parent == pid}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_bench_keeps_what_is_done_and_leaves_nothing_running(
    number: signal.Signals, built: Path, tmp_path: Path
) -> None:
    suite = 'scenarios = ["single_stream", "soak"]\nrounds = 2\nsamples = 10\nlengths = [16]\nsoak_minutes = 1.0\n'
    (tmp_path / "s.toml").write_text(suite)
    out = tmp_path / "out"
    command = [sys.executable, "-c", STARTED_BY_HAND, "bench", str(built), "--suite", str(tmp_path / "s.toml")]
    with subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.PIPE, text=True) as bench:
        assert bench.stderr is not None
        lines = []
        while not (lines and ": soak, " in lines[-1]):
            lines.append(bench.stderr.readline())
            assert lines[-1], "".join(lines)
        while not (children := children_of(bench.pid)):
            time.sleep(0.01)
        bench.send_signal(number)
        rest = bench.stderr.read()
    assert bench.returncode == 1
    assert rest == f"edgebert: interrupted; what was measured is kept in {out / 'result.json'}\n"
    # One that was starting just then finds no job on its input and ends by itself.
    deadline = time.monotonic() + 20
    while children & set(running()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    document = json.loads((out / "result.json").read_text())
    assert [(case["scenario"], case["samples"]) for case in document["cases"]] == [("single_stream", 20)] * 2
    assert not document["finished"]

"""`edgebert bench`: stages compared with the baseline, and a disturbed run."""

import json
import platform
from pathlib import Path

import pytest
from command_line import Run, refused
from small_bundle import write_small_bundle

import edgebert
from edgebert.commands.bench_tables import show
from edgebert.measure.results import Case, Result
from edgebert.measure.scenarios import answers, quality
from edgebert.metrics.pairs import Difference, Pair


def test_bench_says_that_a_given_baseline_is_not_there(built: Path, run: Run) -> None:
    message = refused(run("bench", built, "--baseline", "no-such-folder"))
    assert message == "no-such-folder: no such folder; give --baseline a full-precision bundle"


SUITE = 'name = "tiny"\nrounds = 2\nsamples = 10\nwarmup = 1\nbatch_size = 8\n'


@pytest.mark.slow
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
    assert {(ratio["ci_low"], ratio["ci_high"], ratio["rounds"]) for ratio in document["ratios"]} == {(None, None, 2)}
    assert [row["variant"] for row in document["waterfall"]] == names
    assert (document["data"]["rows"], document["environment"]["machine"]) == (64, platform.machine())
    for case in document["cases"][:5]:
        assert case["p50_ms"] <= case["p90_ms"] <= case["p99_ms"]
        assert case["cold_start_ms"] > case["import_ms"] > 0
        assert (case["samples"], case["quality"]["n"]) == (20, 64)
        assert 10 < case["peak_rss_mb"] < 1000
        assert (case["p50_ci"], case["hashed"]) == (None, True)
        assert case["hash_ms"] > 0
        assert set(case["memory"]) == {"import_mb", "load_mb", "first_mb", "steady_mb"}
    assert document["null_model"]["samples"] == 5 * 20
    assert [pair["n"] for pair in document["pairs"]] == [64] * 4
    for case in document["cases"][5:]:
        assert 1 <= case["together"]["mean"] <= case["together"]["largest"] <= case["batch"] == 8
    assert document["finished"]
    recorded = json.loads((built / "manifest.json").read_text())["metrics"]["test"]["value"]
    assert document["cases"][4]["quality"]["value"] == pytest.approx(recorded)


def disturbed_result(reasons: list[str]) -> Result:
    """A result of one bench with every scenario."""
    cases = [
        Case("b", "h", "fp32", "local", "onnxruntime", scenario, 1, "natural", 1, 30, 1.0, 2.0, 3.0, size_mb=1.0)
        for scenario in ("single_stream", "offline", "server", "cold_start", "memory", "soak")
    ]
    cases[0].p90_ci = [1.75, 2.25]
    cases[2].server = {"target_qps": 123.4, "bound_ms": 50.0, "percent": 99.0}
    cases[3].cold_start_ms, cases[3].cold_start_ci = 61.0, [58.0, 65.0]
    cases[4].memory, cases[4].arena = {"import_mb": 20.5, "load_mb": 50.0, "first_mb": 60.0, "steady_mb": 80.0}, False
    cases[5].drift, cases[5].peak_rss_mb, cases[5].resident = 1.25, 64.0, {"start_mb": 60.5, "end_mb": 62.0}
    result = Result("edgebert bench", {}, None, {}, cases)
    result.pairs = [Pair("accuracy: fp32 / bundle", 5, 0, 0.0625, 40)]
    result.differences = [Difference("accuracy: fp32 / bundle", -0.125, -0.2, 0.0, 40)]
    result.verdict = {"disturbed": bool(reasons), "reasons": reasons}
    return result


HOT = ["it was hot"]


@pytest.mark.parametrize(
    ("strict", "reasons", "code"), [(True, HOT, 1), (True, HOT * 7, 1), (False, HOT, 0), (True, [], 0)]
)
def test_strict_refuses_a_disturbed_run_and_keeps_it(
    strict: bool, reasons: list[str], code: int, built: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebert.measure.compare.bench", lambda *arguments: disturbed_result(reasons))
    monkeypatch.setattr("edgebert.measure.compare.add_details", lambda *arguments: None)
    found, out, err = run("bench", built, "--out", tmp_path / "out", *(["--strict"] if strict else []))
    assert found == code
    assert out.count("disturbed: it was hot\n") == min(len(reasons), 5)
    assert ("disturbed: 2 more reasons are in result.json\n" in out) == (len(reasons) == 7)
    more = " and 6 more" if len(reasons) > 1 else ""
    refusal = (
        f"edgebert: --strict: the machine was disturbed: it was hot{more}; the result is kept in {tmp_path / 'out'}\n"
    )
    assert err == f"result: {tmp_path / 'out' / 'result.json'}\n" + (refusal if code else "")
    for line in (
        "fp32     onnxruntime  natural           1.000   2.000  1.750-2.250  3.000  30",
        "fp32     onnxruntime  natural  123.4    99    50        1.000   2.000  3.000",
        "fp32     onnxruntime  natural  61       58                65",
        "fp32     onnxruntime  natural  off    20.5       50.0  60.0   80.0",
        "accuracy: bundle minus fp32: -0.1250 (95% -0.2000 to +0.0000); ",
        "only one is right on 5 / 0 texts, McNemar p = 0.062\n",
    ):
        assert line in out
    assert "p90    95% of p90   p99    samples" in out
    assert "cold ms  95% of cold: low  high" in out
    assert "drift  start MB  end   peak\n" in out
    assert "1.250  60.5      62.0  64.0\n" in out


def test_memory_of_the_gpu_is_shown_where_one_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    result = disturbed_result([])
    show(result)
    assert "GPU MB" not in capsys.readouterr().out
    result.cases[4].device_memory_mb = 753.0
    show(result)
    out = capsys.readouterr().out
    assert "arena  import MB  load  first  steady  GPU MB\n" in out
    assert "off    20.5       50.0  60.0   80.0    753\n" in out


def test_outputs_that_are_no_numbers_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    (case, *_) = disturbed_result([]).cases
    case.agreement = {"n": 64, "equal": 61, "share": 0.953125, "largest_difference": None, "not_finite": 7}
    show(Result("edgebert bench", {}, None, {}, [case]))
    assert "64     61 (95.31%)    7 outputs not finite\n" in capsys.readouterr().out


def test_labels_that_the_model_does_not_have_are_said_once_below_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    result = disturbed_result([])
    unknown = {"unknown_labels": {"rows": 3, "labels": {"tiny": 2, "huge": 1}, "more": 0}}
    for case in result.cases:
        case.quality = {"metric": "accuracy", "value": 0.5, "n": 9, "ci_low": None, "ci_high": None} | unknown
    show(result)
    told = "labels: 3 of 9 rows have labels that the model does not have: 'tiny' (2), 'huge' (1); they count as wrong\n"
    assert capsys.readouterr().out.count(told) == 1


def test_strict_labels_refuses_before_anything_is_measured(tmp_path: Path, run: Run) -> None:
    bundle, baseline = (write_small_bundle(tmp_path / name) for name in ("small", "fp32"))
    (tmp_path / "d.tsv").write_text("text\tlabel\na\tshort\na b\ttiny\nb\thuge\n")
    out, data = tmp_path / "out", tmp_path / "d.tsv"
    message = refused(run("bench", bundle, "--baseline", baseline, "--data", data, "--out", out, "--strict-labels"))
    told = f"{data}: line 3: 2 of 3 rows have labels that the model does not have: 'huge' (1), 'tiny' (1)"
    assert message.startswith(f"{told} (it has short, long); correct the file")
    assert not out.exists()


def test_a_bench_counts_labels_that_the_model_does_not_have_as_wrong(tmp_path: Path) -> None:
    data = tmp_path / "d.tsv"
    data.write_text("text\tlabel\na\tshort\na b\ttiny\n")
    model = edgebert.load(write_small_bundle(tmp_path / "small"))
    found = quality.work(model, {"data": str(data), "metric": "accuracy"}, lambda at: None)
    assert found["table"] == [[1.0], [0.0]]
    assert found["quality"]["unknown_labels"] == {"rows": 1, "labels": {"tiny": 1}, "more": 0}
    assert answers.work(model, {"data": str(data), "metric": "accuracy"}, lambda at: None)["quality"]["value"] == 0.5


T4, PI = "nvidia-t4", "raspberry-pi-5"


@pytest.mark.parametrize(
    ("arguments", "profiles"),
    [
        (["--estimate", PI, "B"], [PI]),
        (["B", "--estimate", PI], [PI]),
        (["--estimate", T4, PI, "B"], [T4, PI]),
        (["B", "--estimate", T4, PI], [T4, PI]),
        (["--estimate", f"{T4},{PI}", "B"], [T4, PI]),
        (["--estimate", T4, "--estimate", PI, "B"], [T4, PI]),
        (["--estimate", T4, "--profile-ops", "B"], [T4]),
        (["B", "--estimate", T4, PI, "--profile-ops"], [T4, PI]),
    ],
)
def test_profiles_to_estimate_and_bundles_come_in_any_order(
    arguments: list[str], profiles: list[str], built: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []
    asked: list[str] = []
    monkeypatch.setattr(
        "edgebert.measure.compare.bench", lambda *given: measured.append(given[0].variants) or disturbed_result([])
    )
    monkeypatch.setattr(
        "edgebert.measure.compare.add_details", lambda *given: asked.extend(each.name for each in given[1].estimated)
    )
    command = [str(built) if word == "B" else word for word in arguments]
    code, _, err = run("bench", *command, "--out", tmp_path / "out")
    assert code == 0, err
    assert [[variant.name for variant in variants] for variants in measured] == [["fp32", "bundle"]]
    assert asked == profiles


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["B", "--estimate", "pi"], "unknown profile 'pi'; shipped: "),
        (["B", "--estimate", PI, "pi"], "unknown profile 'pi'; shipped: "),
        (["--estimate", PI, "nowhere"], "nowhere: no manifest.json"),
        (["--estimate", T4, PI], f"no bundle is given besides --estimate {T4} {PI}; give its folder"),
    ],
)
def test_a_profile_that_is_none_and_a_bundle_that_is_none_are_told_apart(
    arguments: list[str], says: str, built: Path, run: Run
) -> None:
    assert says in refused(run("bench", *(str(built) if word == "B" else word for word in arguments)))

"""Encoder and decoder comparison: exported graphs equal transformers, rounds are paired, claims are compared.

The figures of tiny models mean nothing; that they are taken, kept and set beside the claims does.
"""

import importlib
import json
import os
import random
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebert.errors import InputError, ParityError, RunError
from edgebert.measure.progress import Terminal
from edgebert.measure.statistics import Ratio

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))


def load(name: str) -> Any:
    """Import a module of the scripts, which are not in a package."""
    return importlib.import_module(f"bench.architectures.{name}")


child, claims, comparison, figures, jobs, main, models, plan, prepare = map(
    load, ("child", "claims", "comparison", "figures", "jobs", "main", "models", "plan", "prepare")
)
ENCODER, DECODER, HALF = models.ENCODER, models.DECODER, models.ENCODER_DECODER_HALF
MS, MB = 1_000_000, 1_000_000


def answer(architecture: str, job: str, peak_mb: float = 0) -> dict[str, Any]:
    """A process's answer: an encoder takes 10 ms; a decoder 20 ms, and 5 ms more for each further token."""
    tokens = (1,) if architecture == ENCODER else next(each for each in jobs.JOBS if each.name == job).label_tokens
    first = 10 if architecture == ENCODER else 15
    marks = [[(first + (0 if architecture == ENCODER else 5 * count)) * MS for count in tokens]] * 3
    peak = peak_mb or (400 if architecture == ENCODER else 600)
    return {"marks_ns": marks, "import_rss": 100 * MB, "load_rss": 300 * MB, "peak_rss": peak * MB, "processor": None}


class Processes:
    """Returns answers instead of starting processes; fails or is interrupted at one of them."""

    def __init__(self, stops_at: int | None = None, error: BaseException | None = None) -> None:
        self.seen: list[dict[str, Any]] = []
        self.stops_at, self.error = stops_at, error

    def __call__(self, job: dict[str, Any]) -> dict[str, Any]:
        if len(self.seen) == self.stops_at:
            assert self.error
            raise self.error
        self.seen.append(job)
        return answer(job["architecture"], job["job"])


PREPARED = [
    {
        "architecture": name,
        "model": models.MODELS[name],
        "parameters": {"all": 1e8, "word_table": 1e7},
        "checks": [{"job": "classify", "labels": 3, "logits_apart": 1e-6}],
    }
    for name in models.ARCHITECTURES
]


def compare(out: Path, processes: Any, **settings: Any) -> Any:
    chosen = comparison.Settings(**{"rounds": 2, **settings})
    return comparison.Comparison(chosen, PREPARED, out / "work", out, "run", processes)


def test_marks_are_counted_from_the_beginning_of_an_answer() -> None:
    times = iter([100, 107, 119])
    assert child.marks(lambda mark: (mark(), mark()), lambda: next(times)) == [7, 19]


def test_what_is_compared_runs_side_by_side_in_an_order_that_changes() -> None:
    cases = plan.cases(models.ARCHITECTURES, plan.RUNTIMES, ("classify", "tag"))
    found = plan.processes(cases, 3, 1, seed=0)
    assert [process.memory for process in found] == [False] * 48 + [True] * 16
    rounds = [[process.case for process in found[start : start + 16]] for start in (0, 16, 32)]
    assert all(set(each) == set(cases) for each in rounds)
    assert len({tuple(each) for each in rounds}) == 3
    for each in rounds:
        for start in range(0, 16, 4):
            assert len({(case.job, case.runtime) for case in each[start : start + 4]}) == 1


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ((2.6, 3.9), "as quoted"),
        ((1.1, 1.3), "less than quoted"),
        ((4.1, 9.0), "more than quoted"),
        ((2.4, 2.6), "reaches across an end of the range"),
        ((2.0, 5.0), "reaches across an end of the range"),
    ],
)
def test_a_claim_is_judged_by_the_interval(interval: tuple[float, float], said: str) -> None:
    claim = claims.claim_of(claims.LATENCY, DECODER)
    assert (claim.low, claim.high) == (2.5, 4.0)
    assert claims.judged(claim, Ratio("r", sum(interval) / 2, *interval)) == said


def test_percent_less_is_a_ratio() -> None:
    assert claims.less(60) == pytest.approx(2.5)
    assert claims.claim_of(figures.ABOVE_RUNTIME, HALF).high == pytest.approx(1 / 0.35)


def test_ratios_are_the_others_over_the_encoder_at_every_number_of_label_tokens(tmp_path: Path) -> None:
    run = compare(tmp_path, Processes(), runtimes=("onnxruntime",), architectures=(ENCODER, DECODER))
    document = run.run(Terminal())
    latency = {
        (each["job"], each["generated"]): each["value"] for each in document["ratios"] if each["quantity"] == "latency"
    }
    assert latency["classify", 1] == pytest.approx(2.0)
    assert latency["classify", 3] == pytest.approx(3.0)
    assert latency["tag", 96] == pytest.approx(49.5)
    memory = [each for each in document["ratios"] if each["job"] == "tag" and each["quantity"] != "latency"]
    assert [each["value"] for each in memory] == pytest.approx([1.5, 5 / 3])
    assert document["finished"]
    assert json.loads((tmp_path / "architectures.json").read_text()) == json.loads(json.dumps(document))


def test_the_table_sets_every_claim_beside_what_came_out(tmp_path: Path) -> None:
    compare(tmp_path, Processes(), rounds=3).run(Terminal())
    table = (tmp_path / "architectures.md").read_text()
    row = "| a decoder takes 2.5 to 4.0 times as long | decoder | classify, 1 label token |"
    assert f"{row} 2.00x (2.00 to 2.00) | less than quoted | 2.00x (2.00 to 2.00) | less than quoted |" in table
    assert (
        "| an encoder takes 60 to 65% less memory | decoder | tag | 33% less (33 to 33% less) | less than quoted |"
        in table
    )
    assert "an encoder-decoder takes 3.2 to 5.0 times as long | encoder-decoder-half | tag, 96 label tokens" in table


def test_two_rounds_judge_no_claim(tmp_path: Path) -> None:
    compare(tmp_path, Processes(), memory_rounds=2).run(Terminal())
    table = (tmp_path / "architectures.md").read_text()
    row = "| a decoder takes 2.5 to 4.0 times as long | decoder | classify, 1 label token |"
    assert f"{row} 2.00x (no interval) | too few rounds |" in table
    assert "| decoder | tag | 33% less (no interval) | too few rounds |" in table


def test_memory_is_read_in_processes_of_their_own_and_long_jobs_have_fewer_samples(tmp_path: Path) -> None:
    processes = Processes()
    compare(tmp_path, processes, jobs=("classify", "tag")).run(Terminal())
    wanted = {(job["job"], job["scenario"].rpartition(" ")[2], job["samples"]) for job in processes.seen}
    timed = {("classify", "latency", 7), ("tag", "latency", 2)}
    assert wanted == timed | {("classify", "memory", 1), ("tag", "memory", 1)}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(), "interrupted; results so far are kept in"),
        (RunError("it broke"), "it broke; results so far"),
    ],
)
def test_a_run_that_is_stopped_keeps_what_was_done(tmp_path: Path, error: BaseException, said: str) -> None:
    run = compare(tmp_path, Processes(9, error), runtimes=("onnxruntime",), rounds=1)
    with pytest.raises(RunError, match=said):
        run.run(Terminal())
    kept = json.loads((tmp_path / "architectures.json").read_text())
    assert not kept["finished"]
    assert len(kept["cases"]) == 9
    assert kept["ratios"]
    assert "Not finished" in (tmp_path / "architectures.md").read_text()


def test_a_run_that_is_stopped_at_once_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="interrupted; no process was done"):
        compare(tmp_path, Processes(0, KeyboardInterrupt())).run(Terminal())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--rounds", "0"], "--rounds 0 is out of range; give 1 to 1000"),
        (["--samples", "many"], "argument --samples: invalid int value: 'many'; --help lists what can be given"),
        (["--architectures", "decoder"], "--architectures leaves out the encoder"),
        (["--jobs", "translate"], "argument --jobs: invalid choice: 'translate'"),
        (["--threads", "2"], "unrecognized arguments: --threads 2"),
    ],
)
def test_wrong_use_is_one_line_and_2(given: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(given) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"architectures: {said}")
    assert err.count("\n") == 1
    assert not out


def test_an_unwritable_folder_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main.main(["--out", str(tmp_path / "file/out"), "--work", str(tmp_path / "work")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_sizes_are_those_of_the_models_named() -> None:
    """Parameters of the real configurations, counted without allocating weights."""
    import torch
    import transformers

    counts = {}
    for name in models.ARCHITECTURES:
        with torch.device("meta"):
            model = getattr(transformers, models.class_name(name))(models.config_of(name, tiny=False))
        model.tie_weights()
        counts[name] = models.parameters(model)["all"]
    assert counts == {
        ENCODER: 109_483_778,
        DECODER: 124_439_808,
        models.ENCODER_DECODER: 222_903_552,
        HALF: 123_790_080,
    }


@pytest.mark.parametrize("name", [DECODER, HALF])
def test_the_bare_loop_answers_as_generate_does(name: str) -> None:
    import torch

    load_runtime = load("torch_runtime")
    job = jobs.jobs(tiny=True)[-1]
    ids = prepare.text(job, 0, 0)
    model = models.build(name, tiny=True, seed=3)
    labels = load_runtime.over(name, model)(ids, job, lambda: None)
    length = {"max_new_tokens": job.generated, "min_new_tokens": job.generated, "do_sample": False}
    whole = model.generate(torch.from_numpy(ids), attention_mask=torch.ones(ids.shape), pad_token_id=0, **length)
    assert labels == whole[0, -job.generated :].tolist()


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tiny models, prepared in the folder where the command looks for them."""
    folder = tmp_path_factory.mktemp("work")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in (ENCODER, DECODER, HALF):
            prepare.prepare(name, True, 0, folder / "tiny-0" / name)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "graphs"),
    [
        (ENCODER, {"classify.onnx", "tag.onnx"}),
        (DECODER, {"decoder.onnx"}),
        (HALF, {"encode.onnx", "step.onnx"}),
    ],
)
def test_graphs_answer_every_job_as_transformers_does(work: Path, name: str, graphs: set[str]) -> None:
    found = prepare.prepared(work / "tiny-0" / name, prepare.key_of(name, True, 0))
    assert sorted(check["job"] for check in found["checks"]) == ["classify", "compare", "tag"]
    assert all(check["logits_apart"] < 1e-4 for check in found["checks"])
    assert set(found["graphs"]) == graphs


@pytest.mark.slow
def test_a_graph_of_other_weights_is_refused(work: Path) -> None:
    other, job = models.build(HALF, tiny=True, seed=1), jobs.jobs(tiny=True)[0]
    with pytest.raises(ParityError, match="encoder-decoder-half, classify: ONNX Runtime gives"):
        prepare.check(HALF, other, work / "tiny-0" / HALF, job, prepare.text(job, 0, 0))


@pytest.mark.slow
def test_what_is_prepared_is_kept_for_the_same_seed(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "build", lambda *_: pytest.fail("built again"))
    assert prepare.prepare(HALF, True, 0, work / "tiny-0" / HALF)["architecture"] == HALF
    assert prepare.prepared(work / "tiny-0" / HALF, prepare.key_of(HALF, True, 1)) is None


@pytest.mark.slow
@pytest.mark.parametrize("runtime", plan.RUNTIMES)
def test_the_tokens_of_a_prepared_model_are_marked_one_after_another(work: Path, runtime: str) -> None:
    job = jobs.jobs(tiny=True)[0]
    answers = load({"onnxruntime": "onnx_runtime", "pytorch": "torch_runtime"}[runtime])
    answer_of = answers.open_model(DECODER, work / "tiny-0" / DECODER, job)
    marks = child.marks(lambda mark: answer_of(prepare.text(job, 0, 0), job, mark))
    assert len(marks) == 3
    assert marks == sorted(marks)


@pytest.mark.slow
def test_the_whole_run_on_tiny_models(tmp_path: Path, work: Path) -> None:
    command = [sys.executable, str(ROOT / "bench/architectures/run"), "--tiny", "--rounds", "1", "--samples", "3"]
    command += ["--architectures", ENCODER, DECODER, "--jobs", "classify", "--runtimes", "onnxruntime"]
    command += ["--out", str(tmp_path / "out"), "--work", str(work)]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ}, check=False)
    assert run.returncode == 0, run.stderr
    assert "preparing decoder: GPT-2 small" in run.stderr
    assert run.stdout == (tmp_path / "out/architectures.md").read_text()
    result = json.loads((tmp_path / "out/architectures.json").read_text())
    assert [len(case["latency"]) for case in result["cases"]] == [1, 3]
    assert all(case["memory"]["peak_mb"] > case["memory"]["above_runtime_mb"] > 0 for case in result["cases"])
    raw = json.loads((tmp_path / "out" / result["cases"][1]["raw"]).read_text())
    assert np.array(raw["latency"][0]["marks_ns"]).shape == (3, 3)
    assert "torch" in result["environment"]["versions"]


def test_settings_out_of_order_come_back_in_order() -> None:
    given = ["--architectures", *random.Random(0).sample(models.ARCHITECTURES, 4), "--jobs", "tag", "classify"]
    settings = main.settings_of(main._parser().parse_args(given))
    assert settings.architectures == models.ARCHITECTURES
    assert settings.jobs == ("classify", "tag")


def test_a_parser_error_is_an_input_error() -> None:
    with pytest.raises(InputError, match="unrecognized"):
        main._parser().parse_args(["--nothing"])

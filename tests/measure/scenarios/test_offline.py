"""The offline scenario reports how many texts ran together, which is often fewer than the batch."""

from pathlib import Path

import pytest
from small_bundle import write_small_bundle

import edgebert
from edgebert.commands.bench_tables import show
from edgebert.measure.results import Case, Result
from edgebert.measure.scenarios import offline


@pytest.mark.parametrize(
    ("job", "together"),
    [
        ({"length": 0, "texts": ["a"] * 5 + ["a b a b"] * 3, "batch_size": 32}, {"largest": 5, "mean": 4}),
        ({"length": 0, "texts": ["a"] * 5, "batch_size": 2}, {"largest": 2, "mean": 5 / 3}),
        ({"length": 5, "ids": [[1] * 5] * 3, "samples": 10, "batch_size": 4}, {"largest": 4, "mean": 10 / 3}),
    ],
)
def test_what_ran_together_is_counted(
    job: dict[str, object], together: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline, "LEAST_NS", 1)
    monkeypatch.setattr(offline, "quiet", lambda: None)
    model = edgebert.load(write_small_bundle(tmp_path / "b"))
    ran: list[int] = []
    run_encoded = model.run_encoded
    monkeypatch.setattr(model, "run_encoded", lambda windows: ran.append(len(windows)) or run_encoded(windows))
    answer = offline.work(model, job, lambda at: None)
    assert answer["together"] == pytest.approx(together)
    assert max(ran) == together["largest"]


def test_the_case_has_it_beside_the_batch_that_was_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    case = Case("b", "h", "bundle", "local", "onnxruntime", "offline", 32, "natural", 1)
    answer = {"texts": 10, "total_ns": 1_000_000_000}
    offline.fill(case, [{**answer, "together": {"largest": 5, "mean": 4.0}}] * 2)
    assert (case.batch, case.together) == (32, {"largest": 5, "mean": 4.0})
    show(Result("edgebert bench", {}, None, {}, [case]))
    out = capsys.readouterr().out
    assert "texts/s  run together: mean  largest  allowed\n" in out
    assert "10       4.0                 5        32\n" in out
    offline.fill(older := Case("b", "h", "bundle", "local", "onnxruntime", "offline", 32, "natural", 1), [answer])
    assert older.together is None

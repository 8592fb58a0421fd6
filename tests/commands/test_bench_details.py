"""`edgebert bench` in addition to latency: roofline, time by operator, and labelled estimates."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from manifests import rewrite

from edgebert.cli import main
from edgebert.manifest import read_manifest
from edgebert.runtime.cost import macs, read_cost

SUITE = 'scenarios = ["single_stream"]\nrounds = 2\nsamples = 10\nwarmup = 1\nlengths = [16]\n'


@pytest.fixture(scope="module")
def shown(built: Path, data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A bench with all options: its page, and the folder of its result."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "s.toml").write_text(SUITE)
    arguments = ["--suite", str(folder / "s.toml"), "--data", str(data_dir / "test.tsv"), "--out", str(folder / "out")]
    more = ["--profile-ops", "--estimate", "nvidia-t4", "raspberry-pi-4"]
    with contextlib.redirect_stdout(io.StringIO()) as page:
        assert main(["bench", str(built), *arguments, *more]) == 0
    return page.getvalue(), folder / "out"


@pytest.mark.slow
def test_every_case_has_its_roofline_and_operators(shown: Any, built: Path) -> None:
    _, out = shown
    document = json.loads((out / "result.json").read_text())
    assert [(case["variant"], case["lengths"]) for case in document["cases"]] == [
        *[("fp32", "natural"), ("bundle", "natural")],
        *[("fp32", "16"), ("bundle", "16")],
    ]
    products = read_cost(read_manifest(built))
    assert document["cases"][3]["roofline"]["macs"] == macs(products, [16])
    for case in document["cases"]:
        found = case["roofline"]
        assert 0 < found["share"] < 1
        assert found["reached_gmacs"] == pytest.approx(found["macs"] / case["p50_ms"] / 1e6, abs=0.01)
        assert found["precision"] == {"fp32": "fp32", "bundle": "int8"}[case["variant"]]
        assert case["operators"][0]["us"] >= case["operators"][-1]["us"]
        raw = json.loads((out / "raw" / f"{case['variant']}-operators-{case['lengths']}.json").read_text())
        assert sum(row["us"] for row in raw["nodes"]) == pytest.approx(
            sum(row["us"] for row in case["operators"]), 0.01
        )


@pytest.mark.slow
def test_estimates_are_kept_and_told_apart_from_measurements(shown: Any) -> None:
    page, out = shown
    document = json.loads((out / "result.json").read_text())
    assert {row["profile"] for row in document["estimates"]} >= {"nvidia-t4", "raspberry-pi-4"}
    assert not any("estimate" in json.dumps(case) for case in document["cases"])
    measured, _, estimates = page.partition("ESTIMATES, not measurements")
    assert estimates
    assert "nvidia-t4" not in measured
    lines = [line for line in estimates.splitlines() if "BERT-base" in line]
    assert len(lines) == 4
    assert all("%" in line and "TensorRT" in line for line in lines)


@pytest.mark.slow
def test_the_page_has_the_tables_in_their_order(shown: Any) -> None:
    page, _ = shown
    titles = ["variant ", "roofline: ", "operators of fp32", "operators of bundle", "ESTIMATES"]
    assert sorted(titles, key=page.index) == titles
    assert "every node: raw/bundle-operators-16.json" in page


def test_an_unknown_profile_is_refused_before_anything_is_measured(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(built), "--out", str(tmp_path / "out"), "--estimate", "nvidia-t5"]) == 2
    assert "unknown profile 'nvidia-t5'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_bundles_from_before_the_counting_are_measured_without_a_roofline(
    bundle_copy: Path, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rewrite(bundle_copy, cost=[], precision="fp32")
    (tmp_path / "s.toml").write_text(SUITE)
    arguments = ["--suite", str(tmp_path / "s.toml"), "--baseline", str(bundle_copy), "--out", str(tmp_path / "out")]
    assert main(["bench", str(bundle_copy), *arguments, "--estimate", "graviton3", "--json"]) == 0
    answer = capsys.readouterr()
    document = json.loads(answer.out)
    assert [case["roofline"] for case in document["cases"]] == [None, None]
    assert document["estimates"] == []
    assert "no roofline of bundle: exported before its work was counted; export it again" in answer.err
    assert "no estimates: they need a single-stream case with a roofline" in answer.err

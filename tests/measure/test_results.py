"""The result file: written atomically, in the documented format; the rows of the waterfall."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgebert.errors import DiskError
from edgebert.measure.results import Case, Result, write_json
from edgebert.measure.statistics import Ratio
from edgebert.measure.waterfall import waterfall


def case(variant: str, p50_ms: float = 1.0, size_mb: float = 1.0, **more: Any) -> Case:
    fields = {"scenario": "single_stream", "lengths": "natural", **more}
    return Case(
        "b", "hash", variant, "local", "onnxruntime", batch=1, threads=1, p50_ms=p50_ms, size_mb=size_mb, **fields
    )


def test_a_result_has_the_contracts_keys(tmp_path: Path) -> None:
    result = Result("edgebert bench x", {"rounds": 2}, None, {"cpu": "x"}, [case("fp32")], [Ratio("p50", 2, 1, 3)])
    path = result.write(tmp_path / "deep" / "out")
    document = json.loads(path.read_text())
    assert list(document) == [
        *("format", "format_version", "command", "suite", "data", "environment"),
        *("cases", "ratios", "waterfall", "estimates", "pairs", "differences"),
        *("null_model", "environment_after", "verdict", "intervals", "finished", "gates"),
    ]
    assert (document["format"], document["format_version"]) == ("edgebert-result", 1)
    assert document["ratios"] == [{"what": "p50", "value": 2, "ci_low": 1, "ci_high": 3, "rounds": None}]
    assert set(document["cases"][0]) >= {
        *("bundle", "variant", "target", "runtime", "scenario", "batch", "lengths", "threads", "samples"),
        *("p50_ms", "p90_ms", "p99_ms", "mean_ms", "throughput", "cold_start_ms", "import_ms", "load_ms"),
        *("first_ms", "peak_rss_mb", "size_mb", "quality", "raw", "p50_ci", "p90_ci", "p99_ci"),
        *("drift", "arena", "memory", "power", "server"),
    }


def test_a_document_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DiskError, match=r"result\.json: cannot be written"):
        Result("", {}, None, {}).write(tmp_path / "file")


def test_waterfall_rows_tell_the_gain_over_the_row_before() -> None:
    cases = [
        case("fp32", 8.0, 40.0, quality={"value": 0.9}),
        case("1-graph", 4.0, 40.0, role="stage"),
        case("fp32", 99.0, 40.0, scenario="offline"),
        case("bundle", 1.0, 5.0, quality={"value": 0.8}),
        case("bundle", 99.0, 5.0, lengths="128"),
    ]
    assert waterfall(cases) == [
        {"variant": "fp32", "p50_ms": 8.0, "size_mb": 40.0, "quality": 0.9},
        {"variant": "1-graph", "p50_ms": 4.0, "size_mb": 40.0, "quality": None, "faster": 2.0, "smaller": 1.0},
        {"variant": "bundle", "p50_ms": 1.0, "size_mb": 5.0, "quality": 0.8, "faster": 4.0, "smaller": 8.0},
    ]


def test_two_variants_make_no_waterfall() -> None:
    assert waterfall([case("fp32"), case("bundle")]) == []


@pytest.mark.parametrize(
    "names",
    [
        *(("bundle@onnxruntime", "bundle@openvino"), ("six", "three"), ("a/1-graph", "a", "b")),
        *(("6-layers", "3-layers"), ("2026-11-26-candidate", "bundle")),
    ],
)
def test_what_does_not_come_from_the_one_before_makes_no_waterfall(names: tuple[str, ...]) -> None:
    roles = ("stage" if name == "a/1-graph" else "bundle" for name in names)
    cases = [case(name, role=role) for name, role in zip(names, roles, strict=True)]
    assert waterfall([case("fp32", role="baseline"), *cases]) == []

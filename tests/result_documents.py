"""Hand-made results in the format of `bench`, with known figures."""

import json
from pathlib import Path
from typing import Any

MS = 1_000_000


TOGETHER = {"largest": 17, "mean": 6.5}


def case(variant: str, p50_ms: float | None = 1.0, **more: Any) -> dict[str, Any]:
    """A single-stream case at natural lengths; `more` overrides any key."""
    return {
        **{"bundle": "tiny", "bundle_hash": f"{variant}-hash", "variant": variant, "target": "local"},
        **{"runtime": "onnxruntime", "scenario": "single_stream", "batch": 1, "lengths": "natural", "threads": 1},
        **{"samples": 40, "p50_ms": p50_ms, "p90_ms": p50_ms and p50_ms * 1.5, "p99_ms": p50_ms and p50_ms * 2},
        **{"size_mb": 10.0, "peak_rss_mb": 50.0, "quality": None, "raw": None, **more},
    }


def quality(value: float, metric: str = "accuracy") -> dict[str, Any]:
    return {"metric": metric, "value": value, "n": 1000, "ci_low": value - 0.02, "ci_high": value + 0.02}


def ratio(what: str, value: float, low: float, high: float) -> dict[str, Any]:
    return {"what": what, "value": value, "ci_low": low, "ci_high": high}


def document(cases: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """A result of a baseline and a bundle that is four times faster; `more` overrides any key."""
    if cases is None:
        cases = [
            case("fp32", 8.0, size_mb=40.0, peak_rss_mb=200.0, quality=quality(0.9)),
            case("bundle", 2.0, quality=quality(0.895)),
        ]
    return {
        **{"format": "edgebert-result", "format_version": 1, "command": "edgebert bench build/tiny --data dev.tsv"},
        **{
            "suite": {"name": "standard", "rounds": 2},
            "data": {"file": "dev.tsv", "sha256": "ab12" * 16, "rows": 1000},
        },
        **{"environment": {"cpu": "Some CPU", "machine": "x86_64", "cores": 2, "flags": ["avx2", "zz"], "gpu": None}},
        **{"cases": cases, "ratios": [ratio("p50, natural lengths: fp32 / bundle", 4.0, 3.5, 4.5)]},
        **{"waterfall": [], "estimates": [], **more},
    }


def full() -> dict[str, Any]:
    """A result with everything that a result may have."""
    start = {"cold_start_ms": 200.0, "import_ms": 100.0, "load_ms": 60.0, "first_ms": 10.0, "cold_start_ci": [190, 210]}
    memory = {"import_mb": 40.0, "load_mb": 90.0, "first_mb": 91.0, "steady_mb": 95.0}
    steady = {"drift": 1.01, "spread": 1.02, "others": 0.0, "outliers": {"count": 3, "limit_ms": 9.0}}
    speed = {"fp32": 8.0, "1-graph": 6.0, "bundle": 2.0}
    cases = [
        case(
            name,
            p50_ms,
            **{**start, **steady, "p50_ci": [p50_ms * 0.9, p50_ms * 1.1], "memory": memory, "quality": quality(0.9)},
            **{"raw": f"raw/{name}-single_stream-natural.json"},
            power={"joules_per_inference": 0.01 * p50_ms, "source": "RAPL package-0"},
        )
        for name, p50_ms in speed.items()
    ]
    cases += [case(name, p50_ms * at / 32, lengths=str(at)) for name, p50_ms in speed.items() for at in (16, 64)]
    cases += [case(name, None, scenario="offline", batch=32, throughput=500.0, together=TOGETHER) for name in speed]
    cases += [case(name, None, scenario="cold_start", **start) for name in speed]
    cases += [case(name, None, scenario="memory", memory=memory, arena=on) for on in (True, False) for name in speed]
    server = {"target_qps": 300.0, "achieved_qps": 290.0, "bound_ms": 50.0, "percent": 99.0}
    cases.append(case("bundle", 3.0, scenario="server", server=server))
    roofline = {"macs": 250_000_000, "bytes": 17_000_000, "peak_gmacs": 375.0, "reached_gmacs": 150.0, "share": 0.4}
    operators = [
        {"op": "Gelu", "count": 3, "us": 200.0, "share": 0.25},
        {"op": "DynamicQuantizeMatMul", "count": 12, "us": 600.0, "share": 0.75},
    ]
    cases[2] |= {"roofline": roofline, "operators": operators}
    steps = [("fp32", 8.0, None), ("1-graph", 6.0, 1.333), ("bundle", 2.0, 3.0)]
    ratios = [ratio(f"p50, natural lengths: fp32 / {name}", 8.0 / ms, 7.5 / ms, 8.5 / ms) for name, ms, _ in steps[1:]]
    pair = {"what": "accuracy: fp32 / bundle", "only_first": 12, "only_second": 9, "p_value": 0.664, "n": 1000}
    difference = {"what": "accuracy: fp32 / bundle", "value": -0.003, "ci_low": -0.012, "ci_high": 0.006, "n": 1000}
    return document(
        cases,
        ratios=[*ratios, ratio("peak memory, natural lengths, arena off: fp32 / bundle", 1.5, 1.4, 1.6)],
        waterfall=[
            {"variant": name, "p50_ms": ms, "size_mb": 10.0, "quality": 0.9, **({"faster": gain} if gain else {})}
            for name, ms, gain in steps
        ],
        pairs=[pair],
        differences=[difference],
        verdict={"disturbed": False, "reasons": []},
        null_model={"p50_us": 0.2, "samples": 40},
        environment_after={"governor": "performance", "load_average": [0.5, 0.4, 0.3]},
        estimates=[{"target": "raspberry-pi-5", "model": "roofline", "p50_ms": 12.3, "efficiency": 0.35}],
        gates=[{"gate": "p50>9", "failed": False, "case": "bundle", "value": 2.0, "limit": 9.0}],
        finished=True,
    )


def write(folder: Path, whole: dict[str, Any], rounds: int = 2) -> Path:
    """Write a result, with raw samples for every case that names them; return the path of `result.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in whole["cases"]:
        if isinstance(each, dict) and each.get("raw"):
            (folder / each["raw"]).parent.mkdir(exist_ok=True)
            latencies = [int(each["p50_ms"] * MS * (0.8 + at / 50)) for at in range(20)]
            answers = [{"latencies_ns": [ns + at for ns in latencies]} for at in range(rounds)]
            (folder / each["raw"]).write_text(json.dumps({"rounds": answers}))
    (folder / "result.json").write_text(json.dumps(whole))
    return folder / "result.json"

"""The probe: which rates it returns, and that they are work divided by time."""

from typing import Any

import onnxruntime
import pytest

from edgebert.measure.scenarios.probe import CEILING_ROWS, peak_of, probe, rate

CPU = "CPUExecutionProvider"


def test_a_rate_is_the_work_of_the_mix_over_its_time() -> None:
    # One of 4 x 8 x 10 in 1 us, three of 4 x 5 x 2 in 2 us each.
    assert rate([(8, 10, 1), (5, 2, 3)], 4, [1e-6, 2e-6]) == round((320 + 3 * 40) / 7e-6 / 1e9, 2)


def test_every_precision_is_measured_at_every_number_of_rows() -> None:
    found = probe([(32, 64, 2)], ["fp32", "int8"], [4, 1, 4], 1, CPU)
    asked = [(row["precision"], row["rows"]) for row in found["peaks"]]
    assert asked == [(name, rows) for name in ("fp32", "int8") for rows in (1, 4, CEILING_ROWS)]
    assert all(row["gmacs"] > 0 for row in found["peaks"])
    assert found["copy_gb_s"] > 0
    assert (found["threads"], found["provider"], found["shapes"]) == (1, CPU, [[32, 64, 2]])


def test_a_peak_is_looked_up_at_its_rows_or_the_highest() -> None:
    rows = [("int8", 1, 30.0), ("int8", 25, 375.0), ("fp32", 25, 106.0)]
    found = {"peaks": [{"precision": name, "rows": at, "gmacs": gmacs} for name, at, gmacs in rows]}
    assert peak_of(found, "int8", 1) == 30.0
    assert peak_of(found, "int8") == 375.0
    assert peak_of(found, "fp32", 1) is None
    assert peak_of(found, "fp16") is None
    assert peak_of(found, "fp32") == pytest.approx(106.0)


def test_a_precision_that_only_the_cpu_multiplies_in_has_no_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = onnxruntime.InferenceSession

    def without_int8(graph: bytes, options: Any, providers: list[str]) -> Any:
        assert options.get_session_config_entry("session.disable_cpu_ep_fallback") == "1"
        if b"MatMulInteger" in graph:
            raise RuntimeError("nodes were assigned to the default CPU EP")
        return opened(graph, providers=[CPU])

    monkeypatch.setattr(onnxruntime, "InferenceSession", without_int8)
    monkeypatch.setattr("edgebert.measure.scenarios.probe.device_of", lambda provider: "cpu")
    found = probe([(32, 64, 2)], ["fp32", "int8"], [4], 1, "CUDAExecutionProvider")
    assert {row["precision"] for row in found["peaks"]} == {"fp32"}
    assert peak_of(found, "int8") is None

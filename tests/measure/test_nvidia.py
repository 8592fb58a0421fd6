"""Output of nvidia-smi for one GPU, for two, and for one with missing values."""

from pathlib import Path

import pytest
from targets_helpers import write_script

from edgebert.measure.nvidia import parse_gpus, parse_power, power_w

T4 = "Tesla T4, 550.54.15, 15360, 41, 1590, 27.31, 0x0000000000000001\n"
HOT = "Tesla T4, 550.54.15, 15360, 88, 585, 69.90, 0x0000000000000064\n"
ORIN = "Orin (nvgpu), N/A, [N/A], [N/A], [N/A], [N/A], [N/A]\n"


def test_a_gpu_has_its_state() -> None:
    (gpu,) = parse_gpus(T4) or []
    assert gpu == {
        **{"name": "Tesla T4", "driver": "550.54.15", "memory_mb": 16106.1, "temperature_c": 41.0},
        **{"frequency_mhz": 1590.0, "power_w": 27.31, "throttled": []},
    }


def test_idleness_is_no_throttling_but_power_and_heat_are() -> None:
    cold, hot = parse_gpus(T4 + HOT) or []
    assert cold["throttled"] == []
    assert hot["throttled"] == ["power cap now", "software thermal slowdown now", "hardware thermal slowdown now"]


def test_what_a_gpu_does_not_tell_is_none() -> None:
    (gpu,) = parse_gpus(ORIN) or []
    assert gpu["name"] == "Orin (nvgpu)"
    assert [gpu[key] for key in ("memory_mb", "temperature_c", "frequency_mhz", "power_w", "throttled")] == [None] * 5


@pytest.mark.parametrize("text", [None, "", "No devices were found\n", "NVIDIA-SMI has failed, because, it\n"])
def test_no_gpu_is_none(text: str | None) -> None:
    assert parse_gpus(text) is None


@pytest.mark.parametrize(("text", "watts"), [("27.31\n", 27.31), ("[N/A]\n", None), (None, None), ("", None)])
def test_power_is_what_the_gpu_tells(text: str | None, watts: float | None) -> None:
    assert parse_power(text) == watts


@pytest.mark.parametrize(("visible", "watts"), [("", 10.5), ("3,1", 13.5)])
def test_power_is_that_of_the_gpu_that_is_used(
    visible: str, watts: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = '#!/bin/sh\n[ "$1" = -i ] && echo "1$2.5" || printf "10.5\\n13.5\\n"\n'
    write_script(tmp_path / "nvidia-smi", script)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert power_w() == watts

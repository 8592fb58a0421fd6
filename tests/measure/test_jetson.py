"""Output of tegrastats and nvpmodel on newer and older boards."""

import pytest

from edgebert.measure.jetson import parse_power, parse_power_mode, parse_temperature

ORIN = (
    "11-23-2026 17:00:00 RAM 2448/7620MB (lfb 4x4MB) SWAP 0/3810MB (cached 0MB) CPU [12%@1510,3%@1510,0%@729,0%@729] "
    "EMC_FREQ 0%@2133 GR3D_FREQ 0%@[305] cpu@47.5C soc2@46.218C soc0@46.5C gpu@46.8C cv0@-256C tj@48.062C "
    "VDD_IN 4952mW/4868mW VDD_CPU_GPU_CV 570mW/545mW VDD_SOC 1425mW/1421mW\n"
)
NANO = (
    "RAM 1902/3964MB (lfb 120x4MB) CPU [5%@921,off,off,3%@921] EMC_FREQ 0% GR3D_FREQ 0% PLL@33C CPU@35.5C PMIC@100C "
    "GPU@34C AO@42C thermal@34.75C POM_5V_IN 2532/2490 POM_5V_GPU 40/40 POM_5V_CPU 244/231\n"
)


def test_power_is_the_whole_modules_at_this_moment() -> None:
    assert parse_power(ORIN) == 4.952
    assert parse_power(NANO) == 2.532
    assert parse_power("VDD_CPU_GPU_CV 570mW/545mW\n") is None
    assert parse_power(None) is None


def test_temperature_is_the_hottest_sensors_and_one_that_is_off_does_not_count() -> None:
    assert parse_temperature(ORIN) == 48.062
    assert parse_temperature("cv0@-256C\n") is None
    assert parse_temperature(None) is None


@pytest.mark.parametrize(
    ("text", "mode"),
    [("NV Power Mode: MAXN\n0\n", "MAXN"), ("NVPM WARN: fan\nNV Power Mode: 7W\n3\n", "7W"), ("", None), (None, None)],
)
def test_the_power_mode_is_named(text: str | None, mode: str | None) -> None:
    assert parse_power_mode(text) == mode

"""The machine's state from the kernel's files, and from a machine without these files."""

from pathlib import Path

from edgebert.measure.environment import environment
from edgebert.measure.thermal import (
    STATE,
    cpuinfo_mhz,
    frequency_mhz,
    governor,
    hottest,
    machine_state,
    throttle_events,
    together,
    zones_c,
)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_kernels_files_are_read(tmp_path: Path) -> None:
    cpus = tmp_path / "devices/system/cpu"
    for core, (khz, count) in enumerate([(1_500_000, 3), (2_400_000, 0)]):
        write(cpus / f"cpu{core}/cpufreq/scaling_cur_freq", f"{khz}\n")
        write(cpus / f"cpu{core}/thermal_throttle/core_throttle_count", f"{count}\n")
    write(cpus / "cpu0/cpufreq/scaling_governor", "ondemand\n")
    write(tmp_path / "class/thermal/thermal_zone0/temp", "48300\n")
    write(tmp_path / "class/thermal/thermal_zone1/temp", "-5000\n")
    write(tmp_path / "class/thermal/thermal_zone2/temp", "\n")
    assert governor(tmp_path) == "ondemand"
    assert frequency_mhz(tmp_path) == 1950.0
    assert throttle_events(tmp_path) == 3
    assert zones_c(tmp_path) == [48.3, -5.0]


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    assert (governor(tmp_path), frequency_mhz(tmp_path), throttle_events(tmp_path)) == (None, None, None)
    assert zones_c(tmp_path) == []
    assert cpuinfo_mhz(None) is None
    assert cpuinfo_mhz("processor\t: 0\nFeatures\t: fp asimd\n") is None


def test_the_clock_may_come_from_cpuinfo() -> None:
    assert cpuinfo_mhz("cpu MHz\t\t: 2400.000\ncache size : 1\ncpu MHz\t\t: 3000.500\n") == 2700.2


def test_the_hottest_and_what_throttles_come_from_all_who_tell() -> None:
    assert hottest([None, 41.0, 48.3]) == 48.3
    assert hottest([None]) is None
    assert together([None, ["b now"], ["a now", "b now"]]) == ["a now", "b now"]
    assert together([[], None]) == []
    assert together([None, None]) is None


def test_the_state_is_part_of_the_environment() -> None:
    assert tuple(machine_state()) == STATE
    found = environment()
    assert set(STATE) < set(found)
    assert found["affinity"] == sorted(found["affinity"])
    assert len(found["affinity"]) == found["cores"]

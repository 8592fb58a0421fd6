"""Joules per inference, from counters and from sampled watts."""

from pathlib import Path

import pytest

from edgebert.measure import power
from edgebert.measure.power import counted_joules, energy_of, find_sensor, ina_watts, rapl, sampled


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def make_rapl(sys: Path, zone: str, name: str, energy_uj: int, range_uj: int = 1000) -> None:
    write(sys / "class/powercap" / zone / "name", f"{name}\n")
    write(sys / "class/powercap" / zone / "energy_uj", f"{energy_uj}\n")
    write(sys / "class/powercap" / zone / "max_energy_range_uj", f"{range_uj}\n")


def make_chip(sys: Path, number: int, name: str, **inputs: int) -> Path:
    chip = sys / f"class/hwmon/hwmon{number}"
    write(chip / "name", f"{name}\n")
    for key, value in inputs.items():
        write(chip / key, f"{value}\n")
    return chip


@pytest.mark.parametrize(
    ("before", "after", "range_uj", "joules"),
    [(1_000_000, 3_500_000, 10_000_000, 2.5), (9_999_999, 500_000, 10_000_000, 0.500002), (7, 7, 100, 0.0)],
)
def test_a_counter_may_start_again(before: int, after: int, range_uj: int, joules: float) -> None:
    assert counted_joules(before, after, range_uj) == pytest.approx(joules, rel=1e-12)


def test_every_package_counts_and_its_parts_do_not(tmp_path: Path) -> None:
    make_rapl(tmp_path, "intel-rapl:0", "package-0", 5)
    make_rapl(tmp_path, "intel-rapl:1", "package-1", 6)
    make_rapl(tmp_path, "intel-rapl:0:0", "core", 7)
    make_rapl(tmp_path, "intel-rapl:2", "psys", 8)
    assert [(each.name, each.read_uj(), each.range_uj) for each in rapl(tmp_path)] == [
        ("package-0", 5, 1000),
        ("package-1", 6, 1000),
    ]


def test_counters_that_need_rights_are_none(tmp_path: Path) -> None:
    make_rapl(tmp_path, "intel-rapl:0", "package-0", 5)
    (tmp_path / "class/powercap/intel-rapl:0/energy_uj").unlink()
    assert rapl(tmp_path) == []
    assert rapl(tmp_path / "none") == []


def test_energy_is_what_the_counters_went_up_by_over_the_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_rapl(tmp_path, "intel-rapl:0", "package-0", 0, 10**9)
    monkeypatch.setattr(power, "SYS", tmp_path)
    calls: list[int] = []

    def call(at: int) -> None:
        calls.append(at)
        write(tmp_path / "class/powercap/intel-rapl:0/energy_uj", f"{len(calls) * 20_000}")

    found = energy_of(call, gpu=False, seconds=0.01)
    assert found == {"joules_per_inference": pytest.approx(0.02, rel=1e-12), "source": "RAPL package-0"}
    assert calls == list(range(len(calls)))


def test_an_ina_chip_tells_its_power_or_volts_and_amperes(tmp_path: Path) -> None:
    assert ina_watts(make_chip(tmp_path, 0, "ina219", power1_input=5_250_000)) == 5.25
    assert ina_watts(make_chip(tmp_path, 1, "ina3221", in1_input=5000, curr1_input=990)) == 4.95
    assert ina_watts(make_chip(tmp_path, 2, "ina3221", in1_input=5000)) is None
    assert ina_watts(make_chip(tmp_path, 3, "cpu_thermal", power1_input=1)) is None
    sensor = find_sensor(tmp_path, gpu=False)
    assert sensor is not None
    assert (sensor.name, sensor.watts()) == ("hwmon hwmon0", 5.25)


def test_energy_is_the_mean_of_the_watts_over_the_time_of_a_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_chip(tmp_path, 0, "ina219", power1_input=8_000_000)
    monkeypatch.setattr(power, "SYS", tmp_path)
    monkeypatch.setattr(power, "_loop", lambda call, seconds: (400, 2.0))
    assert energy_of(lambda at: None, gpu=False) == {"joules_per_inference": 0.04, "source": "hwmon hwmon0"}


def test_watts_are_read_while_the_work_is_done_and_no_longer() -> None:
    readings = iter([1.0, None, 3.0])
    waiting = iter(range(1000))
    seen: list[float | None] = []

    def watts() -> float | None:
        seen.append(next(readings, None))
        return seen[-1]

    def work() -> tuple[int, float]:
        while len(seen) < 3 and next(waiting) < 999:
            power.time.sleep(0.001)
        return 7, 1.0

    done, found = sampled(work, watts, interval_s=0.0001)
    assert (done, found) == ((7, 1.0), [1.0, 3.0])
    count = len(seen)
    power.time.sleep(0.005)
    assert len(seen) == count


def test_where_nothing_can_be_read_there_is_no_energy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "SYS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    asked: list[int] = []
    assert energy_of(asked.append, gpu=False) is None
    assert energy_of(asked.append, gpu=True) is None
    assert asked == []

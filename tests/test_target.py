"""Hardware profiles: those in the repository are valid; invalid ones are refused by file, key and value."""

import re
from dataclasses import asdict
from pathlib import Path

import pytest

from edgebert.errors import SettingsError
from edgebert.target import profile_names, read_target

PROFILES = sorted((Path(__file__).parents[1] / "profiles").glob("*.toml"))
REQUIRED = {
    "x86-avx512-vnni",
    "x86-avx2",
    "raspberry-pi-4",
    "raspberry-pi-5",
    "graviton3",
    "jetson-orin-nano",
    "nvidia-t4",
}
AVX2 = next(path for path in PROFILES if path.stem == "x86-avx2").read_text()


def refused(text: str, tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_target(str(path))
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_shipped_profiles_are_those_of_the_folder_and_all_that_are_needed() -> None:
    assert profile_names() == [path.stem for path in PROFILES]
    assert set(profile_names()) >= REQUIRED


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_a_shipped_profile_has_its_files_name_and_a_source_for_every_figure(path: Path) -> None:
    target = read_target(path.stem)
    assert target.name == path.stem
    assert target == read_target(str(path))
    given = {key for key, value in asdict(target.hardware).items() if value is not None}
    assert set(target.sources) == given
    assert all(len(source) >= 10 for source in target.sources.values())


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_a_shipped_profile_chooses_what_its_hardware_can_do(path: Path) -> None:
    target = read_target(path.stem)
    choice = target.export
    assert choice.intra_op_threads <= target.hardware.cores
    assert choice.length_buckets[-1] == 512
    assert choice.runtime == "onnxruntime" or target.machine == "x86_64"
    assert re.fullmatch(r"[A-Z][A-Za-z]+ExecutionProvider", choice.provider)
    if choice.precision == "int8":
        assert target.hardware.peak_int8_gops >= target.hardware.peak_fp32_gflops
    assert target.notes["why"]


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("cores = 4\n", "cores = 0\n", ["'hardware.cores' is 0", "between 1 and 65536"]),
        ("cores = 4\n", "", ["'hardware.cores' is missing"]),
        ("cores = 4\n", 'cores = "4"\n', ["'hardware.cores' is '4'", "int"]),
        ("cores = 4\n", "cores = 4\ncoers = 4\n", ["unknown key 'hardware.coers'", "clock_ghz, cores"]),
        ("clock_ghz = 3.8", "clock_ghz = nan", ["'hardware.clock_ghz' is nan", "between 0.01 and 100"]),
        ("clock_ghz = 3.8", "clock_ghz = inf", ["'hardware.clock_ghz' is inf"]),
        ("power_w = 65.0", "power_w = -65.0", ["'hardware.power_w' is -65.0"]),
        ('features = ["avx2", "fma"]', 'features = "avx2"', ["'hardware.features' is 'avx2'", "a list of str"]),
        ('machine = "x86_64"', 'machine = "mips"', ["'machine' is 'mips'", "'x86_64', 'aarch64'"]),
        ('precision = "int8"', 'precision = "int4"', ["'export.precision' is 'int4'", "'int8', 'fp16', 'fp32'"]),
        ('activation_type = "uint8"', 'activation_type = "int8"', ["activation_type", "give uint8"]),
        ("[16, 32, 64", "[32, 16, 64", ["length_buckets [32, 16, 64, 128, 256, 512]", "ascending"]),
        ("[16, 32, 64", "[16, 16, 64", ["length_buckets [16, 16, 64, 128, 256, 512]", "ascending"]),
        ("[16, 32, 64, 128, 256, 512]", "[]", ["length_buckets []", "ascending"]),
        ("intra_op_threads = 4", "intra_op_threads = 0", ["'export.intra_op_threads' is 0", "between 1 and 1024"]),
    ],
)
def test_an_unsound_profile_is_refused(old: str, new: str, parts: list[str], tmp_path: Path) -> None:
    assert AVX2.count(old) == 1
    message = refused(AVX2.replace(old, new), tmp_path)
    for part in parts:
        assert part in message


def test_a_figure_without_a_source_is_refused(tmp_path: Path) -> None:
    without = "".join(line for line in AVX2.splitlines(keepends=True) if not line.startswith('clock_ghz = "'))
    assert without != AVX2
    assert "[sources] has no entry for clock_ghz" in refused(without, tmp_path)


def test_a_profile_of_your_own_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(AVX2.replace('name = "x86-avx2"', 'name = "mine"'))
    assert read_target(str(path)).name == "mine"


def test_an_unknown_profile_is_told_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read_target("raspberry-pi-9")
    assert "unknown profile 'raspberry-pi-9'" in str(caught.value)
    for name in REQUIRED:
        assert name in str(caught.value)
    with pytest.raises(SettingsError, match="no such file"):
        read_target(str(tmp_path / "none.toml"))

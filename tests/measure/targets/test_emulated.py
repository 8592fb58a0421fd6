"""`qemu://`: refusals, the command on a stand-in for qemu, and the real thing where `bench/qemu-setup` has been run."""

import json
import sys
from pathlib import Path

import pytest
from targets_helpers import write_script

from edgebert.cli import main
from edgebert.errors import InputError
from edgebert.measure.targets import open_target
from edgebert.measure.targets.emulated import CPUS, arm_folder

TIMES = ("p50_ms", "p90_ms", "p99_ms", "mean_ms", "throughput", "cold_start_ms", "import_ms", "load_ms", "first_ms")
STAND_IN = """#!/bin/sh
[ "$1" = -version ] && echo "qemu-aarch64 version 10.0.2 (Debian 1:10.0.2)" && exit
echo "$@" >> "$0.log"
shift 5
exec {python} "$@"
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A set-up whose qemu runs this machine's Python."""
    folder = tmp_path / "arm64"
    write_script(folder / "qemu-aarch64", STAND_IN.format(python=sys.executable))
    write_script(folder / "root" / "usr" / "bin" / "python3.11", "")
    (folder / "site" / "onnxruntime").mkdir(parents=True)
    monkeypatch.setenv("EDGEBERT_ARM64", str(folder))
    return folder


def refusal(name: str) -> str:
    with pytest.raises(InputError) as caught, open_target(name, [], None, print):
        pass
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_set_up_lies_where_it_is_said_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEBERT_ARM64", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert arm_folder() == tmp_path / "edgebert" / "arm64"
    monkeypatch.setenv("EDGEBERT_ARM64", "/else")
    assert arm_folder() == Path("/else")


def test_an_unknown_cpu_is_refused() -> None:
    assert refusal("qemu://pentium") == (
        "target 'qemu://pentium': unknown CPU; expected cortex-a72, cortex-a76, neoverse-v1"
    )


@pytest.mark.parametrize("missing", ["qemu-aarch64", "root/usr/bin/python3.11", "site/onnxruntime"])
def test_a_missing_set_up_names_the_script(missing: str, stand_in: Path) -> None:
    path = stand_in / missing
    path.rmdir() if path.is_dir() else path.unlink()
    assert refusal("qemu://cortex-a72") == (
        f"qemu://cortex-a72: no emulated ARM here ({path} is missing); run bench/qemu-setup"
    )


def test_a_qemu_that_does_not_run_is_told(stand_in: Path) -> None:
    write_script(stand_in / "qemu-aarch64", "#!/bin/sh\nexit 1\n")
    assert "cannot be run (" in refusal("qemu://cortex-a72")
    assert refusal("qemu://cortex-a72").endswith("; run bench/qemu-setup again")


def test_an_emulated_machine_gives_answers_and_no_times(
    built: Path, data_dir: Path, stand_in: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["bench", str(built), "--target", "qemu://cortex-a76", "--out", str(out)]
    assert main([*command, "--data", str(data_dir / "test.tsv")]) == 0
    told = capsys.readouterr().out
    assert "64 (100.00%)" in told
    assert told.endswith("emulated (qemu-aarch64 version 10.0.2, -cpu cortex-a76): answers only, no times\n")
    document = json.loads((out / "result.json").read_text())
    assert document["environment"]["emulated"] == "qemu-aarch64 version 10.0.2, -cpu cortex-a76"
    assert document["ratios"] == []
    assert [case["variant"] for case in document["cases"]] == ["fp32", "bundle"]
    for case in document["cases"]:
        assert (case["target"], case["scenario"]) == ("qemu://cortex-a76", "agreement")
        assert case["emulated"] == document["environment"]["emulated"]
        assert all(case[name] is None for name in TIMES)
        assert case["agreement"] == {"n": 64, "equal": 64, "share": 1.0, "largest_difference": 0.0, "not_finite": 0}
        assert case["quality"]["n"] == 64
    calls = (stand_in / "qemu-aarch64.log").read_text().splitlines()
    root = stand_in / "root"
    wanted = f"-cpu cortex-a76 -L {root} {root}/usr/bin/python3.11 -m edgebert.measure.child"
    assert calls == [wanted] * 3


def test_without_data_there_is_nothing_to_answer(
    built: Path, stand_in: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(built), "--target", "qemu://cortex-a72"]) == 2
    assert capsys.readouterr().err == (
        "edgebert: qemu://cortex-a72: emulation shows answers, not times; give --data FILE to answer\n"
    )


@pytest.mark.skipif(not (arm_folder() / "qemu-aarch64").is_file(), reason="no emulated ARM; run bench/qemu-setup")
@pytest.mark.parametrize("cpu", CPUS[:1])
def test_an_arm_core_answers_as_this_machine_does(cpu: str, built: Path, data_dir: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.tsv"
    short.write_text("".join((data_dir / "test.tsv").read_text().splitlines(keepends=True)[:21]))
    assert main(["bench", str(built), "--target", f"qemu://{cpu}", "--data", str(short), "--out", str(tmp_path)]) == 0
    document = json.loads((tmp_path / "result.json").read_text())
    assert document["environment"]["machine"] == "aarch64"
    full, int8 = (case["agreement"] for case in document["cases"])
    assert (full["n"], full["equal"]) == (20, 20)
    assert 0 <= full["largest_difference"] < 1e-4
    assert int8["equal"] >= 19

"""`qemu://`: errors, the command with a replacement for qemu, and real qemu after `bench/qemu-setup`."""

import json
import platform
import sys
from pathlib import Path

import pytest
from targets_helpers import write_script

from edgebert.bundle import read_document, write_manifest
from edgebert.cli import main
from edgebert.errors import InputError
from edgebert.measure.targets import open_target
from edgebert.measure.targets.emulated import ARM_CPUS, X86_CPUS, arm_folder, x86_folder

TIMES = ("p50_ms", "p90_ms", "p99_ms", "mean_ms", "throughput", "cold_start_ms", "import_ms", "load_ms", "first_ms")
STAND_IN = """#!/bin/sh
[ "$1" = -version ] && echo "qemu-aarch64 version 10.0.2 (Debian 1:10.0.2)" && exit
echo "$@" >> "$0.log"
shift 5
exec {python} "$@"
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A setup whose qemu runs this machine's Python."""
    folder = tmp_path / "arm64"
    write_script(folder / "qemu-aarch64", STAND_IN.format(python=sys.executable))
    write_script(folder / "root" / "usr" / "bin" / "python3.11", "")
    (folder / "site" / "onnxruntime").mkdir(parents=True)
    monkeypatch.setenv("EDGEBERT_ARM64", str(folder))
    return folder


X86_STAND_IN = """#!/bin/sh
[ "$1" = -version ] && echo "qemu-x86_64 version 10.0.2 (Debian 1:10.0.2)" && exit
echo "$1 $2 PYTHONPATH=$PYTHONPATH" >> "$0.log"
shift 2
exec "$@"
"""


@pytest.fixture
def x86_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A qemu for x86 that runs this machine's Python on the CPU that is there."""
    write_script(tmp_path / "x86" / "qemu-x86_64", X86_STAND_IN)
    monkeypatch.setenv("EDGEBERT_X86", str(tmp_path / "x86"))
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    return tmp_path / "x86"


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
        "target 'qemu://pentium': unknown CPU; expected cortex-a72, cortex-a76, neoverse-v1, haswell, nehalem"
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
    *_, emulated, precision = told.splitlines()
    assert emulated == "emulated (qemu-aarch64 version 10.0.2, -cpu cortex-a76): answers only, no times"
    assert precision == "precision: fp32 fp32, bundle int8-dynamic"
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


def test_an_older_x86_runs_this_python_with_its_packages(
    built: Path, data_dir: Path, x86_stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/some/where")
    out = tmp_path / "out"
    command = ["bench", str(built), "--target", "qemu://haswell", "--out", str(out)]
    assert main([*command, "--data", str(data_dir / "test.tsv")]) == 0
    document = json.loads((out / "result.json").read_text())
    told = document["environment"]
    assert told["emulated"] == "qemu-x86_64 version 10.0.2, -cpu Haswell"
    # The host's /proc/cpuinfo does not describe the emulated CPU.
    assert (told["cpu"], told["flags"]) == ("Haswell, emulated", [])
    assert [case["agreement"]["equal"] for case in document["cases"]] == [64, 64]
    root = Path(__file__).parents[3]
    calls = (x86_stand_in / "qemu-x86_64.log").read_text().splitlines()
    assert calls == [f"-cpu Haswell PYTHONPATH={root}:/some/where"] * 3


def test_older_x86_is_set_up_by_itself_and_needs_x86(x86_stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = x86_stand_in / "qemu-x86_64"
    missing.unlink()
    assert refusal("qemu://nehalem") == (
        f"qemu://nehalem: no emulated x86 here ({missing} is missing); run bench/qemu-setup --x86"
    )
    write_script(missing, "#!/bin/sh\nexit 1\n")
    assert refusal("qemu://nehalem").endswith("; run bench/qemu-setup --x86 again")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert refusal("qemu://nehalem") == (
        "qemu://nehalem: runs this machine's own Python, so it needs x86_64; here is aarch64"
    )


def test_sums_that_saturate_on_the_emulated_cpu_stand_in_the_verdict(
    built: Path, bundle_copy: Path, data_dir: Path, x86_stand_in: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Judged by the CPU of the target, not by the one of this machine."""
    manifest = read_document(bundle_copy)
    manifest["profile"]["export"] |= {"reduce_range": False, "weight_type": "int8"}
    write_manifest(bundle_copy, manifest)
    says = json.dumps({"cpu": "x", "int8": "avx2", "versions": {}})
    script = X86_STAND_IN.replace(
        "shift 2", f"read -r job\ncase $job in *environment*) echo '{says}'; exit ;; esac\nshift 2"
    )
    write_script(x86_stand_in / "qemu-x86_64", script.replace('exec "$@"', 'printf %s "$job" | "$@"'))
    command = ["bench", bundle_copy, "--target", "qemu://haswell", "--out", tmp_path / "out"]
    command += ["--baseline", built.with_name(built.name + ".stages") / "0-baseline", "--data", data_dir / "test.tsv"]
    assert main([str(word) for word in command]) == 0
    (sentence,) = json.loads((tmp_path / "out" / "result.json").read_text())["verdict"]["saturating"]
    cpu = "Haswell, emulated, AVX2 without VNNI"
    assert sentence.startswith(f"bundle (onnxruntime): INT8 sums saturate on the measured CPU ({cpu})")
    assert f"saturating: {sentence}\n" in capsys.readouterr().out


def test_without_data_there_is_nothing_to_answer(
    built: Path, stand_in: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(built), "--target", "qemu://cortex-a72"]) == 2
    assert capsys.readouterr().err == (
        "edgebert: qemu://cortex-a72: emulation shows answers, not times; give --data FILE to answer\n"
    )


@pytest.mark.skipif(not (arm_folder() / "qemu-aarch64").is_file(), reason="no emulated ARM; run bench/qemu-setup")
@pytest.mark.parametrize("cpu", ARM_CPUS[:1])
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


HAS_X86 = (x86_folder() / "qemu-x86_64").is_file() and platform.machine() == "x86_64"


@pytest.mark.slow
@pytest.mark.skipif(not HAS_X86, reason="no emulated x86; run bench/qemu-setup --x86")
@pytest.mark.parametrize("cpu", X86_CPUS)
def test_an_older_x86_answers_in_full_precision_as_this_machine_does(
    cpu: str, built: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    short = tmp_path / "short.tsv"
    short.write_text("".join((data_dir / "test.tsv").read_text().splitlines(keepends=True)[:21]))
    assert main(["bench", str(built), "--target", f"qemu://{cpu}", "--data", str(short), "--out", str(tmp_path)]) == 0
    document = json.loads((tmp_path / "result.json").read_text())
    int8 = {"haswell": "avx2", "nehalem": "sse"}[cpu]
    assert document["environment"]["int8"] == int8
    full = document["cases"][0]["agreement"]
    assert (full["n"], full["equal"]) == (20, 20)
    assert 0 <= full["largest_difference"] < 1e-4
    full_range = not read_document(built)["profile"]["export"]["reduce_range"]
    assert bool(document["verdict"]["saturating"]) == (full_range and cpu == "haswell")

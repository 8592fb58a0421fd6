"""`bench` of a bundle whose default is the native core: here and over ssh, with its library and without."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from targets_helpers import lead_here

import edgebert
from edgebert.bundle import read_document, write_manifest
from edgebert.cli import main
from edgebert.measure.targets import ssh as ssh_module
from edgebert.measure.targets.payload import Files
from edgebert.runtime.sessions.core import LIBRARY, unusable

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(unusable()), reason=unusable()),
    pytest.mark.skipif(sys.platform == "win32", reason="the fake ssh is a script with a first line"),
]

PACKAGE = Path(edgebert.__file__).parent
SUITE = 'scenarios = ["single_stream"]\nrounds = 2\nsamples = 10\nwarmup = 1\nlengths = [8]\n'
# Run by Python at its start: this checkout is not on the module path.
WITHOUT_US = f"import sys\nsys.path[:] = [entry for entry in sys.path if entry != {str(PACKAGE.parent)!r}]\n"
NOT_HERE = f"the native core is not in this installation ({LIBRARY.name})"


@pytest.fixture
def command(core_bundle: Path, tmp_path: Path) -> list[str]:
    """A bench of the bundle beside a copy of it that says it is full precision."""
    bundle, baseline = (Path(shutil.copytree(core_bundle, tmp_path / name)) for name in ("bundle", "baseline"))
    manifest = read_document(baseline)
    runtime = {"default": "onnxruntime", "graphs": {"onnxruntime": "model.onnx"}}
    write_manifest(baseline, {**manifest, "precision": "fp32", "runtime": runtime})
    (tmp_path / "s.toml").write_text(SUITE)
    given = ["bench", str(bundle), "--suite", str(tmp_path / "s.toml"), "--out", str(tmp_path / "out")]
    return [*given, "--baseline", str(baseline)]


@pytest.fixture
def far(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The same over a fake ssh, to a machine that has no EdgeBERT."""
    lead_here(tmp_path, monkeypatch)
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(WITHOUT_US)
    monkeypatch.setenv("PYTHONPATH", str(site))
    return [*command, "--target", "ssh://board"]


def leave_core(bundle: Path) -> None:
    """Make a bundle of the core alone."""
    for graph in bundle.glob("*.onnx"):
        graph.unlink()
    write_manifest(bundle, {**read_document(bundle), "runtime": {"default": "core", "graphs": {"core": "core.bin"}}})


def ran(out: Path) -> list[tuple[str, str, str | None]]:
    cases = json.loads((out / "result.json").read_text())["cases"]
    return [(case["variant"], case["runtime"], case["instead_of"]) for case in cases]


ON_THE_CORE = [("fp32", "onnxruntime", None), ("bundle", "core", None)]
ON_THE_OTHER = [("fp32", "onnxruntime", None), ("bundle", "onnxruntime", "core")]


def test_the_library_of_this_machine_travels(
    far: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(far) == 0
    assert "note: " not in capsys.readouterr().err
    assert ran(tmp_path / "out") == ON_THE_CORE
    assert not list((tmp_path / "there").iterdir())


@pytest.fixture
def of_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What travels cannot be loaded there."""
    (tmp_path / "another.so").write_bytes(b"\x7fELF for another machine")

    def files(variants: object) -> Files:
        return {f"edgebert/lib/{LIBRARY.name}": tmp_path / "another.so"}

    monkeypatch.setattr(ssh_module, "core_library", files)


@pytest.mark.usefixtures("of_another_machine")
def test_an_edgebert_that_is_installed_there_lends_its_library(
    far: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    installed = tmp_path / "site" / "edgebert"
    (installed / "lib").mkdir(parents=True)
    (installed / "__init__.py").write_text("raise ImportError('the copy is used')")
    shutil.copy(LIBRARY, installed / "lib")
    assert main(far) == 0
    assert "note: " not in capsys.readouterr().err
    assert ran(tmp_path / "out") == ON_THE_CORE


@pytest.mark.usefixtures("of_another_machine")
def test_without_either_the_next_runtime_is_measured_and_a_line_says_so(
    far: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(far) == 0
    (note,) = [line for line in capsys.readouterr().err.splitlines() if "note: " in line]
    assert "note: ssh://board: bundle: the native core cannot be loaded (" in note
    assert note.endswith("; onnxruntime is measured instead")
    assert ran(tmp_path / "out") == ON_THE_OTHER


@pytest.mark.usefixtures("of_another_machine")
def test_of_the_core_alone_nothing_is_measured_there(
    far: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_core(tmp_path / "bundle")
    assert main(far) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith(f"edgebert: ssh://board: {tmp_path / 'bundle'}: the native core cannot be loaded (")
    assert not (tmp_path / "out" / "result.json").exists()
    assert not list((tmp_path / "there").iterdir())


def without_library(command: list[str], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run a command by a copy of EdgeBERT that lacks the library."""
    here = tmp_path / "here"
    if not here.exists():
        shutil.copytree(PACKAGE, here / "edgebert", ignore=shutil.ignore_patterns("lib", "__pycache__"))
        (here / "sitecustomize.py").write_text(WITHOUT_US)
    options = {"env": {**os.environ, "PYTHONPATH": str(here)}, "cwd": here}
    return subprocess.run(
        [sys.executable, "-m", "edgebert", *command], capture_output=True, text=True, check=False, **options
    )


def test_without_the_library_here_the_next_runtime_is_measured_and_a_line_says_so(
    command: list[str], tmp_path: Path
) -> None:
    done = without_library(command, tmp_path)
    assert done.returncode == 0
    (note,) = [line for line in done.stderr.splitlines() if "note: " in line]
    assert f"note: bundle: {NOT_HERE}; " in note
    assert note.endswith("; onnxruntime is measured instead")
    assert ran(tmp_path / "out") == ON_THE_OTHER


def test_without_the_library_here_who_asks_for_the_core_is_told_before_anything_is_measured(
    command: list[str], tmp_path: Path
) -> None:
    (tmp_path / "s.toml").write_text(SUITE + 'runtimes = ["core"]\n')
    named = without_library(command, tmp_path)
    leave_core(tmp_path / "bundle")
    (tmp_path / "s.toml").write_text(SUITE)
    alone = without_library(command, tmp_path)
    for done in (named, alone):
        assert done.returncode == 2
        assert done.stderr.startswith(f"edgebert: {tmp_path / 'bundle'}: {NOT_HERE}; ")
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out" / "result.json").exists()

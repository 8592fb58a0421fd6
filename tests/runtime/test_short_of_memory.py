"""Too little memory to open a graph, or a runtime that cannot load, is reported as such and not as damage."""

import builtins
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from core_building import CORE, load_script

import edgebert
from edgebert.cli import main
from edgebert.errors import BundleError, MissingDependencyError, RunError
from edgebert.runtime.session import CPU
from edgebert.runtime.sessions import core, openvino
from edgebert.runtime.sessions.core import CoreSession
from edgebert.runtime.sessions.onnxruntime import OnnxSession
from edgebert.runtime.sessions.openvino import OpenVinoSession

SHORT = [
    RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Exception during initialization: std::bad_alloc"),
    RuntimeError("PosixThread::PosixThread(...) pthread_create failed, error code: 11 error msg: Resource temporarily"),
    RuntimeError("Failed to allocate memory for requested buffer of size 1048576"),
    RuntimeError("libplugin.so: failed to map segment from shared object"),
    MemoryError(),
]
WHICH = [type(error).__name__ + str(at) for at, error in enumerate(SHORT)]


def raising(error: Exception) -> Any:
    def fails(*given: object, **named: object) -> None:
        raise error

    return fails


@pytest.mark.parametrize("error", SHORT, ids=WHICH)
def test_onnx_runtime_without_memory(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "InferenceSession", raising(error))
    with pytest.raises(RunError, match=r"m\.onnx: ONNX Runtime has too little memory to open it \(.+\); free some or "):
        OnnxSession(tmp_path / "m.onnx", 1, CPU)


@pytest.mark.parametrize("error", SHORT, ids=WHICH)
def test_openvino_without_memory(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip("openvino")
    monkeypatch.setattr(module, "Core", raising(error))
    with pytest.raises(RunError, match=r"m\.xml: OpenVINO has too little memory to open it \(.+\); free some or "):
        OpenVinoSession(tmp_path / "m.xml", 1, [8])
    assert isinstance(openvino._run_error(error), RunError)
    assert isinstance(openvino._run_error(RuntimeError("another shape")), BundleError)


class Library:
    """A core without memory for a file."""

    def edgebert_open_with(self, *given: object) -> None:
        """Open nothing."""

    def edgebert_last_error(self) -> bytes:
        return b"/memory/core.bin: too little memory"


def test_the_core_without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "library", Library)
    with pytest.raises(RunError, match=r"core\.bin: the native core has too little memory to open it"):
        CoreSession(Path("/memory/core.bin"), 1, (), ())
    monkeypatch.setattr(Library, "edgebert_last_error", lambda self: b"/too little memory/core.bin: cannot be mapped")
    with pytest.raises(BundleError, match=r"cannot be mapped; export the bundle again"):
        CoreSession(Path("/memory/core.bin"), 1, (), ())


MAPS = """
import ctypes, os, resource, sys
map_file = ctypes.CDLL(sys.argv[1]).map_file
map_file.restype, map_file.argtypes = ctypes.c_char_p, [ctypes.c_char_p, ctypes.c_void_p]
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
print(map_file(os.fsencode(sys.argv[2]), ctypes.create_string_buffer(64)).decode())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_a_file_that_memory_does_not_hold_is_told_from_one_that_cannot_be_mapped(tmp_path: Path) -> None:
    build = load_script("build")
    try:
        command = build.find_build(None).command
    except build.NoCompilerError as error:
        pytest.skip(str(error))
    library = tmp_path / "os_file.so"
    subprocess.run([*command, "-shared", "-fPIC", str(CORE / "src" / "os_file.c"), "-o", str(library)], check=True)
    (tmp_path / "empty").touch()
    with (tmp_path / "large").open("wb") as large:
        large.truncate(2 << 30)

    def says(name: str) -> str:
        program = [sys.executable, "-c", MAPS, str(library), str(tmp_path / name)]
        return subprocess.run(program, capture_output=True, text=True, check=True).stdout.strip()

    assert [says(name) for name in ("large", "empty", "none")] == [
        "too little memory",
        "cannot be mapped",
        "cannot be opened",
    ]


def test_the_command_line_without_memory(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("edgebert.cli._run", raising(MemoryError()))
    assert main(["profiles"]) == 1
    assert capsys.readouterr().err == "edgebert: too little memory; free some, or raise the limit (ulimit -v)\n"


@pytest.mark.parametrize("package", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    "error",
    [
        ImportError("libstdc++.so.6: version `GLIBCXX_3.4.32' not found\nsecond line", name="onnxruntime"),
        ModuleNotFoundError("No module named 'numpy'", name="numpy"),
    ],
    ids=["library", "dependency"],
)
def test_what_is_installed_but_cannot_be_loaded(
    package: str, error: ImportError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = builtins.__import__

    def imported(name: str, *more: Any, **named: Any) -> Any:
        if name == package:
            raise error
        return usual(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", imported)
    with pytest.raises(MissingDependencyError) as caught:
        OnnxSession(tmp_path / "m", 1, CPU) if package == "onnxruntime" else OpenVinoSession(tmp_path / "m", 1, [8])
    told = str(caught.value)
    assert told.startswith(f"{package} is installed, but cannot be loaded ({str(error).splitlines()[0]}); pip install ")


def test_a_graph_that_takes_the_weights_of_another_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    folder = Path(__file__).parents[1] / "old_bundles" / "format-1-minor-0"
    monkeypatch.setattr(onnxruntime, "InferenceSession", raising(RuntimeError("out of bounds")))
    with pytest.raises(BundleError) as caught:
        edgebert.load(folder)
    told = f"{folder / 'model.onnx'} or unpadded.onnx, which uses its weights: ONNX Runtime cannot open it ("
    assert str(caught.value).startswith(told)

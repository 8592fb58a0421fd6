"""INT8 instructions of a CPU, and whether a bundle's sums saturate on it: as reported and as computed."""

import platform
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from manifests import manifest_of
from onnx import TensorProto, helper, numpy_helper
from this_machine import pretend

from edgebert import cpu
from edgebert.cpu import Cpu, measured_on, this_cpu
from edgebert.errors import SettingsError
from edgebert.runtime.session import Session
from edgebert.runtime.sessions.onnxruntime import OnnxSession
from edgebert.runtime.sessions.openvino import OpenVinoSession
from edgebert.runtimes import RUNTIMES, Int8Form, saturates
from edgebert.target import fitting_profile, profile_names, read_target

pytestmark = pytest.mark.int8

XEON = """processor\t: 0
model name\t: Intel(R) Xeon(R) CPU @ 2.20GHz
flags\t\t: fpu sse4_2 avx2 avx512f avx512_vnni amx_int8

processor\t: 1
model name\t: another
flags\t\t:
"""


def read_as(monkeypatch: pytest.MonkeyPatch, machine: str, glibc: frozenset[str] | None, path: Path) -> Cpu:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(cpu, "glibc_features", lambda: glibc)
    monkeypatch.setattr(cpu, "CPUINFO", path)
    return this_cpu()


@pytest.mark.parametrize(
    ("machine", "features", "int8", "profile"),
    [
        ("x86_64", {"avx2", "avx512f", "avx512_vnni", "amx_int8"}, "amx", "x86-avx512-vnni"),
        ("x86_64", {"avx2", "avx512f", "avx512_vnni"}, "vnni", "x86-avx512-vnni"),
        ("AMD64", {"avx2", "avx_vnni"}, "vnni", "x86-avx512-vnni"),
        ("x86_64", {"avx2", "avx512f"}, "avx2", "x86-avx2"),
        ("x86_64", {"avx2"}, "avx2", "x86-avx2"),
        ("x86_64", set(), "sse", "x86-avx2"),
        ("aarch64", {"asimddp", "i8mm"}, "i8mm", "graviton3"),
        ("aarch64", {"asimddp"}, "dotprod", "raspberry-pi-5"),
        ("aarch64", set(), "neon", "raspberry-pi-4"),
    ],
)
def test_features_decide_instructions_and_profile(
    machine: str, features: set[str], int8: str, profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, *features, machine=machine)
    assert this_cpu().int8 == int8
    name, why = fitting_profile(this_cpu())
    assert (name, why.startswith("this CPU (Some CPU) has ")) == (profile, True)
    # The form that it chooses never saturates on the CPU where it was chosen.
    choice = read_target(name).export
    made = form("int8-dynamic", reduce_range=choice.reduce_range, openvino={"reduce_range": choice.reduce_range})
    assert not saturates(made, "onnxruntime", int8)
    assert not saturates(made, "openvino", int8)


def test_cpuinfo_is_read_if_glibc_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text(XEON)
    found = read_as(monkeypatch, "x86_64", None, tmp_path / "cpuinfo")
    assert (found.name, found.int8) == ("Intel(R) Xeon(R) CPU @ 2.20GHz", "amx")


def test_what_the_process_sees_beats_the_host_s_cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in qemu-user, whose /proc/cpuinfo is that of the host."""
    (tmp_path / "cpuinfo").write_text(XEON)
    assert read_as(monkeypatch, "x86_64", frozenset({"avx2"}), tmp_path / "cpuinfo").int8 == "avx2"


def test_a_manifest_names_a_cpu_without_its_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text(XEON)
    read_as(monkeypatch, "x86_64", None, tmp_path / "cpuinfo")
    assert measured_on() == {"cpu": "Intel(R) Xeon(R) CPU", "machine": "x86_64", "int8": "amx"}


@pytest.mark.parametrize(("machine", "profile"), [("AMD64", "x86-avx2"), ("arm64", "raspberry-pi-5")])
def test_a_system_that_does_not_say_is_unknown(
    machine: str, profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = read_as(monkeypatch, machine, None, tmp_path / "no-such-file")
    assert (found.features, found.int8) == (None, None)
    assert not saturates(form("int8-dynamic"), "onnxruntime", found.int8)
    assert fitting_profile(found)[0] == profile


def test_a_machine_without_a_profile_is_refused() -> None:
    with pytest.raises(SettingsError, match="no shipped profile is for a riscv64 CPU; name one with --profile: grav"):
        fitting_profile(Cpu("x", "riscv64", None))


def test_every_profile_for_a_cpu_ships() -> None:
    from edgebert.target import PROFILES, UNREAD

    assert {*PROFILES.values(), *UNREAD.values()} <= {*profile_names()}
    assert PROFILES.keys() == cpu.INT8_NAMES.keys()


def form(precision: str, openvino: dict[str, Any] | None = None, **choice: Any) -> Int8Form:
    export = {"weight_type": "int8", "activation_type": "uint8", "reduce_range": False, **choice}
    stage = {"stage": "quantize", "arguments": {}, "metrics": {"openvino": openvino} if openvino is not None else {}}
    return manifest_of(precision=precision, profile={"export": export}, stages=[stage]).int8_form


@pytest.mark.parametrize(
    ("made", "onnx_runtime", "open_vino"),
    [
        (form("int8-dynamic"), True, False),
        (form("int8-dynamic", reduce_range=True), False, False),
        (form("int8-dynamic", weight_type="uint8"), False, False),
        (form("int8-static", weight_type="uint8"), True, False),
        (form("int8-static", activation_type="int8"), False, False),
        (form("int8-static", {}, activation_type="int8"), False, True),
        (form("int8-static", reduce_range=True), False, False),
        (form("int8-weights"), False, False),
        (form("fp16"), False, False),
        (form("fp32"), False, False),
        (form("int8-dynamic", {"calibration": "x"}), True, True),
        (form("int8-dynamic", {"reduce_range": True}, reduce_range=True), False, False),
        # From a version that did not pass seven bits to nncf: seven for ONNX Runtime, eight for OpenVINO.
        (form("int8-dynamic", {}, reduce_range=True), False, True),
    ],
)
def test_a_form_says_whether_it_needs_vnni(made: Int8Form, onnx_runtime: bool, open_vino: bool) -> None:
    for runtime, full in (("onnxruntime", onnx_runtime), ("openvino", open_vino)):
        assert RUNTIMES[runtime].needs_vnni(made) == full
        assert saturates(made, runtime, "avx2") == full
        assert saturates(made, runtime, "sse") == (full and runtime == "openvino")
        assert not any(saturates(made, runtime, name) for name in ("vnni", "amx", "i8mm", "dotprod", "neon", None))


ROWS, INNER, COLUMNS = 25, 384, 32


def products(signed: bool, largest: int) -> tuple[onnx.ModelProto, np.ndarray, np.ndarray]:
    """A static INT8 matmul at the ends of its range, its inputs, and its exact result."""
    random = np.random.default_rng(0)
    kind, top = (np.int8, 127) if signed else (np.uint8, 255)
    weights = random.integers(-largest, largest + 1, (INNER, COLUMNS)).astype(np.int8)
    weights[:, :8], weights[:, 8:16] = largest, -largest
    values = np.where(random.random((ROWS, INNER)) < 0.9, 1.0, random.random((ROWS, INNER))).astype(np.float32)
    scale = np.float32(1 / top)
    constants = {
        **{"w": weights, "ws": np.full(COLUMNS, 0.01, np.float32), "wz": np.zeros(COLUMNS, np.int8)},
        **{"xs": np.array(scale), "xz": np.array(0, kind)},
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "xs", "xz"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["f"], axis=1),
        helper.make_node("MatMul", ["d", "f"], ["y"]),
    ]
    given, made = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", size])
        for name, size in (("x", INNER), ("y", COLUMNS))
    )
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", [given], [made], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    exact = (np.rint(values / scale) * scale) @ (weights.astype(np.float64) * 0.01)
    return model, values, exact


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(("signed", "largest"), [(False, 127), (False, 64), (True, 127), (True, 64)])
def test_sums_saturate_here_where_it_is_said_and_nowhere_else(
    runtime: str, signed: bool, largest: int, tmp_path: Path
) -> None:
    model, values, exact = products(signed, largest)
    onnx.save(model, tmp_path / "model.onnx")
    session: Session = (
        OnnxSession(tmp_path / "model.onnx", 1, "CPUExecutionProvider")
        if runtime == "onnxruntime"
        else OpenVinoSession(tmp_path / "model.onnx", 1, [])
    )
    (found,) = session.run({"x": values})
    error = float(np.abs(found - exact).max() / np.abs(exact).max())
    seven_bits = largest == 64
    choice = {"reduce_range": seven_bits, "activation_type": "int8" if signed else "uint8"}
    made = form("int8-static", {"reduce_range": seven_bits}, **choice)
    assert (error > 0.1) == saturates(made, runtime, this_cpu().int8)
    assert error > 0.1 or error < 0.01

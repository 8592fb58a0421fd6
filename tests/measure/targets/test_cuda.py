"""`cuda` without a GPU: a replacement nvidia-smi and a list of providers report one."""

import sys
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from manifests import manifest_of
from targets_helpers import make_variant, wait_until, write_script

from edgebert.errors import InputError, MissingDependencyError
from edgebert.measure.targets import cuda as cuda_module
from edgebert.measure.targets import open_target
from edgebert.measure.targets.cuda import device_memory, provider_options
from edgebert.measure.variants import Variant
from edgebert.runtime.sessions import onnxruntime as sessions
from edgebert.runtime.sessions.onnxruntime import OnnxOptions, OnnxSession

GPU = "Tesla T4, 535.104.05, 15360, 7.5"


@pytest.fixture
def variant(tmp_path: Path) -> Variant:
    return make_variant(tmp_path / "b", inputs=["input_ids", "attention_mask"], max_length=64)


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that reports a T4 and an onnxruntime for it."""
    nvidia_smi(tmp_path, monkeypatch, f"case $* in *memory.used*) echo 300;; *) echo '{GPU}';; esac")
    providers = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)


def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    write_script(tmp_path / "bin" / "nvidia-smi", f"#!/bin/sh\n{script}\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")


def refusal(name: str, variant: Variant, kind: type[InputError]) -> str:
    with pytest.raises(kind) as caught, open_target(name, [variant], None, print):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_onnxruntime_for_the_cpu_is_told_with_the_remedy(variant: Variant) -> None:
    told = refusal("cuda", variant, MissingDependencyError)
    assert told.startswith("cuda: CUDAExecutionProvider is not in this onnxruntime (it has ")
    assert told.endswith("; pip uninstall -y onnxruntime onnxruntime-gpu; pip install onnxruntime-gpu")
    assert "both installed" not in told
    assert refusal("cuda://tensorrt", variant, MissingDependencyError).startswith(
        "cuda://tensorrt: TensorrtExecutionProvider is not in this onnxruntime"
    )


def test_two_onnxruntimes_that_overwrite_each_other_are_told(variant: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_module.importlib.metadata, "version", lambda name: "1.0")
    assert "both installed and overwrite each other; pip uninstall" in refusal("cuda", variant, MissingDependencyError)


@pytest.mark.usefixtures("gpu")
def test_a_machine_without_a_driver_is_told(variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin" / "nvidia-smi").unlink()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert refusal("cuda", variant, InputError).startswith("cuda: no nvidia-smi here, so no NVIDIA driver; ")


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("stream", ["", " >&2"])
def test_a_driver_that_does_not_match_is_told(
    stream: str, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "Failed to initialize NVML: Driver/library version mismatch"
    nvidia_smi(tmp_path, monkeypatch, f"echo '{reason}'{stream}; exit 18")
    assert refusal("cuda", variant, InputError) == (
        f"cuda: nvidia-smi fails ({reason}); after a driver update reboot, else install the driver again"
    )


@pytest.mark.usefixtures("gpu")
def test_no_gpu_behind_the_driver_is_told(variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi(tmp_path, monkeypatch, "echo 'No devices were found'")
    assert "reports no GPU (No devices were found)" in refusal("cuda", variant, InputError)


def test_another_provider_is_unknown(variant: Variant) -> None:
    assert refusal("cuda://rocm", variant, InputError) == (
        "unknown target 'cuda://rocm'; expected cuda or cuda://tensorrt"
    )


@pytest.mark.usefixtures("gpu")
def test_openvino_is_refused(tmp_path: Path) -> None:
    told = refusal("cuda", make_variant(tmp_path / "o", runtime="openvino"), InputError)
    assert told.endswith('which has no CUDA here; give a suite with runtimes = ["onnxruntime"]')


@pytest.mark.usefixtures("gpu")
def test_jobs_name_the_provider_and_memory_is_the_device_s_too(
    variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[dict[str, Any]] = []

    def run_process(command: list[str], job: dict[str, Any], variables: dict[str, str]) -> dict[str, Any]:
        assert command == [sys.executable, "-m", "edgebert.measure.child"]
        assert variables["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
        jobs.append(job)
        return {"end_rss": 1}

    monkeypatch.setattr(cuda_module, "run_process", run_process)
    job = {"bundle": str(variant.folder), "batch_size": 8}
    lines: list[str] = []
    dynamic = make_variant(variant.folder.parent / "d", "int8", precision="int8-dynamic")
    with open_target("cuda", [variant, dynamic], None, lines.append) as machine:
        assert machine.child(job | {"scenario": "single_stream"}) == {"end_rss": 1}
        assert machine.child(job | {"scenario": "memory"}) == {"end_rss": 1, "device_memory_mb": 0}
        found = machine.environment()
    assert machine.name == "cuda"
    assert [job["provider"] for job in jobs] == [("CUDAExecutionProvider", {})] * 2
    assert found["provider"] == "CUDAExecutionProvider"
    assert "T4" in str(found["gpu"])
    assert lines == ["note: int8 is dynamic INT8, which is slow on a GPU; use static INT8 or FP16"]


def test_device_memory_is_the_peak_above_what_was_used_before(monkeypatch: pytest.MonkeyPatch) -> None:
    used, seen = [300], []
    monkeypatch.setattr(cuda_module, "SAMPLE_S", 0.001)
    monkeypatch.setattr(cuda_module, "_used_mb", lambda: seen.append(used[0]) or used[0])
    with device_memory() as found:
        for used[0] in (900, 1234, 700):
            assert wait_until(lambda: used[0] in seen)
    assert found == {"device_memory_mb": 934}


@pytest.mark.usefixtures("gpu")
def test_memory_is_told_in_millions_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert cuda_module.read_gpu("cuda")["memory_mb"] == 16106.1
    assert cuda_module._used_mb() == 314.6


@pytest.mark.parametrize(
    ("precision", "fp16", "int8"),
    [
        ("fp32", "False", "False"),
        ("int8-weights", "False", "False"),
        ("fp16", "True", "False"),
        ("int8-static", "True", "True"),
    ],
)
def test_tensorrt_builds_one_engine_in_the_bundles_own_precision(precision: str, fp16: str, int8: str) -> None:
    manifest = manifest_of(max_length=64, precision=precision)
    options = provider_options("TensorrtExecutionProvider", manifest, 32, "/engines")
    assert (options["trt_fp16_enable"], options["trt_int8_enable"]) == (fp16, int8)
    assert options["trt_profile_min_shapes"] == "input_ids:1x1,attention_mask:1x1"
    assert options["trt_profile_opt_shapes"] == "input_ids:1x64,attention_mask:1x64"
    assert options["trt_profile_max_shapes"] == "input_ids:32x64,attention_mask:32x64"
    assert (options["trt_engine_cache_enable"], options["trt_engine_cache_path"]) == ("True", "/engines")
    assert provider_options("CUDAExecutionProvider", manifest, 32, "/engines") == {}


class QuietlyOnTheCpu:
    """An ONNX Runtime session that could not load its provider and continued without it."""

    def __init__(self, graph: str, options: Any, providers: list[Any], **more: Any) -> None:
        self.asked = providers
        assert more["enable_fallback"] == 0

    def get_providers(self) -> list[str]:
        return ["CPUExecutionProvider"]


@pytest.mark.usefixtures("gpu")
def test_a_session_that_would_run_on_the_cpu_in_secret_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(onnxruntime, "InferenceSession", QuietlyOnTheCpu)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda directory: print("where is CUDA?"))  # noqa: T201
    with pytest.raises(MissingDependencyError, match="CUDAExecutionProvider could not start"):
        OnnxSession(tmp_path / "model.onnx", 1, "CUDAExecutionProvider")
    assert capsys.readouterr() == ("", "where is CUDA?\n")


class WhatItWasAsked:
    """An ONNX Runtime session on any provider, which records the disabled fusions."""

    def __init__(self, graph: str, options: Any, providers: list[Any], **more: Any) -> None:
        self.providers = [name for name, _ in providers]
        self.disabled = more["disabled_optimizers"]

    def get_providers(self) -> list[str]:
        return self.providers


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(
    ("provider", "everything", "disabled"),
    [
        ("CPUExecutionProvider", False, ["SkipLayerNormFusion"]),
        ("CPUExecutionProvider", True, []),
        ("CUDAExecutionProvider", False, []),
    ],
)
def test_a_fusion_that_is_slow_on_a_cpu_is_kept_on_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str, everything: bool, disabled: list[str]
) -> None:
    monkeypatch.setattr(onnxruntime, "InferenceSession", WhatItWasAsked)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda directory: None)
    session = OnnxSession(tmp_path / "model.onnx", 1, provider, OnnxOptions(everything))
    assert session._session.disabled == disabled


@pytest.mark.parametrize(
    ("provider", "names"),
    [
        ("CPUExecutionProvider", ["CPUExecutionProvider"]),
        ("CUDAExecutionProvider", ["CUDAExecutionProvider", "CPUExecutionProvider"]),
        (
            "TensorrtExecutionProvider",
            ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"],
        ),
    ],
)
def test_others_take_over_what_a_provider_lacks(provider: str, names: list[str]) -> None:
    providers = sessions._providers(provider, {"a": "b"})
    assert [name for name, _ in providers] == names
    assert [options for _, options in providers] == [{"a": "b"}, {}, {}][: len(names)]

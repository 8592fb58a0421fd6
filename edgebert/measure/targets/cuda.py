"""`cuda` and `cuda://tensorrt`: the local child on this machine's NVIDIA GPU; it never falls back to the CPU."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from edgebert.errors import InputError, MissingDependencyError
from edgebert.manifest import Manifest
from edgebert.measure import nvidia
from edgebert.measure.environment import environment
from edgebert.measure.job import Answer, Environment, GpuRow, Job
from edgebert.measure.process import CHILD, last_line, run_process
from edgebert.measure.targets.machine import Machine, Progress
from edgebert.measure.variants import Variant
from edgebert.runtimes import ONNXRUNTIME, RUNTIMES, WEIGHTS_ALONE
from edgebert.versions import not_imported

PROVIDERS = {"cuda": "CUDAExecutionProvider", "cuda://tensorrt": "TensorrtExecutionProvider"}
REINSTALL = "pip uninstall -y onnxruntime onnxruntime-gpu; pip install onnxruntime-gpu"
SAMPLE_S = 0.2


@contextmanager
def cuda(name: str, variants: Sequence[Variant], progress: Progress) -> Iterator[Machine]:
    """Provide this machine, with every session on the GPU.

    The first process of a bundle builds TensorRT's engines, and later processes reuse them. So cold starts are measured
    with a built engine.

    Raises:
        InputError: The provider does not exist, no driver works, or a variant is not for a GPU.
        MissingDependencyError: This onnxruntime lacks the provider.
    """
    provider = PROVIDERS.get(name)
    if provider is None:
        raise InputError(f"unknown target {name!r}; expected {' or '.join(PROVIDERS)}")
    for variant in variants:
        _suits(name, variant, progress)
    require_provider(name, provider)
    gpu = read_gpu(name)
    bundles = {str(variant.folder): variant.manifest for variant in variants}
    variables = {**os.environ, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    with tempfile.TemporaryDirectory(prefix="edgebert-") as engines:

        def child(job: Job) -> Answer:
            options = provider_options(provider, bundles[job["bundle"]], job["batch_size"], engines)
            job = {**job, "provider": (provider, options)}
            command = [sys.executable, *CHILD]
            if job["scenario"] != "memory":
                return run_process(command, job, variables)
            with device_memory() as memory:
                document = run_process(command, job, variables)
            return {**document, **memory}

        def environment_here() -> Environment:
            found = environment()
            return {**found, "gpu": found.get("gpu") or gpu, "provider": provider}

        yield Machine(name, child, environment_here)


def provider_options(provider: str, manifest: Manifest, batch_size: int, engines: str) -> dict[str, str]:
    """Options of the provider for a bundle.

    TensorRT gets one engine for every length and batch up to the largest.

    The precision is the bundle's own: a full-precision baseline stays FP32, and INT8 comes from Q/DQ nodes.
    """
    if provider != PROVIDERS["cuda://tensorrt"]:
        return {}
    inputs, longest, precision = manifest.inputs, manifest.max_length, manifest.precision

    def shapes(batch: int, length: int) -> str:
        return ",".join(f"{name}:{batch}x{length}" for name in inputs)

    return {
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": engines,
        "trt_fp16_enable": str(precision not in ("fp32", WEIGHTS_ALONE)),
        "trt_int8_enable": str(precision.startswith("int8") and precision != WEIGHTS_ALONE),
        "trt_profile_min_shapes": shapes(1, 1),
        "trt_profile_opt_shapes": shapes(1, min(longest, 128)),
        "trt_profile_max_shapes": shapes(batch_size, longest),
    }


def require_provider(name: str, provider: str) -> None:
    """Check that the installed ONNX Runtime has a provider.

    Raises:
        MissingDependencyError: It does not; the message says how to install one that does.
    """
    try:
        import onnxruntime
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "onnxruntime":
            raise MissingDependencyError(f"{name}: no onnxruntime here; pip install onnxruntime-gpu") from None
        raise not_imported("onnxruntime", error) from None
    available = onnxruntime.get_available_providers()
    if provider in available:
        return
    clash = _installed("onnxruntime") and _installed("onnxruntime-gpu")
    why = "; onnxruntime and onnxruntime-gpu are both installed and overwrite each other" if clash else ""
    raise MissingDependencyError(
        f"{name}: {provider} is not in this onnxruntime (it has {', '.join(available)}){why}; {REINSTALL}"
    )


def read_gpu(name: str) -> GpuRow:
    """Name, driver, memory in MB of 10^6 bytes and compute capability of the GPU.

    Raises:
        InputError: There is no driver, or it does not work.
    """
    row = _query(name, "name,driver_version,memory.total,compute_cap").split(", ")
    if len(row) != 4:
        raise InputError(f"{name}: nvidia-smi reports no GPU ({', '.join(row)}); check that there is one")
    return {"name": row[0], "driver": row[1], "memory_mb": nvidia.megabytes(int(row[2])), "compute_capability": row[3]}


@contextmanager
def device_memory() -> Iterator[Answer]:
    """Measure the GPU's memory while a process runs that is not timed.

    Yields:
        A dictionary, filled at the end: `device_memory_mb`, the peak above the use before, in MB of 10^6 bytes.
    """
    found: Answer = {}
    peaks = [_used_mb()]
    over = threading.Event()

    def watch() -> None:
        with contextlib.suppress(InputError):
            while not over.wait(SAMPLE_S):
                peaks.append(_used_mb())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
        found["device_memory_mb"] = round(max(peaks) - peaks[0], 1)


def _used_mb() -> float:
    """GPU memory in use by all processes, in MB of 10^6 bytes."""
    return nvidia.megabytes(int(_query("cuda", "memory.used")))


def _query(name: str, fields: str) -> str:
    command = ["nvidia-smi", "-i", nvidia.device(), f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except FileNotFoundError:
        raise InputError(
            f"{name}: no nvidia-smi here, so no NVIDIA driver; install it, or run this where the GPU is"
        ) from None
    except subprocess.TimeoutExpired:
        raise InputError(f"{name}: nvidia-smi does not answer; reset the GPU or reboot") from None
    if told.returncode:
        reason = last_line(told.stderr) or last_line(told.stdout) or f"exit code {told.returncode}"
        raise InputError(
            f"{name}: nvidia-smi fails ({reason}); after a driver update reboot, else install the driver again"
        )
    return last_line(told.stdout)


def _suits(name: str, variant: Variant, progress: Progress) -> None:
    if not RUNTIMES[variant.runtime].has_providers:
        raise InputError(
            f"{name}: {variant.name} would run on {variant.runtime}, which has no CUDA here; "
            f'give a suite with runtimes = ["{ONNXRUNTIME.name}"]'
        )
    if variant.manifest.precision == "int8-dynamic":
        progress(f"note: {variant.name} is dynamic INT8, which is slow on a GPU; use static INT8 or FP16")


def _installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True

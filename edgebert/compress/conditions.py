"""Describe what a stage runs with: tool versions, and properties of the machine that its result depends on."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from edgebert.compress.distributed import world_size
from edgebert.precision import FLOAT_FORMS
from edgebert.recipe import TrainSettings
from edgebert.runtimes import FORMATS, RUNTIMES
from edgebert.strict_json import Json, table_of

CHECKPOINT = ("torch", "transformers", "tokenizers", "safetensors", "optimum", "numpy")
TRAINING = (*CHECKPOINT, "accelerate", "scikit-learn", "scipy", "seqeval")
GRAPH = (*CHECKPOINT, "onnx", "onnx-ir", "onnxscript", "onnxruntime", "onnxruntime-gpu")
STATIC = ("neural-compressor",)
RUNTIME = tuple(name for row in RUNTIMES.values() for name in (*row.export_packages, *row.int8_packages))
ALL = (*TRAINING, *GRAPH, *STATIC, *RUNTIME)


def conditions(tools: Sequence[str], training: TrainSettings | None = None) -> dict[str, Json]:
    """Collect everything that a stage's result depends on besides its inputs and arguments.

    It is part of the stage's key and of its report.

    Args:
        tools: Packages that the stage runs.
        training: Settings of a training stage. The result depends on the number of processes, on CPU or GPU, and with
            precision `auto` on the machine.

    Returns:
        `tools` with the installed versions; for training also `precision`, `processes` and `device`.
    """
    found: dict[str, Json] = {"tools": installed(tools)}
    if training is not None:
        import torch

        from edgebert.compress.train import uses_bf16

        found["precision"] = "bf16" if uses_bf16(training) else "fp32"
        found["processes"] = world_size()
        found["device"] = "cuda" if torch.cuda.is_available() else "cpu"
    return found


def graph_tools(form: str, formats: Sequence[str]) -> tuple[str, ...]:
    """Packages that write a graph in this quantization form (`dynamic`, `weights`, `fp16` ...) and formats."""
    return (*GRAPH, *(STATIC * (form in ("static", "measure"))), *runtime_tools(formats, int8=form not in FLOAT_FORMS))


def runtime_tools(formats: Sequence[str], int8: bool) -> list[str]:
    """Packages besides those of an ONNX graph that write graphs in these formats, in INT8 or full precision."""
    rows = [FORMATS[name] for name in formats]
    return [name for row in rows for name in (*row.export_packages, *(row.int8_packages if int8 else ()))]


def installed(tools: Iterable[str]) -> dict[str, str]:
    """Versions of the given packages that are installed."""
    return {name: found for name in tools if (found := version(name))}


@cache
def version(package: str) -> str | None:
    """Version of a package when this process first asked; a later upgrade does not change what is imported."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def merged_tools(all_tools: Iterable[dict[str, str]]) -> dict[str, str]:
    """Versions of every tool that ran, by name; all of them if stages ran different ones."""
    found: dict[str, list[str]] = {}
    for tools in all_tools:
        for name, number in tools.items():
            versions = found.setdefault(name, [])
            versions += [] if number in versions else [number]
    return {name: ", ".join(found[name]) for name in sorted(found)}


def differences(before: Mapping[str, Json], now: Mapping[str, Json]) -> list[str]:
    """Describe how the conditions of two runs of a stage differ: `torch 2.12.0 (now 2.13.0)`."""
    earlier, later = _flat(before), _flat(now)
    names = sorted({*earlier, *later})
    return [
        f"{name} {earlier.get(name, 'missing')} (now {later.get(name, 'missing')})"
        for name in names
        if earlier.get(name) != later.get(name)
    ]


def _flat(found: Mapping[str, Json]) -> dict[str, Json]:
    """Flatten tools and other conditions to one table by name.

    Raises:
        ValueError: The tools are not a table.
    """
    others = {name: value for name, value in found.items() if name != "tools"}
    return {**table_of(found.get("tools", {})), **others}

"""Work of one test worker that all workers reuse: folders, and traced graphs."""

import functools
import hashlib
import io
import os
import pickle
import shutil
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def folder_of_the_run(factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run share; pytest deletes it with its other temporary folders."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


def once(folder: Path, make: Callable[[Path], object]) -> Path:
    """The first worker makes a folder, and the others wait for it. Treat it as read-only."""
    import fcntl  # not on Windows, where only tests of the device half run

    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = folder.with_name(f"{folder.name}.made")
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


class Traces:
    """Graphs of `torch.onnx.export`, by the module and the arguments that they were traced from.

    Tracing takes seconds, whatever the model's size, and many tests make a graph of the same tiny model. A module whose
    weights, settings and code are those of an earlier one has its graph; everything after the tracing runs as ever.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.fresh = False

    def install(self) -> None:
        """Make `torch.onnx.export` of this process look here first."""
        import torch

        traced = torch.onnx.export

        @functools.wraps(traced)
        def export(*arguments: Any, **settings: Any) -> Any:
            path = None if self.fresh or not settings.get("dynamo") else self._path((arguments, settings))
            if path is not None and path.is_file():
                return _Program(path)
            program = traced(*arguments, **settings)
            if path is not None and program is not None:
                _keep(program.model_proto, path)
            return program

        torch.onnx.export = export

    def _path(self, given: Any) -> Path | None:
        """File of the graph; None if the module's contents cannot be hashed."""
        content = io.BytesIO()
        try:
            _Contents(content).dump(given)
        except (pickle.PicklingError, AttributeError, TypeError, RuntimeError, ValueError):
            return None
        return self.folder / f"{hashlib.sha256(content.getvalue()).hexdigest()}.onnx"


class _Program:
    """A traced graph, with the parts that EdgeBERT and `bench/` use of `torch.onnx.export`'s result."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def model_proto(self) -> Any:
        import onnx

        return onnx.load(self.path)

    @property
    def model(self) -> Any:
        import onnx_ir

        return onnx_ir.load(self.path)

    def save(self, path: Path, **settings: Any) -> None:
        import onnx_ir
        import torch

        torch.onnx.ONNXProgram(onnx_ir.load(self.path), None).save(path, **settings)


def _keep(graph: Any, path: Path) -> None:
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_bytes(graph.SerializeToString())
    partial.rename(path)


# Entries of a model's config that no layer reads: the path it was read from, and the names of its outputs.
NAMES = ("name_or_path", "_name_or_path", "id2label", "label2id", "problem_type", "architectures")
ACTIVATIONS = ("sentence_transformers", "sbert_ce_default_activation_function")


class _Contents(pickle.Pickler):
    """Pickles everything that a trace depends on: tensors as bytes, without the model's path."""

    def reducer_override(self, given: Any) -> Any:
        import torch
        from transformers import PreTrainedConfig, PreTrainedModel

        if isinstance(given, torch.Tensor):
            values = hashlib.sha256(given.detach().contiguous().numpy().tobytes()).hexdigest()
            return tuple, ((str(given.dtype), tuple(given.shape), given.requires_grad, values),)
        if isinstance(given, PreTrainedConfig | PreTrainedModel):
            state = {name: value for name, value in vars(given).items() if name not in (*NAMES, *ACTIVATIONS)}
            return tuple, ((type(given), state),)
        if isinstance(given, types.FunctionType) and "<locals>" in given.__qualname__:
            cells = [cell.cell_contents for cell in given.__closure__ or ()]
            return tuple, ((given.__module__, given.__qualname__, cells),)
        if isinstance(given, type) and "<locals>" in given.__qualname__:
            return tuple, ((given.__module__, given.__qualname__, given.__bases__),)
        return NotImplemented

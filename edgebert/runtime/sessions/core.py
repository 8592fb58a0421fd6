"""Sessions of the native core: EdgeBERT's own small C library, called through ctypes (core/edgebert_core.h)."""

from __future__ import annotations

import ctypes
import itertools
import math
import os
import sys
from array import array
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from edgebert.errors import BundleError, MissingDependencyError, RunError, TextError
from edgebert.manifest import AGAIN, MANIFEST
from edgebert.runtime.batches import ANY_LENGTHS
from edgebert.runtime.encode import Encoded
from edgebert.runtime.session import GraphSession, Ids, Opening, Outputs, ProfiledSession, TextOutputs, too_little

INTERFACE = 1
REMEDY = "install the wheel of EdgeBERT for this machine, or run core/build.py in a checkout"
NAMES = {"win32": "edgebert_core.dll", "darwin": "libedgebert_core.dylib"}
LIBRARY = Path(__file__).resolve().parents[2] / "lib" / NAMES.get(sys.platform, "libedgebert_core.so")
MAX_THREADS = 256


class _Info(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("interface", "vocabulary", "max_length", "segments", "layers", "width")),
        ("outputs", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("kernel", ctypes.c_char_p),
    )


class _Output(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_int32) for name in ("width", "per_token", "scalar"))


class _Values(NamedTuple):
    """The values of one output, row after row, and the shape of a row."""

    numbers: memoryview[float]
    shape: tuple[int, ...]

    def rows(self, start: int, end: int) -> memoryview[float]:
        """Return some rows. *Shape*: (rows, ...)."""
        width = math.prod(self.shape)
        return self.numbers[start * width : end * width].cast("B").cast("f", (end - start, *self.shape))

    def row(self, at: int) -> memoryview[float]:
        """Return one row."""
        width = math.prod(self.shape)
        return self.numbers[at * width : (at + 1) * width].cast("B").cast("f", self.shape)


class _Batch(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("ids", "segments", "lengths")),
        ("texts", ctypes.c_int32),
    )


@cache
def library() -> ctypes.CDLL:
    """Load the library.

    Raises:
        MissingDependencyError: It is not installed, or does not fit this machine or this EdgeBERT.
    """
    faults = []
    for place in library_files():
        try:
            found = ctypes.CDLL(place)
            _declare(found)
        except (OSError, AttributeError) as error:
            faults.append(str(error))
        else:
            return found
    if faults:
        raise MissingDependencyError(f"the native core cannot be loaded ({faults[0]}); {REMEDY}")
    raise MissingDependencyError(f"the native core is not in this installation ({LIBRARY.name}); {REMEDY}")


def library_files() -> list[str]:
    """This package's library, then those of other EdgeBERT copies on the module path.

    Over ssh, the copied code hides the installed wheel.
    """
    packages = [os.path.join(entry, "edgebert") for entry in sys.path if os.path.isabs(entry)]
    whole = [package for package in packages if os.path.isfile(os.path.join(package, "__init__.py"))]
    hidden = (os.path.join(package, "lib", LIBRARY.name) for package in whole)
    return [place for place in dict.fromkeys([str(LIBRARY), *hidden]) if os.path.isfile(place)]


def _declare(found: ctypes.CDLL) -> None:
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32
    found.edgebert_open_with.restype, found.edgebert_open_with.argtypes = pointer, [text, number, text]
    found.edgebert_describe.restype, found.edgebert_describe.argtypes = None, [pointer, pointer]
    found.edgebert_output.restype, found.edgebert_output.argtypes = ctypes.c_int, [pointer, number, pointer]
    found.edgebert_run.restype, found.edgebert_run.argtypes = ctypes.c_int, [pointer, pointer, pointer]
    found.edgebert_close.restype, found.edgebert_close.argtypes = None, [pointer]
    found.edgebert_last_error.restype, found.edgebert_last_error.argtypes = text, []
    found.edgebert_kernel_name.restype, found.edgebert_kernel_name.argtypes = text, [number]


def unusable() -> str:
    """Why the core cannot run here; "" if it can."""
    try:
        library()
    except MissingDependencyError as error:
        return str(error)
    return ""


def kernel_names() -> list[str]:
    """Kernels that this processor can run, the fastest first.

    Raises:
        MissingDependencyError: The library is not installed.
    """
    found = (library().edgebert_kernel_name(number) for number in itertools.count())
    return [name.decode() for name in itertools.takewhile(lambda name: name is not None, found)]


def open_session(opening: Opening) -> GraphSession:
    """Open a bundle's model file.

    Raises:
        BundleError: It is damaged, was written by an incompatible EdgeBERT, or takes shorter texts than the manifest
            says.
        MissingDependencyError: The library is not installed.
    """
    manifest = opening.manifest
    session = CoreSession(opening.graph, opening.threads, manifest.inputs, manifest.outputs)
    if manifest.max_length > session.max_length:
        raise BundleError(
            f"{opening.folder / MANIFEST}: damaged: max_length is {manifest.max_length}, but {opening.graph.name} "
            f"takes {session.max_length} tokens at most; {AGAIN}"
        )
    return session


def open_profiled(opening: Opening) -> ProfiledSession:
    """Refuse to time operators: the core cannot do it.

    Raises:
        RunError: Always.
    """
    raise RunError("the native core does not time operators; give --runtime onnxruntime")


class CoreSession:
    """The native core. Threads may share it; texts of any lengths run together, without padding."""

    batching = ANY_LENGTHS

    def __init__(
        self, path: Path, threads: int, inputs: Sequence[str], outputs: Sequence[str], kernel: str | None = None
    ) -> None:
        """Open a model file.

        Args:
            path: The file, `core.bin`.
            threads: Threads inside one run.
            inputs: Names of the model's inputs; segments are read if `token_type_ids` is among them.
            outputs: Names of its outputs.
            kernel: Name of a kernel (`kernel_names`); None for the fastest.

        Raises:
            BundleError: The file is damaged, or does not have these inputs and outputs.
            RunError: Too little memory.
            MissingDependencyError: The library is not installed.
        """
        self._library = library()
        wanted = None if kernel is None else kernel.encode()
        self._model = self._library.edgebert_open_with(bytes(path), min(threads, MAX_THREADS), wanted)
        if not self._model:
            reason = self._error()
            if reason.endswith("too little memory"):
                raise too_little(path, "the native core", "it cannot be mapped")
            raise BundleError(f"{reason}; export the bundle again")
        # A library with another interface may write more bytes.
        room = (_Info * 16)()
        self._library.edgebert_describe(self._model, ctypes.byref(room))
        info = room[0]
        if info.interface != INTERFACE:
            raise MissingDependencyError(
                f"the native core has interface {info.interface}, but this EdgeBERT needs {INTERFACE}; {REMEDY}"
            )
        self.kernel = info.kernel.decode()
        self.max_length = int(info.max_length)
        self._reads_segments = info.segments > 1
        self._outputs = [self._output(number) for number in range(info.outputs)]
        names = ["input_ids", "attention_mask", *(["token_type_ids"] if self._reads_segments else [])]
        self.input_names = list(inputs) if set(names) == set(inputs) else names
        known = list(outputs) if len(outputs) == info.outputs else [f"output {n}" for n in range(info.outputs)]
        widths = [None if output.scalar else output.width for output in self._outputs]
        self.output_widths: dict[str, int | None] = dict(zip(known, widths, strict=True))

    def __del__(self) -> None:
        """Close the file."""
        if getattr(self, "_model", None):
            self._library.edgebert_close(self._model)
            self._model = None

    def run(self, inputs: dict[str, Ids]) -> Outputs:
        """Outputs of one padded batch; padding's rows are zeros.

        Raises:
            TextError: A row is all padding.
            BundleError: A token id or a length is beyond the model's.
        """
        import numpy as np

        from edgebert.runtime.padded import check_rows, int32, padded

        check_rows(inputs)
        mask = inputs["attention_mask"] != 0
        ids = array("i", int32(inputs["input_ids"][mask]).tobytes())
        segments = array("i", int32(inputs["token_type_ids"][mask]).tobytes() if self._reads_segments else b"")
        found = self._run(ids, segments, mask.sum(axis=1).tolist())
        return tuple(
            padded(values.rows(0, len(ids)), mask) if output.per_token else np.asarray(values.rows(0, len(mask)))
            for values, output in zip(found, self._outputs, strict=True)
        )

    def run_ragged(self, windows: Sequence[Encoded]) -> list[TextOutputs]:
        """Outputs of each text, without a batch axis.

        They are float32, and `numpy.asarray` wraps them without a copy.

        Raises:
            TextError: There are no texts, or one has no token or an invalid token id.
            BundleError: A token id or a length is beyond the model's.
        """
        ids, segments = array("i"), array("i")
        for row, window in enumerate(windows, 1):
            if not window.ids:
                raise TextError(f"text {row} of a batch of {len(windows)} has no token; give at least one word")
            _extend(ids, window, window.ids)
            if self._reads_segments:
                _extend(segments, window, window.type_ids)
        lengths = [len(window.ids) for window in windows]
        found = self._run(ids, segments, lengths)
        ends = list(itertools.accumulate(lengths))
        return [
            tuple(
                values.rows(end - length, end) if output.per_token else values.row(at)
                for values, output in zip(found, self._outputs, strict=True)
            )
            for at, (length, end) in enumerate(zip(lengths, ends, strict=True))
        ]

    def _run(self, ids: array[int], segments: array[int], lengths: Sequence[int]) -> list[_Values]:
        """Outputs of a ragged batch, with one row for each token or for each text."""
        counts = array("i", lengths)
        found = [
            array("f", (0.0,)) * ((len(ids) if output.per_token else len(counts)) * output.width)
            for output in self._outputs
        ]
        read = _address(segments) if self._reads_segments else None
        batch = _Batch(_address(ids), read, _address(counts), len(counts))
        places = (ctypes.c_void_p * len(found))(*map(_address, found))
        if self._library.edgebert_run(self._model, ctypes.byref(batch), places):
            raise self._run_error()
        return [
            _Values(memoryview(values), () if output.scalar else (output.width,))
            for values, output in zip(found, self._outputs, strict=True)
        ]

    def _output(self, number: int) -> _Output:
        output = _Output()
        self._library.edgebert_output(self._model, number, ctypes.byref(output))
        return output

    def _run_error(self) -> Exception:
        reason = self._error()
        if "memory" in reason:
            return RunError(f"the native core has {reason}; free some, or give fewer texts")
        if "no text" in reason:
            return TextError(reason)
        return BundleError(f"the native core cannot run the bundle's model ({reason}); export the bundle again")

    def _error(self) -> str:
        return str(self._library.edgebert_last_error().decode(errors="replace"))


def _extend(numbers: array[int], window: Encoded, more: Sequence[int]) -> None:
    """Add one text's token ids or segments.

    Raises:
        TextError: A value is negative or not a whole number, or the count differs from the number of tokens.
    """
    try:
        numbers.extend(more)
        whole = len(more) == len(window.ids) and min(more) >= 0
    except (TypeError, OverflowError):
        whole = False
    if not whole:
        raise TextError(f"{window!r:.80} is no encoded text: each token needs an id and a segment, numbers from 0")


def _address(values: array[int] | array[float]) -> int:
    return values.buffer_info()[0]

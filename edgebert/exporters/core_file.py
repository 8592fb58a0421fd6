"""Write `core.bin`, the model file of the native core: tensors, and a description that says what each one is for.

`core/src/read_model.c` reads it and documents the layout; docs/explanation/core.md explains it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgebert.exporters.core_runs import make_runs

MAGIC, FORMAT, ORDER = b"EDGEBERT", 1, 0x01020304
BLOCK, QUAD, ALIGN, SLACK = 16, 4, 64, 4096
HEADER_BYTES, ENTRY_BYTES = 64, 24
NOTHING = 0xFFFFFFFF
# Precisions of a matrix; the numbers are those in core/src/read_model.c.
FULL, INT8, WITH_RUNS = range(3)
KINDS = {"float32": 0, "int8": 1, "int32": 2, "uint16": 3, "uint32": 4}

Floats = NDArray[np.float32]
Array = NDArray[np.generic]
N = TypeVar("N", bound=np.generic)


@dataclass
class CoreFile:
    """Tensors and words of a model file in memory; `named` lists the words that are tensor numbers."""

    tensors: list[Array] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    named: list[int] = field(default_factory=list)

    def number(self, *values: int) -> None:
        """Add whole numbers to the description."""
        self.words += values

    def real(self, value: float) -> None:
        """Add a float32 to the description."""
        self.words.append(struct.unpack("<I", struct.pack("<f", value))[0])

    def tensor(self, values: Array | None) -> None:
        """Add a tensor, and its number to the description; None writes the number for "no tensor"."""
        if values is None:
            self.words.append(NOTHING)
            return
        self.named.append(len(self.words))
        self.words.append(len(self.tensors))
        self.tensors.append(np.ascontiguousarray(values))

    def row(self, values: Floats) -> None:
        """Add a vector, padded with zeros to whole blocks."""
        self.tensor(filled(values.astype(np.float32)))

    def table(self, values: Array) -> None:
        """Add a table, every row padded with zeros."""
        self.tensor(filled(values))

    def append(self, other: CoreFile) -> None:
        """Append another description, whose tensor numbers were written by `tensor`."""
        first = len(self.tensors)
        named = set(other.named)
        self.words += [word + first if at in named else word for at, word in enumerate(other.words)]
        self.tensors += other.tensors

    def write(self, out: Path) -> None:
        """Write the file. The same content gives the same bytes."""
        at = _aligned(HEADER_BYTES + ENTRY_BYTES * len(self.tensors) + 4 * len(self.words))
        entries = []
        for each in self.tensors:
            entries.append(struct.pack("<IIQQ", KINDS[each.dtype.name], 0, at, each.size))
            at = _aligned(at + each.nbytes)
        size = at + SLACK
        header = struct.pack("<8sIIQII", MAGIC, FORMAT, ORDER, size, len(self.tensors), len(self.words))
        with out.open("wb") as file:
            file.write(header.ljust(HEADER_BYTES, b"\0") + b"".join(entries))
            file.write(struct.pack(f"<{len(self.words)}I", *self.words))
            for each in self.tensors:
                file.write(bytes(_aligned(file.tell()) - file.tell()))
                file.write(each.astype(each.dtype.newbyteorder("<"), copy=False).tobytes())
            file.write(bytes(size - file.tell()))


@dataclass(frozen=True)
class Int8Columns:
    """INT8 weights. *Shape*: values (inputs, outputs), scale (outputs)."""

    values: NDArray[np.int8]
    scale: Floats

    @classmethod
    def of(cls, weights: Floats, largest: int) -> Int8Columns:
        """Quantize weights symmetrically to -largest .. largest, with one scale per column, as ONNX Runtime does.

        Args:
            weights: *Shape* (inputs, outputs).
            largest: 127, or 64 for seven bits.
        """
        scale = (np.abs(weights).max(axis=0).astype(np.float64) * 2 / (2 * largest)).astype(np.float32)
        scale[scale < np.finfo(np.float32).tiny] = 1.0
        values = np.clip(np.rint(weights / scale), -largest, largest).astype(np.int8)
        return cls(values, scale)

    @classmethod
    def rows(cls, table: Floats) -> Int8Columns:
        """Quantize a table with one scale per row, as `exporters.quantize.embeddings` does.

        *Shape* of scale: (rows).
        """
        scale = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-12) / 127.0
        values = np.clip(np.rint(table / scale), -127, 127).astype(np.int8)
        return cls(values, scale.astype(np.float32)[:, 0])


def write_matrix(
    file: CoreFile, weights: Floats | Int8Columns, bias: Floats | None, factors: Floats | None, for_avx2: bool = False
) -> None:
    """Add a matrix product to the description.

    Args:
        file: The model file.
        weights: *Shape* (inputs, outputs).
        bias: *Shape* (outputs); None for no bias.
        factors: Factors for the inputs before quantization. *Shape* (inputs).
        for_avx2: Whether to add the tables of the AVX2 kernel, if the library that makes them is installed.
    """
    row = np.zeros(weights.values.shape[1] if isinstance(weights, Int8Columns) else weights.shape[1], np.float32)
    row = row if bias is None else bias
    if not isinstance(weights, Int8Columns):
        inputs, outputs = weights.shape
        file.number(inputs, outputs, FULL)
        file.tensor(filled(weights.astype(np.float32)).reshape(inputs, -1, BLOCK).transpose(1, 0, 2))
        file.row(row)
        return
    inputs, outputs = weights.values.shape
    quads = _quads(weights.values)
    runs = make_runs(quads, inputs, outputs) if for_avx2 else None
    file.number(inputs, outputs, INT8 if runs is None else WITH_RUNS)
    file.tensor(quads)
    file.row(weights.scale)
    file.tensor(filled(weights.values.sum(axis=0, dtype=np.int32)))
    file.tensor(None if factors is None else filled(factors.astype(np.float32)))
    file.row(row)
    if runs is not None:
        file.number(runs.most, runs.order.size, len(runs.offsets))
        for table in (runs.block, runs.order, runs.offsets, runs.start):
            file.tensor(table)


def _quads(values: NDArray[np.int8]) -> NDArray[np.int8]:
    """Order weights by block of 16 outputs, quad of 4 inputs, output, input."""
    rows = np.zeros((-(-values.shape[0] // QUAD) * QUAD, values.shape[1]), np.int8)
    rows[: values.shape[0]] = values
    return filled(rows).reshape(-1, QUAD, filled(rows).shape[1] // BLOCK, BLOCK).transpose(2, 0, 3, 1)


def filled(values: NDArray[N]) -> NDArray[N]:
    """Pad the last axis with zeros to whole blocks."""
    missing = -values.shape[-1] % BLOCK
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)]) if missing else values


def _aligned(at: int) -> int:
    return -(-at // ALIGN) * ALIGN

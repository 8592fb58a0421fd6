"""Model files of the native core with tables of the AVX2 kernel."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgebert.exporters import core_runs
from edgebert.exporters.core_file import CoreFile

DTYPES = ("f4", "i1", "i4", "u2", "u4")
Tables = dict[str, np.ndarray]


def make_runs(weights: np.ndarray, inputs: int, outputs: int, most: int = 255) -> Tables:
    """Tables of a matrix, by the library."""
    runs = core_runs.make_runs(weights, inputs, outputs, most)
    assert runs is not None
    return {name: getattr(runs, name) for name in ("block", "order", "offsets", "start")}


def with_runs(file: Path, out: Path, change: Callable[[Tables], None] = lambda tables: None) -> int:
    """Write a model file again, its INT8 matrices with runs; returns how many have them."""
    data = file.read_bytes()
    count, words = struct.unpack_from("<II", data, 24)
    tensors = []
    for at in range(count):
        kind, _, offset, size = struct.unpack_from("<IIQQ", data, 64 + 24 * at)
        tensors.append(np.frombuffer(data, DTYPES[kind], size, offset))
    old = list(struct.unpack_from(f"<{words}I", data, 64 + 24 * count))
    new, at, made = CoreFile(tensors, old[:1]), 1, 0
    for _ in range(old[0]):
        inputs, outputs, int8 = old[at : at + 3]
        body = old[at + 3 : at + (8 if int8 else 5)]
        new.number(inputs, outputs, 2 * int8, *body)
        if int8:
            tables = make_runs(tensors[body[0]], inputs, outputs)
            change(tables)
            new.number(255, tables["order"].size, len(tables["offsets"]))
            for name in ("block", "order", "offsets", "start"):
                new.tensor(tables[name])
        at, made = at + 3 + len(body), made + int8
    new.number(*old[at:])
    new.write(out)
    return made

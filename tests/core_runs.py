"""Model files of the native core with tables of the AVX2 kernel."""

import ctypes
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgebert.exporters.core_file import BLOCK, CoreFile
from edgebert.runtime.sessions.core import library

DTYPES = ("f4", "i1", "i4", "u2", "u4")
Tables = dict[str, np.ndarray]


class Runs(ctypes.Structure):
    """EdgebertRuns of core/edgebert_core.h."""

    _fields_ = (
        ("most", ctypes.c_int32),
        ("blocks", ctypes.c_int32),
        ("entries", ctypes.c_uint32),
        ("groups", ctypes.c_uint32),
        ("block", ctypes.POINTER(ctypes.c_uint32)),
        ("order", ctypes.POINTER(ctypes.c_uint16)),
        ("offsets", ctypes.POINTER(ctypes.c_int8)),
        ("start", ctypes.POINTER(ctypes.c_int32)),
    )


def make_runs(weights: np.ndarray, inputs: int, outputs: int, most: int = 255) -> Tables:
    """Tables of a matrix, by the library."""
    make, free = library().edgebert_make_runs, library().edgebert_free_runs
    make.restype, make.argtypes = ctypes.POINTER(Runs), [ctypes.c_void_p, *[ctypes.c_int32] * 3]
    free.restype, free.argtypes = None, [ctypes.c_void_p]
    found = make(weights.ctypes.data, inputs, outputs, most)
    assert found
    runs = found.contents
    array = np.ctypeslib.as_array
    tables = {
        "block": array(runs.block, (runs.blocks, 4)).copy(),
        "order": array(runs.order, (runs.entries,)).copy(),
        "offsets": array(runs.offsets, (runs.groups, 32)).copy(),
        "start": array(runs.start, (runs.blocks, BLOCK)).copy(),
    }
    free(found)
    return tables


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

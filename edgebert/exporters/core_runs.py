"""Make the tables of the native core's AVX2 kernel at export; otherwise they are made each time a file is opened."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebert.errors import MissingDependencyError
from edgebert.runtime.sessions.core import library

MOST = 255


class _Runs(ctypes.Structure):
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


@dataclass(frozen=True)
class Runs:
    """How the AVX2 kernel sums a matrix; core/src/runs.h explains the tables."""

    block: NDArray[np.uint32]
    order: NDArray[np.uint16]
    offsets: NDArray[np.int8]
    start: NDArray[np.int32]
    most: int = MOST


def make_runs(quads: NDArray[np.int8], inputs: int, outputs: int, most: int = MOST) -> Runs | None:
    """Make the tables of a matrix.

    Args:
        quads: Weights in the file's order.
        inputs: Number of inputs.
        outputs: Number of outputs.
        most: Largest quantized activation.

    Returns:
        None if the library is not installed, or the matrix has too many inputs. The tables are then made on opening, or
        the kernel works without them.
    """
    try:
        found = library()
    except MissingDependencyError:
        return None
    make, free = found.edgebert_make_runs, found.edgebert_free_runs
    make.restype, make.argtypes = ctypes.POINTER(_Runs), [ctypes.c_void_p, *[ctypes.c_int32] * 3]
    free.restype, free.argtypes = None, [ctypes.c_void_p]
    weights = np.ascontiguousarray(quads)
    made = make(weights.ctypes.data, inputs, outputs, most)
    if not made:
        return None
    runs = made.contents
    array = np.ctypeslib.as_array
    tables = Runs(
        array(runs.block, (runs.blocks, 4)).copy(),
        array(runs.order, (runs.entries,)).copy(),
        array(runs.offsets, (runs.groups, 32)).copy(),
        array(runs.start, (runs.blocks, 16)).copy(),
        most,
    )
    free(made)
    return tables

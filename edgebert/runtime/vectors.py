"""Embeddings as numpy arrays: normalization, cosines, nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebert.errors import InputError
from edgebert.runtime.session import Outputs

Vectors = NDArray[np.float32]
Indices = NDArray[np.int64]
# Minimum divisor of a vector.
SHORTEST = 1e-12


def stacked(rows: Sequence[Outputs]) -> Vectors:
    """First output of every text in one array. *Shape*: (texts, width)."""
    return np.stack([row[0] for row in rows])


def unit(vectors: Vectors) -> Vectors:
    """Divide vectors by their lengths. *Shape*: (texts, width)."""
    divided: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), SHORTEST)
    return divided


def cosines_of(left: Vectors, right: Vectors) -> Vectors:
    """Cosines of unit vectors, all pairs. *Shape*: (texts on the left, texts on the right)."""
    cosines: Vectors = np.clip(left @ right.T, -1.0, 1.0)
    return cosines


def nearest(asked: Vectors, known: Vectors, k: int) -> tuple[Indices, Vectors]:
    """Positions and cosines of the `k` nearest vectors, best first; if equal, the earlier one first.

    *Shape* of both: (queries, k), or fewer columns if there are fewer known vectors.
    """
    cosines = asked @ known.T
    best = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return best, np.take_along_axis(cosines, best, axis=1)


def checked(known: NDArray[Any], normalized: bool) -> Vectors:
    """Check that an array holds embeddings as `embed` returns them, and return it.

    Raises:
        InputError: Its shape, its numbers or its vector lengths are not those of embeddings; the message names the row.
    """
    if known.ndim != 2 or not len(known):
        raise InputError(f"the corpus has the shape {known.shape}; give texts, or embeddings of (texts, width)")
    if known.dtype.kind != "f":
        raise InputError(f"the corpus is an array of {known.dtype}; give texts as a list, or the result of embed")
    squares = np.einsum("ij,ij->i", known, known, dtype=np.result_type(known, np.float32))
    if not np.isfinite(squares).all():
        row = int(np.flatnonzero(~np.isfinite(squares))[0])
        raise InputError(f"the corpus holds nan or infinity, first in row {row}; embed that text again")
    # With half precision, lengths are within a thousandth of 1.
    if normalized and len(others := np.flatnonzero(np.abs(squares - 1.0) > 0.01)):
        row, length = int(others[0]), float(np.sqrt(squares[others[0]]))
        raise InputError(f"row {row} of the corpus has the length {length:.3g}, not 1; divide every row by its length")
    return known

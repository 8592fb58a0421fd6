"""Matrices of a core's model file, each stored once, in the precision that the export asks for."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from edgebert.errors import CheckpointError
from edgebert.exporters.core_file import BLOCK, CoreFile, Floats, Int8Columns, write_matrix

# In the same order as the enumeration in core/src/kernel.h.
ACTIVATIONS = ("identity", "gelu", "gelu_tanh", "relu", "tanh", "sigmoid", "silu")
# Maximum inputs of an INT8 matrix: core/src/read_model.c refuses more.
MAX_INPUTS = 1 << 16
FUNCTIONS = {
    "identity": lambda x: x,
    "gelu": nn.functional.gelu,
    "gelu_tanh": lambda x: nn.functional.gelu(x, approximate="tanh"),
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "silu": nn.functional.silu,
}


class NotCoveredError(CheckpointError):
    """The native core cannot run a model; other runtimes can."""


class Matrices:
    """The matrices of a model file, in order of first use."""

    def __init__(self, largest: int, leave: Collection[str], for_avx2: bool = False) -> None:
        """Set the largest INT8 weight, the names of products that stay in FP32, and whether to add AVX2 tables."""
        self.largest, self.leave, self.for_avx2 = largest, leave, for_avx2
        self._file, self._count = CoreFile(), 0

    def int8(self, linear: nn.Linear, name: str, factors: Floats | None) -> int:
        """Return the number of an INT8 matrix.

        It is FP32 if its name is among those to leave, or if its sums could exceed 32 bits.
        """
        if name in self.leave or linear.in_features > MAX_INPUTS:
            return self._add(_weights(linear), _bias(linear), None, factors)
        return self._add(Int8Columns.of(_weights(linear), self.largest), _bias(linear), factors, None)

    def full(self, linear: nn.Linear) -> int:
        """Return the number of an FP32 matrix."""
        return self._add(_weights(linear), _bias(linear), None, None)

    def joined(self, linears: Sequence[nn.Linear], names: Sequence[str], factors: Floats | None) -> int:
        """Return the number of several matrices side by side, each a whole number of blocks wide.

        All are FP32 if one of them is to be left, or if sums could exceed 32 bits.
        """
        weights = [_filled(_weights(linear)) for linear in linears]
        bias = np.concatenate([_filled(_bias(linear)[None])[0] for linear in linears])
        if any(name in self.leave for name in names) or linears[0].in_features > MAX_INPUTS:
            return self._add(np.concatenate(weights, axis=1), bias, None, factors)
        parts = [Int8Columns.of(each, self.largest) for each in weights]
        values = np.concatenate([part.values for part in parts], axis=1)
        return self._add(Int8Columns(values, np.concatenate([part.scale for part in parts])), bias, factors, None)

    def before(self, rest: CoreFile) -> CoreFile:
        """Make the file: these matrices, and then the rest of a description."""
        shifted = CoreFile(list(self._file.tensors), [self._count, *self._file.words])
        shifted.append(rest)
        return shifted

    def _add(self, weights: Floats | Int8Columns, bias: Floats, factors: Floats | None, folded: Floats | None) -> int:
        """Write a matrix; FP32 weights are multiplied by the smoothing factors (`folded`)."""
        if folded is not None and not isinstance(weights, Int8Columns):
            weights = weights * folded[:, None]
        write_matrix(self._file, weights, bias, factors, self.for_avx2)
        self._count += 1
        return self._count - 1


def activation_number(function: object) -> int:
    """Number of an activation in a model file, found from its values for some inputs.

    Raises:
        NotCoveredError: The core does not have this activation.
    """
    probe = torch.linspace(-6.0, 6.0, 101)
    if callable(function):
        with torch.no_grad():
            given = function(probe.clone())
        for number, name in enumerate(ACTIVATIONS):
            if isinstance(given, Tensor) and torch.allclose(given, FUNCTIONS[name](probe), rtol=0, atol=1e-6):
                return number
    raise NotCoveredError(f"it does not have the activation {getattr(function, '__name__', type(function).__name__)}")


def numbers(weights: Tensor) -> Floats:
    """A parameter as an array."""
    return weights.detach().float().numpy()


def _weights(linear: nn.Linear) -> Floats:
    return numbers(linear.weight).T


def _bias(linear: nn.Linear) -> Floats:
    return np.zeros(linear.out_features, np.float32) if linear.bias is None else numbers(linear.bias)


def _filled(columns: Floats) -> Floats:
    return np.pad(columns, [(0, 0), (0, -columns.shape[1] % BLOCK)])

"""Matrices of a model file: which are in INT8, and that what is written is what the library reads."""

import pytest
from torch import nn

from edgebert.exporters.core_file import CoreFile
from edgebert.exporters.core_matrices import MAX_INPUTS, Matrices


@pytest.mark.parametrize(("inputs", "precision"), [(MAX_INPUTS, 1), (MAX_INPUTS + 1, 0)])
def test_a_matrix_whose_sums_could_leave_32_bits_stays_in_fp32(inputs: int, precision: int) -> None:
    linear = nn.Linear(inputs, 2, bias=False)
    matrices = Matrices(127, ())
    matrices.int8(linear, "wide", None)
    matrices.joined([linear], ["wide"], None)
    count, *words = matrices.before(CoreFile()).words
    assert count == 2
    assert words[:3] == [inputs, 2, precision]

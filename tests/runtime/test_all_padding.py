"""A row of only padding has no correct answer: no batch has one, and no session runs one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgebert
from edgebert.compress.batch import pad_batch
from edgebert.errors import TextError
from edgebert.runtime.encode import Encoded
from edgebert.runtime.padded import padded_inputs
from edgebert.runtime.session import CPU, Session
from edgebert.runtime.sessions.cuda_graphs import CudaGraphSession
from edgebert.runtime.sessions.onnxruntime import OnnxSession, UnpaddedSession
from edgebert.runtime.sessions.openvino import OpenVinoSession

OPEN: list[Callable[[Path], Session]] = [
    lambda graph: OnnxSession(graph, 1, CPU),
    lambda graph: CudaGraphSession(graph, 1, [8, 16], CPU),
    lambda graph: OpenVinoSession(graph, 1, [8]),
]


def batch(mask: list[list[int]]) -> dict[str, np.ndarray]:
    shape = np.array(mask)
    return {"input_ids": 7 * shape, "attention_mask": shape}


@pytest.mark.parametrize("make", OPEN)
def test_no_session_runs_a_row_of_padding(make: Callable[[Path], Session], classifier_graph: Path) -> None:
    session = make(classifier_graph)
    for mask, row in (
        ([[0, 0, 0]], "row 1 of a batch of 1"),
        ([[1, 1], [1, 0], [0, 0], [0, 0]], "row 3 of a batch of 4"),
    ):
        with pytest.raises(TextError, match=f"{row} is all padding; give each text at least one token"):
            session.run(batch(mask))
    # Padding on the left, with one token left.
    for mask in ([[1, 1], [0, 1]], [[1, 0], [1, 1]], [[1]]):
        assert np.isfinite(session.run(batch(mask))[0]).all()


def test_a_session_without_a_mask_runs_no_row_of_padding(classifier_graph: Path) -> None:
    with pytest.raises(ValueError, match="padding"):
        UnpaddedSession(classifier_graph, 1, CPU).run(batch([[0, 0]]))


@pytest.mark.parametrize(
    ("encoded", "says"),
    [
        ([Encoded([], [])], "text 1 of a batch of 1 has no token"),
        ([Encoded([2, 9, 3], [0] * 3), Encoded([], [])], "text 2 of a batch of 2 has no token"),
        ([], "the batch holds no text"),
    ],
)
def test_no_batch_is_built_with_one(encoded: list[Encoded], says: str, built: Path) -> None:
    for refused in (
        lambda: padded_inputs(encoded, ["input_ids", "attention_mask"]),
        lambda: edgebert.load(built).run_encoded(encoded),
    ):
        with pytest.raises(TextError, match=says):
            refused()


def test_training_and_calibration_build_none() -> None:
    rows = [{"input_ids": ids, "token_type_ids": [0] * len(ids)} for ids in ([2, 9, 3], [])]
    with pytest.raises(TextError, match="text 2 of a batch of 2 has no token"):
        pad_batch(rows)


def test_the_model_card_warns_of_it(built: Path) -> None:
    assert "never run a row of only padding" in (built / "README.md").read_text()

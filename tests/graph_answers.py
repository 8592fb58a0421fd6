"""Outputs of a graph, for tests that compare two graphs."""

from pathlib import Path

import numpy as np
import onnxruntime


def logits(graph: Path, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"input_ids": ids, "attention_mask": mask})[0])


def assert_same_padded_and_alone(one: Path, other: Path, length: int) -> None:
    ids = np.random.default_rng(length).integers(5, 40, (4, length))
    mask = np.ones_like(ids)
    mask[1, 1:], mask[2, length // 2 + 1 :] = 0, 0
    whole = logits(one, ids, mask)
    assert np.abs(logits(other, ids, mask) - whole).max() <= 1e-5
    alone = logits(other, ids[2:3, : length // 2 + 1], mask[2:3, : length // 2 + 1])
    assert np.abs(alone - whole[2:3]).max() <= 1e-5


def assert_reads_the_mask(graph: Path) -> None:
    ids = np.random.default_rng(0).integers(5, 40, (1, 12))
    mask = np.ones_like(ids)
    whole = logits(graph, ids, mask)
    mask[0, 6:] = 0
    assert np.abs(logits(graph, ids, mask) - whole).max() > 1e-4

"""The native core answers as PyTorch does: every family, head, pooling and pruned shape, every kernel of this CPU."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from core_models import LONGEST, TASKS, module_of, opened, vocabulary_of, windows
from family_checkpoints import STANDARD, make_family

from edgebert.runtime.encode import Encoded
from edgebert.runtime.sessions.core import kernel_names, unusable

pytestmark = pytest.mark.skipif(bool(unusable()), reason=unusable())

LENGTHS = (1, 2, 3, 7, 8, 13, 16, 17, 31, 32)
POOLINGS = ("cls", "mean", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken", "cls+max+mean")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {family: make_family(tmp_path_factory.mktemp(family), family) for family in STANDARD}


def torch_answers(module: Any, texts: Sequence[Encoded]) -> list[tuple[np.ndarray, ...]]:
    found = []
    for text in texts:
        given = [torch.tensor([text.ids]), torch.ones(1, len(text.ids), dtype=torch.long)]
        if "token_type_ids" in module.inputs:
            given.append(torch.tensor([text.type_ids]))
        with torch.no_grad():
            found.append(tuple(output[0].numpy() for output in module(*given)))
    return found


@pytest.mark.parametrize("family", STANDARD)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("segments", "pruned"), [(1, False), (2, True)])
def test_full_precision_equals_pytorch(
    family: str, task: str, segments: int, pruned: bool, folders: dict[str, Path], tmp_path: Path
) -> None:
    if task == "fill-mask" and family == "distilbert" and pruned:
        segments = 1
    module, rows = module_of(folders[family], task, segments, pruned)
    texts = windows(LENGTHS, vocabulary_of(module), segments)
    for kernel in kernel_names():
        session = opened(module, rows, tmp_path / "core.bin", full=True, kernel=kernel)
        for found, expected in zip(session.run_ragged(texts), torch_answers(module, texts), strict=True):
            for one, other in zip(found, expected, strict=True):
                assert one.shape == other.shape
                np.testing.assert_allclose(one, other, rtol=0, atol=1e-5, err_msg=kernel)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling_equals_pytorch(pooling: str, folders: dict[str, Path], tmp_path: Path) -> None:
    module, rows = module_of(folders["bert"], "similarity", head={"pooling": pooling})
    texts = windows(LENGTHS, vocabulary_of(module), 1)
    session = opened(module, rows, tmp_path / "core.bin", full=True)
    for (found,), (expected,) in zip(session.run_ragged(texts), torch_answers(module, texts), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("family", STANDARD)
def test_int8_is_near_full_precision_and_kernels_agree(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    module, rows = module_of(folders[family], "similarity", pruned=True)
    texts = windows(LENGTHS[2:], vocabulary_of(module), 1)
    expected = np.stack([answer for (answer,) in torch_answers(module, texts)])
    apart = 1 - float((expected @ expected.T).min())
    answers = []
    for kernel in kernel_names():
        session = opened(module, rows, tmp_path / "core.bin", full=False, kernel=kernel)
        answers.append(np.stack([answer for (answer,) in session.run_ragged(texts)]))
        distance = 1 - (answers[-1] * expected).sum(axis=1)
        assert distance.max() < 0.02 * apart, kernel
    for other in answers[1:]:
        # The same 8-bit sums; rounding of a row may tip where FP32 arithmetic differs in its last digit.
        assert np.abs(other - answers[0]).max() < 0.05 * np.abs(answers[0]).max()


def test_an_answer_does_not_depend_on_the_batch(folders: dict[str, Path], tmp_path: Path) -> None:
    module, rows = module_of(folders["bert"], "token-classification")
    texts = windows([*LENGTHS] * 5, vocabulary_of(module), 1)
    for kernel in kernel_names():
        session = opened(module, rows, tmp_path / "core.bin", full=False, kernel=kernel)
        alone = [session.run_ragged([text])[0][0] for text in texts]
        for order in (range(len(texts)), [*reversed(range(len(texts)))]):
            found = session.run_ragged([texts[at] for at in order])
            for at, (answer,) in zip(order, found, strict=True):
                assert np.array_equal(answer, alone[at]), kernel


def test_a_padded_batch_gives_the_same_rows(folders: dict[str, Path], tmp_path: Path) -> None:
    module, rows = module_of(folders["bert"], "token-classification", segments=2)
    texts = windows(LENGTHS, vocabulary_of(module), 2)
    session = opened(module, rows, tmp_path / "core.bin", full=False)
    shape = (len(texts), LONGEST)
    inputs = {name: np.zeros(shape, np.int64) for name in module.inputs}
    for row, text in enumerate(texts):
        inputs["input_ids"][row, : len(text.ids)] = text.ids
        inputs["token_type_ids"][row, : len(text.ids)] = text.type_ids
        inputs["attention_mask"][row, : len(text.ids)] = 1
    (padded,) = session.run(inputs)
    for row, (answer,) in enumerate(session.run_ragged(texts)):
        assert (padded[row, : len(answer)] == answer).all()
        assert not padded[row, len(answer) :].any()


def test_literal_padding_in_a_text_has_its_own_position(folders: dict[str, Path], tmp_path: Path) -> None:
    module, rows = module_of(folders["roberta"], "token-classification")
    assert module.embeddings.padding_id is not None
    text = Encoded([5, module.embeddings.padding_id, 7, 8], [0] * 4)
    session = opened(module, rows, tmp_path / "core.bin", full=True)
    np.testing.assert_allclose(session.run_ragged([text])[0][0], torch_answers(module, [text])[0][0], atol=1e-5)


def test_weights_that_are_not_finite_give_nan(folders: dict[str, Path], tmp_path: Path) -> None:
    for value in (float("nan"), float("inf")):
        module, rows = module_of(folders["bert"], "similarity")
        with torch.no_grad():
            module.embeddings.norm.bias[3] = value
        session = opened(module, rows, tmp_path / "core.bin", full=False)
        assert np.isnan(session.run_ragged(windows([5], vocabulary_of(module), 1))[0][0]).all()

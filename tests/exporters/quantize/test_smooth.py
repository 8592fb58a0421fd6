"""Smoothing: equal answers in full precision, and smaller INT8 errors if a channel is an outlier."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgebert.compress import checkpoint
from edgebert.exporters.inference import InferenceModel
from edgebert.exporters.onnx import export_module, fast_module
from edgebert.exporters.parity import relative_error
from edgebert.exporters.quantize.dynamic import quantize_weights
from edgebert.exporters.quantize.smooth import smooth_module
from edgebert.runtime.encode import Encoded
from edgebert.runtime.padded import padded_inputs
from edgebert.runtime.session import Outputs
from edgebert.runtime.sessions.onnxruntime import OnnxSession
from edgebert.target import read_target
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")

# Seven-bit weights: without VNNI, saturation of eight-bit weights would be larger than every other error.
pytestmark = pytest.mark.int8

CHOICE = read_target("x86-avx2").export
NAMES = ["input_ids", "attention_mask"]
OUTLIER = 60.0


def model_of(folder: Path, planted: bool = False) -> Any:
    model = checkpoint.load_model(folder, "text-classification", ["a", "b"]).eval()
    if planted:
        model.bert.embeddings.LayerNorm.weight.data[5] = OUTLIER
    return model


def module_of(model: Any, segments: int = 1, rows: str = "first") -> InferenceModel:
    module = fast_module(model, TRAINING, segments, 32)
    if rows != "first":
        module = InferenceModel(model, TRAINING.head(model), rows, segments, 32).eval()
    assert isinstance(module, InferenceModel)
    return module


@pytest.fixture(scope="module")
def texts() -> list[Encoded]:
    random = np.random.default_rng(0)
    return [
        Encoded([2, *random.integers(5, 40, n).tolist(), 3], [0] * (n + 2), False) for n in [4, 9, 20, 30, 7, 12] * 2
    ]


@pytest.mark.parametrize(("rows", "alpha"), [("first", 0.5), ("all", 1.0)])
def test_answers_stay_at_every_length_alone_and_padded(
    classifier_checkpoint: Path, texts: list[Encoded], rows: str, alpha: float
) -> None:
    before = module_of(model_of(classifier_checkpoint), rows=rows)
    after = module_of(model_of(classifier_checkpoint), rows=rows)
    smooth_module(after, texts, alpha)
    for length in range(1, 33):
        ids = torch.randint(5, 40, (3, length), generator=torch.Generator().manual_seed(length))
        mask = torch.ones_like(ids)
        mask[1, max(1, length // 2) :] = 0
        with torch.no_grad():
            (expected,), (found,) = before(ids, mask), after(ids, mask)
        assert not torch.equal(found, expected) or length == 1
        assert (found - expected).abs().max().item() <= 1e-5, f"length {length}"


def test_inputs_and_weights_meet_half_way(classifier_checkpoint: Path, texts: list[Encoded]) -> None:
    module = module_of(model_of(classifier_checkpoint, planted=True))
    report = smooth_module(module, texts, 0.5)
    assert report == {"alpha": 0.5, "rescaled": 9, "folded": 3}
    seen: dict[str, torch.Tensor] = {}
    layer: Any = module.layers[0]
    for name, product in (("key", layer.attention.key), ("output", layer.tail.attention_output)):
        product.register_forward_pre_hook(
            lambda _module, given, name=name: seen.update(
                {name: torch.maximum(seen.get(name, torch.zeros(32)), given[0].abs().flatten(0, 1).amax(0))}
            )
        )
    with torch.no_grad():
        for text in texts:
            module(*(torch.from_numpy(array) for array in padded_inputs([text], NAMES).values()))
    read = torch.cat([layer.attention.query.weight, layer.attention.key.weight, layer.attention.value.weight])
    # At alpha 0.5 the largest input and the largest weight of a channel become equal.
    assert torch.allclose(seen["key"], read.abs().amax(0), rtol=1e-3)
    assert torch.allclose(seen["output"], layer.tail.attention_output.weight.abs().amax(0), rtol=1e-3)


def test_a_channel_that_is_always_zero_is_left_alone(shallow_checkpoint: Path, texts: list[Encoded]) -> None:
    model = model_of(shallow_checkpoint)
    norm = model.bert.embeddings.LayerNorm
    norm.weight.data[7], norm.bias.data[7] = 0.0, 0.0
    module = module_of(model)
    smooth_module(module, texts, 0.5)
    layer: Any = module.last
    assert layer.attention_input.factors[7].item() == 1.0
    assert bool(torch.isfinite(layer.attention_input.factors).all())


@pytest.mark.slow
def test_int8_of_a_model_with_an_outlier_is_far_closer_when_smoothed(
    classifier_checkpoint: Path, texts: list[Encoded], tmp_path: Path
) -> None:
    errors, model = [], model_of(classifier_checkpoint, planted=True)
    with torch.no_grad():
        reference = [
            [logits.numpy()]
            for text in texts
            for logits in [module_of(model)(*map(torch.from_numpy, padded_inputs([text], NAMES).values()))[0]]
        ]
    for alpha in (0.0, 0.5):
        module = module_of(model_of(classifier_checkpoint, planted=True))
        if alpha:
            smooth_module(module, texts, alpha)
        path = tmp_path / f"{alpha}.onnx"
        export_module(module, ["logits"], model.config, 32, tmp_path / "full.onnx")
        assert relative_error(reference, outputs(tmp_path / "full.onnx", texts)) < 1e-9
        quantize_weights(tmp_path / "full.onnx", CHOICE, path)
        errors.append(relative_error(reference, outputs(path, texts)))
    assert errors[1] < errors[0] / 3


def outputs(path: Path, texts: list[Encoded]) -> list[Outputs]:
    session = OnnxSession(path, 1, "CPUExecutionProvider")
    return [session.run(padded_inputs([text], NAMES)) for text in texts]

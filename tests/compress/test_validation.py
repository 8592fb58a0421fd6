"""A PyTorch model's metric is computed as on the device: the same rows, and the same decoding of outputs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgebert.compress import checkpoint
from edgebert.compress.data import TaskData, read_task_data
from edgebert.compress.validation import Validation, torch_outputs
from edgebert.metrics.scores import ACCURACY, MATTHEWS
from edgebert.recipe import read_recipe
from edgebert.runtime.encode import TextEncoder
from edgebert.tasks.text_classification.predict import TextClassification
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")


@pytest.fixture
def model(classifier_checkpoint: Path) -> Any:
    return checkpoint.load_model(classifier_checkpoint, "text-classification", ["neg", "pos"])


@pytest.fixture
def encoder(classifier_checkpoint: Path) -> TextEncoder:
    return TextEncoder(classifier_checkpoint / "tokenizer.json", 16)


@pytest.fixture
def data(recipe_file: Path, data_dir: Path) -> TaskData:
    return read_task_data(read_recipe(recipe_file), data_dir)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_outputs_are_those_of_every_window_alone_and_unpadded(
    model: Any, data: TaskData, encoder: TextEncoder, batch_size: int
) -> None:
    windows = [encoder.encode(row.text) for row in data.validation[:20]]
    found = list(torch_outputs(model.eval(), windows, TRAINING, TextClassification.spec.outputs, batch_size=batch_size))
    with torch.no_grad():
        expected = [model(input_ids=torch.tensor([window.ids])).logits[0].numpy() for window in windows]
    np.testing.assert_allclose([row[0] for row in found], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "metric"), [("accuracy", ACCURACY), ("matthews", MATTHEWS)])
@pytest.mark.parametrize("training", [True, False])
def test_the_figure_is_the_devices_and_the_model_is_left_as_it_was(
    model: Any, data: TaskData, encoder: TextEncoder, name: str, metric: Any, training: bool
) -> None:
    windows = [encoder.encode(row.text) for row in data.validation]
    logits = np.array(
        [row[0] for row in torch_outputs(model.eval(), windows, TRAINING, TextClassification.spec.outputs)]
    )
    # A bias that makes the untrained model give both labels.
    middle = float(np.median(logits[:, 0] - logits[:, 1]))
    with torch.no_grad():
        model.classifier.bias[0] -= middle
    predicted = (logits - [middle, 0]).argmax(1).tolist()
    expected = [["neg", "pos"].index(row.label) for row in data.validation]
    assert set(predicted) == {0, 1}
    validate = Validation(data.validation, data, encoder, name)
    before = [parameter.clone() for parameter in model.parameters()]
    found = validate(model.train(training))
    assert found == pytest.approx(metric.figure(metric.table(expected, predicted)), abs=1e-12)
    assert model.training is training
    assert all(map(torch.equal, before, model.parameters()))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_dropout_plays_no_part(model: Any, data: TaskData, encoder: TextEncoder) -> None:
    validate = Validation(data.validation, data, encoder, "accuracy")
    state = torch.get_rng_state()
    assert validate(model.train()) == validate(model.train())
    assert torch.equal(torch.get_rng_state(), state)

"""Score a PyTorch model with the task's metric; its outputs are read as on the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgebert.compress.batch import model_inputs, pad_batch
from edgebert.compress.data import TaskData
from edgebert.data.examples import Example
from edgebert.data.unknown import gold
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.padded import split_batch
from edgebert.runtime.session import Outputs
from edgebert.tasks.training import AnyTrainingTask

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Validation:
    """Rows held out from training, encoded once, and their correct answers."""

    def __init__(
        self, examples: Sequence[Example], data: TaskData, encoder: TextEncoder, metric: str, pad_id: int = 0
    ) -> None:
        """Encode the rows as the device does."""
        self.metric, self.pad_id = metric, pad_id
        self._task, self._training = data.device_task(encoder), data.training_task
        self._given = [self._task.given(example) for example in examples]
        self._windows = []
        for example, given in zip(examples, self._given, strict=True):
            with example.told():
                self._windows.append(self._task.encode(given))
        self._expected, _ = gold(self._task, examples)

    def __call__(self, model: PreTrainedModel) -> float:
        """Metric of the model as it is now; restores training mode."""
        return self._training.score(self.metric, self._expected, self._predicted(model))

    def _predicted(self, model: PreTrainedModel) -> list[Any]:
        flat = [window for windows in self._windows for window in windows]
        training = model.training
        outputs = torch_outputs(model.eval(), flat, self._training, self._task.spec.outputs, self.pad_id)
        predictions = [
            self._task.decode(given, windows, list(islice(outputs, len(windows))))
            for given, windows in zip(self._given, self._windows, strict=True)
        ]
        model.train(training)
        return [self._task.predicted(prediction) for prediction in predictions]


def torch_outputs(
    model: PreTrainedModel,
    windows: Sequence[Encoded],
    task: AnyTrainingTask,
    kinds: Mapping[str, bool],
    pad_id: int = 0,
    batch_size: int = 64,
) -> Iterator[Outputs]:
    """Outputs of a PyTorch model for every window, batch by batch, in the given order."""
    device = next(model.parameters()).device
    for batch in _batches(windows, batch_size):
        items = [{"input_ids": window.ids, "token_type_ids": window.type_ids} for window in batch]
        inputs = {name: value.to(device) for name, value in model_inputs(pad_batch(items, pad_id)).items()}
        with torch.no_grad():
            outputs = task.outputs(model(**inputs))
        arrays: tuple[Any, ...] = tuple(np.asarray(output.float().cpu()) for output in outputs)
        yield from split_batch(arrays, batch, kinds)


def _batches(windows: Sequence[Encoded], size: int) -> Iterator[Sequence[Encoded]]:
    return (windows[start : start + size] for start in range(0, len(windows), size))

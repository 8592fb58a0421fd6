"""Optimum's task and dummy-input tables: the only file that calls optimum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from optimum.exporters.tasks import TasksManager
from optimum.utils import DummyTextInputGenerator, NormalizedTextConfig

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from edgebert.tasks.training import ModelClass


def model_class_for(task: str, model_type: str) -> ModelClass:
    """The transformers class that loads a model for this task."""
    canonical = TasksManager.map_from_synonym(task)
    found: ModelClass = TasksManager.get_model_class_for_task(canonical, framework="pt", model_type=model_type)
    return found


def dummy_inputs(
    config: PreTrainedConfig, names: list[str], batch: int = 2, length: int = 16
) -> dict[str, torch.Tensor]:
    """Random inputs of the right kind for tracing.

    Returns:
        One tensor per name. *Shape*: (batch, length), int64.
    """
    normalized = NormalizedTextConfig(config)
    generator = DummyTextInputGenerator("feature-extraction", normalized, batch_size=batch, sequence_length=length)
    return {name: generator.generate(name, framework="pt") for name in names}

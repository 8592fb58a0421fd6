"""Small models of every family, and texts for them: what tests of the native core share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgebert.compress import checkpoint
from edgebert.compress.importance import Importance
from edgebert.compress.prune import choose, cut
from edgebert.exporters.core import CoreOrder, product_names, write_core
from edgebert.exporters.inference import InferenceModel
from edgebert.runtime.encode import Encoded
from edgebert.runtime.sessions.core import CoreSession
from edgebert.tasks.training_table import training_task

LONGEST = 32
TASKS = {
    "text-classification": ["a", "b", "c"],
    "multi-label": ["a", "b"],
    "token-classification": ["O", "B-X", "I-X"],
    "question-answering": [],
    "fill-mask": [],
}


def module_of(
    folder: Path, task: str, segments: int = 1, pruned: bool = False, head: dict[str, Any] | None = None
) -> Any:
    training = training_task(task, head or {})
    model = checkpoint.load_model(folder, task, TASKS.get(task, [])).eval()
    if pruned:
        random = torch.Generator().manual_seed(5)
        layers = range(model.config.num_hidden_layers)
        heads, ffn = ([torch.rand(size, generator=random) for _ in layers] for size in (4, 64))
        cut(model, choose(Importance(heads, ffn), 0.5, 0.5, ffn_multiple=4))
    return InferenceModel(model, training.head(model), training.rows, segments, LONGEST).eval(), training.rows


def windows(lengths: Sequence[int], vocabulary: int, segments: int) -> list[Encoded]:
    random = np.random.default_rng(0)
    return [
        Encoded(
            random.integers(5, vocabulary, length).tolist(),
            [0] * (length // 2) + [segments - 1] * (length - length // 2),
        )
        for length in lengths
    ]


def opened_file(module: Any, rows: str, file: Path, full: bool) -> Path:
    """A model file: every product and table in FP32 (`full`), or in INT8."""
    leave = product_names(module) if full else ()
    write_core(module, CoreOrder(rows == "first", LONGEST, leave=leave, int8_words=not full), file)
    return file


def opened(module: Any, rows: str, file: Path, full: bool, kernel: str | None = None) -> CoreSession:
    return CoreSession(opened_file(module, rows, file, full), 1, module.inputs, (), kernel)


def vocabulary_of(module: Any) -> int:
    return int(module.embeddings.words.weight.shape[0])

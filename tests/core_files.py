"""Tiny model files of the native core, which together have everything that a model file can hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from core_models import LONGEST, TASKS, vocabulary_of, windows
from core_runs import with_runs
from family_checkpoints import make_family

from edgebert.compress import checkpoint
from edgebert.compress.importance import Importance
from edgebert.compress.low_rank import factor_table
from edgebert.compress.prune import choose, cut
from edgebert.compress.sentence_modules import VectorStep
from edgebert.compress.vector_modules import VectorModules, attach
from edgebert.exporters.core import CoreOrder, product_names, write_core
from edgebert.exporters.inference import InferenceModel
from edgebert.exporters.quantize.smooth import smooth_module
from edgebert.runtime.sessions.core import unusable
from edgebert.tasks.training_table import training_task

STEPS = (
    VectorStep("Dense", 96, 12, activation="Tanh"),
    VectorStep("LayerNorm", 12, 12),
    VectorStep("Normalize"),
    VectorStep("Truncate", outputs=8),
)


def write_models(folder: Path) -> list[Path]:
    """Files of families, heads, poolings, pruned shapes, smoothing, low rank, FP32, and INT8 with and without runs."""
    classifier, rows = _module(folder / "bert", "bert", "text-classification", segments=2)
    smooth_module(classifier, windows([9] * 8, vocabulary_of(classifier), 2), 0.5)
    tagger, _ = _module(folder / "electra", "electra", "token-classification", pruned=True)
    spans, _ = _module(folder / "roberta", "roberta", "question-answering")
    words, _ = _module(folder / "distilbert", "distilbert", "fill-mask", rank=4)
    vectors, _ = _module(folder / "vectors", "bert", "similarity", vectors=True, head={"pooling": "cls+max+mean"})
    orders = {
        "classifier": (classifier, CoreOrder(rows == "first", LONGEST)),
        "tagger": (tagger, CoreOrder(False, LONGEST, largest=64)),
        "spans": (spans, CoreOrder(False, LONGEST, leave=product_names(spans), int8_words=False)),
        "words": (words, CoreOrder(False, LONGEST)),
        "vectors": (vectors, CoreOrder(False, LONGEST, leave=["layers.0.tail.ffn_in", "layers.0.attention.key"])),
    }
    for name, (module, order) in orders.items():
        write_core(module, order, folder / f"{name}.bin")
    files = [folder / f"{name}.bin" for name in orders]
    if not unusable():
        with_runs(files[1], folder / "runs.bin")
        files.append(folder / "runs.bin")
    return files


def _module(
    folder: Path,
    family: str,
    task: str,
    *,
    segments: int = 1,
    pruned: bool = False,
    rank: int = 0,
    vectors: bool = False,
    head: dict[str, Any] | None = None,
) -> tuple[InferenceModel, str]:
    make_family(folder, family, **({"n_layers": 2} if family == "distilbert" else {"num_hidden_layers": 2}))
    training = training_task(task, head or {})
    model = checkpoint.load_model(folder, task, TASKS.get(task, [])).eval()
    if pruned:
        random = torch.Generator().manual_seed(5)
        heads, ffn = ([torch.rand(size, generator=random) for _ in range(2)] for size in (4, 64))
        cut(model, choose(Importance(heads, ffn), 0.5, 0.5, ffn_multiple=4))
    if rank:
        factor_table(model, rank)
    if vectors:
        attach(model, VectorModules("cls+max+mean", STEPS))
    return InferenceModel(model, training.head(model), training.rows, segments, LONGEST).eval(), training.rows

"""Configs that change the forward pass: graphs answer as transformers, alone and in padded batches."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from family_checkpoints import make_family
from family_models import load

from edgebert.exporters.onnx import export_plain
from edgebert.runtime.sessions.onnxruntime import OnnxSession
from edgebert.tasks.training_table import training_task

CONFIGS: list[tuple[str, dict[str, Any]]] = [
    ("modernbert", {"classifier_pooling": "mean", "global_attn_every_n_layers": 2, "norm_bias": True}),
    ("deberta-v2", {"conv_kernel_size": 3, "conv_act": "gelu", "position_biased_input": True, "type_vocab_size": 2}),
    ("deberta", {"talking_head": True, "pos_att_type": ["p2c"], "max_relative_positions": 9}),
    ("albert", {"num_hidden_groups": 2, "num_hidden_layers": 3}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "entries"), CONFIGS)
def test_the_graph_follows_the_config_at_every_length(family: str, entries: dict[str, Any], tmp_path: Path) -> None:
    folder = make_family(tmp_path / "model", family, **{"num_hidden_layers": 2, "initializer_range": 0.2, **entries})
    names = export_plain(load(folder), training_task("text-classification"), ["logits"], tmp_path / "model.onnx")
    session = OnnxSession(tmp_path / "model.onnx", 1, "CPUExecutionProvider")
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    random, pad_id = np.random.default_rng(0), theirs.config.pad_token_id
    for length in range(2, 65):
        ids, mask = random.integers(5, 40, (2, length)), np.ones((2, length), np.int64)
        mask[1, max(1, length // 2) :] = 0
        ids[1, mask[1] == 0] = pad_id
        types = np.repeat([[at >= length // 3 for at in range(length)]], 2, axis=0).astype(np.int64)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        (found,) = session.run({name: given[name] for name in names})
        with torch.no_grad():
            for row, logits in enumerate(found):
                alone = {name: torch.from_numpy(given[name][row][mask[row] == 1])[None] for name in names}
                assert np.abs(theirs(**alone).logits[0].numpy() - logits).max() <= 1e-5, f"length {length}"

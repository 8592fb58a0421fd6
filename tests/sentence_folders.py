"""Folders as saved by sentence-transformers, and its answers for them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from family_checkpoints import make_family
from safetensors.torch import save_file

import edgebert
from edgebert.cli import main

TEXTS = ["the story was lovely", "A warm meal", "so dull and so very cold", "bad", "good film " * 20]
RECIPE = """
name = "sentences"
task = "similarity"
[model]
source = "CHECKPOINT"
[data]
unlabelled = ["texts.txt"]
max_length = 32
[quantize]
format = "none"
[export]
stages = false
parity_samples = 4
[head]
"""


def write(path: Path, document: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


def make_folder(folder: Path, pooling: dict[str, Any], family: str = "bert", normalize: bool = True) -> Path:
    make_family(folder, family, head="", num_hidden_layers=1)
    kinds = [("Transformer", ""), ("Pooling", "1_Pooling"), *([("Normalize", "2_Normalize")] if normalize else [])]
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for at, (kind, path) in enumerate(kinds)
    ]
    write(folder / "modules.json", modules)
    write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 32} | pooling)
    return folder


def add_module(folder: Path, kind: str, config: dict[str, Any] | None = None, pickled: bool = False) -> None:
    """Append a module to those of a folder, with weights from a seed."""
    modules = json.loads((folder / "modules.json").read_text())
    at, config = len(modules), config or {}
    place = folder / f"{at}_{kind}"
    modules.append({"idx": at, "name": str(at), "path": place.name, "type": f"sentence_transformers.models.{kind}"})
    write(folder / "modules.json", modules)
    write(place / "config.json", config)
    generator, shapes = torch.Generator().manual_seed(at), {}
    if kind == "LayerNorm":
        shapes = {"norm.weight": (config["dimension"],), "norm.bias": (config["dimension"],)}
    if kind == "Dense":
        inputs, outputs = config["in_features"], config["out_features"]
        shapes = {"linear.weight": (outputs, inputs)} | (
            {"linear.bias": (outputs,)} if config.get("bias", True) else {}
        )
        shapes |= {"residual.weight": (outputs, inputs)} if config.get("use_residual") and inputs != outputs else {}
    weights = {name: 0.3 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    if pickled:
        torch.save(weights, place / "pytorch_model.bin")
    elif weights:
        save_file(weights, place / "model.safetensors")


def dense(inputs: int, outputs: int, activation: str = "activation.Tanh", **more: Any) -> tuple[str, dict[str, Any]]:
    activation_function = f"torch.nn.modules.{activation}"
    sizes = {"in_features": inputs, "out_features": outputs, "activation_function": activation_function}
    return "Dense", {"bias": True, **sizes, **more}


def export(folder: Path, tmp_path: Path, head: str = "") -> Any:
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS) + "\n")
    (tmp_path / "r.toml").write_text(RECIPE.replace("CHECKPOINT", str(folder)) + head)
    assert main(["export", str(tmp_path / "r.toml"), "--out", str(tmp_path / "bundle")]) == 0
    return edgebert.load(tmp_path / "bundle")


def theirs(folder: Path, texts: list[str], **how: Any) -> np.ndarray:
    sentence_transformers = pytest.importorskip("sentence_transformers", reason="not installed")
    return sentence_transformers.SentenceTransformer(str(folder), device="cpu").encode(texts, batch_size=1, **how)

"""fastembed on a local folder: the plain export, registered as a custom model."""

from __future__ import annotations

import shutil
from pathlib import Path

from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType

FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "model.onnx")


def prepare(job: dict) -> None:
    for name in FILES:
        shutil.copyfile(Path(job["plain"]) / name, Path(job["folder"]) / name)


def load(job: dict):
    TextEmbedding.add_custom_model(
        model="local/model",
        pooling=PoolingType.MEAN,
        normalization=True,
        sources=ModelSource(hf="local/model"),
        dim=384,
        model_file="model.onnx",
    )
    model = TextEmbedding("local/model", specific_model_path=job["folder"], threads=job["threads"])
    return lambda text: next(iter(model.embed([text])))

"""CTranslate2: BERT's encoder and pooler in FP32 or INT8. The head runs in numpy.

Conversion needs torch and transformers. The package imports them if they are installed, so it is converted in a
separate environment and measured in one without them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import ctranslate2
import numpy as np
from texts import Encoder, finish


def prepare(job: dict) -> None:
    from ctranslate2.converters import TransformersConverter
    from transformers import AutoModelForSequenceClassification

    folder = Path(job["folder"])
    quantization = "int8" if job["variant"] == "int8" else None
    TransformersConverter(job["model"]).convert(str(folder), quantization=quantization, force=True)
    shutil.copyfile(Path(job["model"]) / "tokenizer.json", folder / "tokenizer.json")
    if job["task"] == "text-classification":
        head = AutoModelForSequenceClassification.from_pretrained(job["model"]).classifier
        np.savez(folder / "head.npz", weight=head.weight.detach().numpy(), bias=head.bias.detach().numpy())


def load(job: dict):
    folder, task = Path(job["folder"]), job["task"]
    compute_type = "int8" if job["variant"] == "int8" else "float32"
    model = ctranslate2.Encoder(str(folder), compute_type=compute_type, inter_threads=1, intra_threads=job["threads"])
    encode = Encoder(str(folder / "tokenizer.json"), job["max_length"]).tokenizer.encode
    if task == "similarity":

        def embed(text: str):
            return finish(task, np.asarray(model.forward_batch([encode(text).ids]).last_hidden_state))

        return embed
    with np.load(folder / "head.npz") as head:
        weight, bias = head["weight"].T, head["bias"]

    def classify(text: str):
        pooled = np.asarray(model.forward_batch([encode(text).ids]).pooler_output)
        return finish(task, pooled @ weight + bias)

    return classify

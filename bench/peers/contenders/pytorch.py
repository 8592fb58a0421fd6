"""PyTorch with transformers: unchanged, with torch.compile, and with dynamic INT8 (torch.ao), saved as a whole module.

On a GPU: `cuda`, `cuda-fp16`, and `cuda-fp16-compile`. The variant `export` writes the plain ONNX graph that the ONNX
Runtime and OpenVINO contenders start from.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import torch
from texts import finish
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer


def prepare(job: dict) -> None:
    folder = Path(job["folder"])
    if job["variant"] == "export":
        return _export(job, folder)
    for path in sorted(Path(job["model"]).iterdir()):
        if path.is_file():
            shutil.copyfile(path, folder / path.name)
    if job["variant"] == "int8":
        (folder / "model.safetensors").unlink()
        torch.save(_quantized(_model(job, job["model"])), folder / "int8.pt")
    return None


def load(job: dict):
    torch.set_num_threads(job["threads"])
    tokenizer = AutoTokenizer.from_pretrained(job["folder"])
    device = "cuda" if job["variant"].startswith("cuda") else "cpu"
    model = _opened(job, device)
    task, longest = job["task"], job["max_length"]

    def call(text: str):
        inputs = tokenizer(text, truncation=True, max_length=longest, return_tensors="pt").to(device)
        with torch.inference_mode():
            output = model(**inputs)[0]
        return finish(task, output.float().cpu().numpy())

    return call


def _opened(job: dict, device: str):
    if job["variant"] == "int8":
        return torch.load(Path(job["folder"]) / "int8.pt", weights_only=False)
    model = _model(job, job["folder"]).to(device)
    if "fp16" in job["variant"]:
        model = model.half()
    if job["variant"].endswith("compile"):
        # Keep compiled code between processes, as for a program that starts more than once.
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", job["folder"].rstrip("/") + ".compiled")
        return torch.compile(model, dynamic=True)
    return model


def _class(job: dict):
    return AutoModel if job["task"] == "similarity" else AutoModelForSequenceClassification


def _model(job: dict, folder: str, **settings):
    return _class(job).from_pretrained(folder, dtype=torch.float32, **settings).eval()


def _quantized(model):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)


def _export(job: dict, folder: Path) -> None:
    """Logits or the last hidden state, as transformers computes them. Batch and length are dynamic."""
    model = _model(job, job["model"], attn_implementation="eager")
    names = ["input_ids", "attention_mask", "token_type_ids"]
    inputs = {name: torch.ones(2, 16, dtype=torch.int64) for name in names}
    batch, length = torch.export.Dim("batch", max=4096), torch.export.Dim("length", min=2, max=job["max_length"])
    torch.onnx.export(
        _FirstOutput(model),
        tuple(inputs.values()),
        folder / "model.onnx",
        dynamo=True,
        external_data=False,
        dynamic_shapes=tuple({0: batch, 1: length} for _ in names),
        input_names=names,
        output_names=["last_hidden_state" if job["task"] == "similarity" else "logits"],
        verbose=False,
    )
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        if (path := Path(job["model"]) / name).is_file():
            shutil.copyfile(path, folder / name)


class _FirstOutput(torch.nn.Module):
    def __init__(self, model) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)[0]

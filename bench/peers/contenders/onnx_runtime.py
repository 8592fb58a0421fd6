"""Plain ONNX Runtime: the plain export with the runtime's defaults except the number of threads. The baseline.

On a GPU: `cuda`, whose FP32 matmuls use TF32 by default if the GPU supports it, and `cuda-no-tf32`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import onnxruntime
from texts import Encoder, finish


def prepare(job: dict) -> None:
    for name in ("model.onnx", "tokenizer.json"):
        shutil.copyfile(Path(job["plain"]) / name, Path(job["folder"]) / name)


def load(job: dict):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    folder, providers = Path(job["folder"]), _providers(job["variant"])
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=providers)
    if session.get_providers()[0] != providers[0][0]:
        raise RuntimeError(f"ONNX Runtime went on without {providers[0][0]}")
    encoder = Encoder(str(folder / "tokenizer.json"), job["max_length"])
    names = {value.name for value in session.get_inputs()}
    task = job["task"]

    def call(text: str):
        inputs = {name: array for name, array in encoder(text).items() if name in names}
        return finish(task, session.run(None, inputs)[0])

    return call


def _providers(variant: str) -> list:
    if not variant.startswith("cuda"):
        return [("CPUExecutionProvider", {})]
    onnxruntime.preload_dlls(directory="")
    options = {"use_tf32": "0"} if variant == "cuda-no-tf32" else {}
    return [("CUDAExecutionProvider", options), ("CPUExecutionProvider", {})]

"""Plain ONNX Runtime: the plain export with the runtime's defaults, but for the number of threads. The baseline."""

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
    folder = Path(job["folder"])
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    encoder = Encoder(str(folder / "tokenizer.json"), job["max_length"])
    names = {value.name for value in session.get_inputs()}
    task = job["task"]

    def call(text: str):
        inputs = {name: array for name, array in encoder(text).items() if name in names}
        return finish(task, session.run(None, inputs)[0])

    return call

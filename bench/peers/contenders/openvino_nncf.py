"""OpenVINO with its latency hint: the plain export as it is, or quantized to INT8 by nncf (SmoothQuant, calibrated)."""

from __future__ import annotations

import shutil
from pathlib import Path

import openvino
from texts import Encoder, finish


def prepare(job: dict) -> None:
    folder, plain = Path(job["folder"]), Path(job["plain"])
    shutil.copyfile(plain / "tokenizer.json", folder / "tokenizer.json")
    model = openvino.Core().read_model(str(plain / "model.onnx"))
    if job["variant"] == "int8":
        import nncf

        encoder = Encoder(str(plain / "tokenizer.json"), job["max_length"])
        names = {name for value in model.inputs for name in value.names}
        rows = [{name: array for name, array in encoder(text).items() if name in names} for text in job["calibration"]]
        # For this model type, nncf uses SmoothQuant by default.
        model = nncf.quantize(model, nncf.Dataset(rows), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(rows))
    openvino.save_model(model, str(folder / "model.xml"), compress_to_fp16=False)


def load(job: dict):
    settings = {
        "INFERENCE_NUM_THREADS": job["threads"],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    folder, task = Path(job["folder"]), job["task"]
    compiled = openvino.Core().compile_model(str(folder / "model.xml"), "CPU", settings)
    names = {name for value in compiled.inputs for name in value.names}
    encoder = Encoder(str(folder / "tokenizer.json"), job["max_length"])
    request = compiled.create_infer_request()

    def call(text: str):
        inputs = {name: array for name, array in encoder(text).items() if name in names}
        request.infer(inputs, share_inputs=True)
        return finish(task, request.get_output_tensor(0).data)

    return call

"""sentence-transformers on its three backends, and with its own dynamic INT8 quantization of the ONNX graph."""

from __future__ import annotations

import shutil
from pathlib import Path

from sentence_transformers import SentenceTransformer

BACKENDS = {"torch": "torch", "onnx": "onnx", "onnx-int8": "onnx", "openvino": "openvino"}
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def prepare(job: dict) -> None:
    folder, backend = Path(job["folder"]), BACKENDS[job["variant"]]
    shutil.copytree(job["model"], folder, dirs_exist_ok=True)
    if backend == "torch":
        return
    model = SentenceTransformer(job["model"], backend=backend, model_kwargs={"export": True})
    model.save_pretrained(str(folder))
    if job["variant"] == "onnx-int8":
        from sentence_transformers import export_dynamic_quantized_onnx_model

        export_dynamic_quantized_onnx_model(model, _instructions(), str(folder))
        (folder / "onnx" / "model.onnx").unlink()
    for name in WEIGHTS:
        (folder / name).unlink(missing_ok=True)


def load(job: dict):
    settings = {"torch": _torch, "onnx": _onnx, "openvino": _openvino}[BACKENDS[job["variant"]]](job)
    model = SentenceTransformer(job["folder"], backend=BACKENDS[job["variant"]], device="cpu", model_kwargs=settings)
    model.max_seq_length = job["max_length"]
    return lambda text: model.encode(text, normalize_embeddings=True, show_progress_bar=False)


def _torch(job: dict) -> dict:
    import torch

    torch.set_num_threads(job["threads"])
    return {}


def _onnx(job: dict) -> dict:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    (graph,) = Path(job["folder"], "onnx").glob("*.onnx")
    return {"provider": "CPUExecutionProvider", "session_options": options, "file_name": f"onnx/{graph.name}"}


def _openvino(job: dict) -> dict:
    return {"ov_config": {"INFERENCE_NUM_THREADS": job["threads"], "PERFORMANCE_HINT": "LATENCY"}}


def _instructions() -> str:
    """Return the name of the package's INT8 preset for this CPU."""
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return "avx512_vnni" if "avx512_vnni" in flags else "avx2"

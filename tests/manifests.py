"""A manifest by hand that is valid, and other values in a manifest with its hash made right."""

import json
import shutil
from pathlib import Path
from typing import Any

from edgebert.manifest import sealed

CONTENT: dict[str, Any] = {
    "edgebert": "0.1.0",
    "name": "mine",
    "task": "text-classification",
    "labels": ["no", "yes"],
    "inputs": ["input_ids", "attention_mask"],
    "outputs": ["logits"],
    "segments": 1,
    "max_length": 8,
    "pad_id": 0,
    "head": {"settings": {}},
    "precision": "fp32",
    "runtime": {"default": "onnxruntime", "graphs": {"onnxruntime": "model.onnx"}},
    "profile": {"export": {"intra_op_threads": 1, "length_buckets": [8], "provider": "CPUExecutionProvider"}},
    "layers": [{"heads": 4, "ffn": 64}],
    "cost": [],
    "stages": [{"stage": "graph", "arguments": {}, "metrics": {}}],
    "metrics": {},
    "data": {"columns": {"text": "text", "text_pair": "", "label": "label"}, "metric": "accuracy"},
    "tools": {"numpy": "2"},
    "base_model": {"source": "mine", "licence": "", "sha256": ""},
}


def rewrite(folder: Path, **changes: Any) -> None:
    """Put other values into a bundle's manifest, and make the manifest's own hash right."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(sealed({**json.loads(path.read_text()), **changes})))


OLD = Path(__file__).parent / "old_bundles" / "format-1-minor-0"


def small_bundle(folder: Path) -> Path:
    """A bundle that answers, 32 tokens long at most, with labels neg and pos: the recorded one, its manifest hashed."""
    shutil.copytree(OLD, folder)
    rewrite(folder)
    return folder

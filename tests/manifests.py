"""A valid manifest made by hand, and changes to a manifest that keep its hash valid."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgebert.manifest import Facts, Head, Manifest, sealed
from edgebert.runtimes import weights_beside
from edgebert.settings import fill

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
    """Change values in a bundle's manifest, and update the manifest's own hash."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(sealed({**json.loads(path.read_text()), **changes})))


OLD = Path(__file__).parent / "old_bundles" / "format-1-minor-0"
# Its weights have eight bits, so `load` warns on a CPU without VNNI.
SATURATES = pytest.mark.filterwarnings("ignore::edgebert.SaturationWarning")


def small_bundle(folder: Path) -> Path:
    """A bundle that answers, 32 tokens long at most, with labels neg and pos: the recorded one, its manifest hashed."""
    shutil.copytree(OLD, folder)
    rewrite(folder)
    return folder


def manifest_of(document: Mapping[str, Any] | None = None, **changes: Any) -> Manifest:
    """A manifest with some other values: keys of the whole document, or of `CONTENT`."""
    asked = json.loads(json.dumps({**(document or {}), **changes}))
    for entry in ("head", "data", "profile"):
        asked[entry] = merged(CONTENT[entry], asked.get(entry, {}))
    whole = {**CONTENT, **asked}
    graphs = whole["runtime"]["graphs"].values()
    opened = ["tokenizer.json", *graphs, *weights_beside(graphs)]
    whole.setdefault("files", [{"path": path, "sha256": 64 * "0", "bytes": 1} for path in opened])
    return fill(Manifest, whole, "manifest.json", strict=False)


def merged(usual: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """A table of a document with replaced values, at every depth."""
    both = {key: merged(usual[key], other[key]) for key in other if isinstance(usual.get(key), dict)}
    return {**usual, **other, **both}


def facts_of(document: Mapping[str, Any] | None = None, **changes: Any) -> Facts:
    """The facts that a task reads from some entries of a manifest."""
    entries = {"task": "", "labels": (), "segments": 1, "head": {}, "data": {}, **(document or {}), **changes}
    named = {key: entries[key] for key in ("task", "segments", "pad_id", "name", "precision") if key in entries}
    head = {"settings": {}, **json.loads(json.dumps(entries["head"]))}
    return Facts(
        labels=tuple(entries["labels"]),
        inputs=tuple(entries.get("inputs", ())),
        head=fill(Head, head, "manifest.json", "head.", strict=False),
        label_values=tuple(entries["data"].get("label_values", ())),
        **named,
    )

"""A fresh process that opens a bundle on the core and answers one text imports neither numpy nor ONNX Runtime."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from core_models import LONGEST, TASKS, module_of, opened_file
from family_checkpoints import make_family
from small_bundle import write_small_bundle

import edgebert
from edgebert.bundle import write_manifest
from edgebert.runtime.sessions.core import unusable
from edgebert.tasks.table import spec_of

pytestmark = pytest.mark.skipif(bool(unusable()), reason=unusable())

# What of a bundle's manifest is of a task.
HEADS: dict[str, dict[str, Any]] = {
    "text-classification": {"settings": {}},
    "multi-label": {"settings": {}, "thresholds": [0.5, 0.5]},
    "regression": {"settings": {}},
    "rerank": {"settings": {}},
    # Of a text in words tokenizers itself asks numpy whether it is an array.
    "token-classification": {"settings": {"whole_texts": True}},
    "similarity": {"settings": {}},
    "question-answering": {"settings": {}},
}
ARRAYS = {"numpy", "onnxruntime", "openvino"}


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_family(tmp_path_factory.mktemp("family") / "bert", "bert")


def core_bundle(folder: Path, family: Path, task: str) -> Path:
    """A bundle of a task with the core's model file alone."""
    write_small_bundle(folder, max_length=LONGEST)
    (folder / "model.onnx").unlink()
    module, rows = module_of(family, task)
    opened_file(module, rows, folder / "core.bin", full=False)
    spec = spec_of(task)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {"task": task, "labels": TASKS.get(task, []), "head": HEADS[task], "outputs": list(spec.outputs)}
    manifest["data"] |= {"metric": spec.metric_names[0], "label_values": []}
    manifest["runtime"] = {"default": "core", "graphs": {"core": "core.bin"}}
    write_manifest(folder, manifest)
    return folder


@pytest.mark.parametrize("task", HEADS)
def test_a_first_answer_needs_no_numpy(task: str, family: Path, tmp_path: Path) -> None:
    folder = core_bundle(tmp_path / "bundle", family, task)
    asked = ("a", "a b a") if task in ("question-answering", "rerank") else "a b a"
    code = (
        f"import edgebert, json, sys; answer = edgebert.load({str(folder)!r})({asked!r}); "
        "print(json.dumps([answer.to_dict(), sorted(sys.modules)]))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    answer, loaded = json.loads(ran.stdout)
    assert not ARRAYS & set(loaded)
    assert answer == edgebert.load(folder)(asked).to_dict()


def test_arrays_are_numpys_where_they_are_asked_for(family: Path, tmp_path: Path) -> None:
    import numpy as np

    model = edgebert.load(core_bundle(tmp_path / "bundle", family, "token-classification"))
    windows = [*model.task.encode("a b"), *model.task.encode("a b a b")]
    outputs = model.outputs(windows)
    assert [(type(logits), logits.dtype, logits.shape) for (logits,) in outputs] == [
        (np.ndarray, np.float32, (len(window.ids), 3)) for window in windows
    ]
    (alone,) = model.run_encoded(windows[:1])
    assert np.array_equal(alone[0], outputs[0][0])
    assert np.array_equal(model.raw(["a b"])[0][0], outputs[0][0])


def test_rows_of_any_length_are_checked_for_nan(family: Path, tmp_path: Path) -> None:
    import torch

    module, rows = module_of(family, "token-classification")
    with torch.no_grad():
        module.embeddings.norm.bias[3] = float("nan")
    folder = core_bundle(tmp_path / "bundle", family, "token-classification")
    opened_file(module, rows, folder / "core.bin", full=False)
    write_manifest(folder, json.loads((folder / "manifest.json").read_text()))
    with pytest.raises(edgebert.RunError, match="NaN or infinity"):
        edgebert.load(folder)("a b a")


@pytest.mark.parametrize("length", [0, 3])
@pytest.mark.parametrize("scenario", ["cold_start", "memory"])
def test_a_measured_start_has_no_numpy_in_it(scenario: str, length: int, family: Path, tmp_path: Path) -> None:
    folder = core_bundle(tmp_path / "bundle", family, "text-classification")
    job = {"scenario": scenario, "bundle": str(folder), "runtime": "core", "threads": 1, "samples": 2}
    job |= {"length": length, "ids": [[1, 3, 2]], "texts": ["a b"]}
    code = (
        "import io, sys; from edgebert.measure import child; "
        f"sys.stdin = io.StringIO({json.dumps(job)!r}); child.main(); print('\\n' + ' '.join(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    answer, loaded = ran.stdout.split("\n")[:2]
    assert json.loads(answer)["first_ns"] > 0
    assert not ARRAYS & set(loaded.split())

"""Make one architecture's model from a seed, export it, and check its graphs against transformers' own forward.

Run it as `python -m bench.architectures.prepare` with a job on standard input. It is a separate process so that its
memory is freed at the end. Files from the same configuration, seed and versions are reused.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from bench.architectures import models
from bench.architectures.jobs import Job, jobs
from edgebert.bundle import disk_errors
from edgebert.errors import ParityError
from edgebert.measure.results import write_json

# Increase this if the prepared files change.
VERSION = 1
TOLERANCE = 1e-3
PREPARED = "prepared.json"
VERSIONS = ("torch", "transformers", "onnxscript", "onnx")


def main() -> int:
    """Prepare the files for the job from standard input."""
    job: dict[str, Any] = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):
        found = prepare(job["architecture"], job["tiny"], job["seed"], Path(job["folder"]))
    json.dump(found, sys.stdout)
    return 0


def prepare(architecture: str, tiny: bool, seed: int, folder: Path) -> dict[str, Any]:
    """Write the checkpoints and graphs of an architecture to `folder`, if they are not there yet.

    Returns:
        `parameters`, `graphs` with their bytes, `checks` of each job, and the names of the model and its class.

    Raises:
        ParityError: A graph's labels differ from those of transformers, or its logits differ by more than 1e-3.
    """
    key = key_of(architecture, tiny, seed)
    if kept := prepared(folder, key):
        return kept
    with disk_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    longest = models.TINY.positions if tiny else models.FULL.positions
    found: dict[str, Any] = {"key": key, "architecture": architecture, "model": models.MODELS[architecture]}
    found |= {"class": models.class_name(architecture), "graphs": {}, "checks": []}
    for tags in (False, True) if architecture == models.ENCODER else (False,):
        from bench.architectures.export import export

        model = models.build(architecture, tiny, seed, tags)
        found.setdefault("parameters", models.parameters(model))
        model.save_pretrained(folder / ("torch-tag" if tags else "torch"))
        for name in export(architecture, model, folder, longest, tags):
            found["graphs"][name] = sum(path.stat().st_size for path in folder.glob(f"{name}*"))
        wanted = [job for job in jobs(tiny) if architecture != models.ENCODER or job.tags == tags]
        found["checks"] += [check(architecture, model, folder, job, text(job, 0, seed)) for job in wanted]
        del model
    write_json(folder / PREPARED, found)
    return found


def key_of(architecture: str, tiny: bool, seed: int) -> str:
    """Everything that a prepared folder depends on."""
    versions = {name: importlib.metadata.version(name) for name in VERSIONS}
    config = models.config_of(architecture, tiny).to_dict()
    everything = json.dumps([VERSION, architecture, tiny, seed, versions, config], sort_keys=True, default=str)
    return hashlib.sha256(everything.encode()).hexdigest()


def prepared(folder: Path, key: str) -> dict[str, Any] | None:
    """Read the report of a folder that was prepared with this key. None if there is none, or if files are missing."""
    try:
        found: dict[str, Any] = json.loads((folder / PREPARED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if found.get("key") == key and all((folder / name).is_file() for name in found["graphs"]) else None


def check(architecture: str, model: Any, folder: Path, job: Job, ids: np.ndarray) -> dict[str, Any]:
    """Answer one text on both runtimes and compare.

    Raises:
        ParityError: The labels differ, or a logit differs by more than 1e-3.
    """
    from bench.architectures import onnx_runtime, torch_runtime

    theirs: list[np.ndarray] = []
    ours: list[np.ndarray] = []
    expected = torch_runtime.over(architecture, model)(ids, job, lambda: None, theirs)
    labels = onnx_runtime.open_model(architecture, folder, job)(ids, job, lambda: None, ours)
    apart = max(float(np.abs(one - other).max()) for one, other in zip(theirs, ours, strict=True))
    if labels != expected or not apart <= TOLERANCE:
        raise ParityError(
            f"{architecture}, {job.name}: ONNX Runtime gives "
            f"{'the same' if labels == expected else 'other'} labels and logits {apart:.2g} apart from PyTorch's "
            f"(allowed {TOLERANCE:g}); the graphs cannot be compared"
        )
    return {"job": job.name, "labels": len(labels), "logits_apart": apart}


def text(job: Job, number: int, seed: int) -> np.ndarray:
    """Draw random token ids that are valid in every vocabulary. *Shape*: (1, text tokens), int64."""
    random = np.random.default_rng([seed, number])
    return random.integers(100, models.TINY_VOCABULARY, size=(1, job.text_tokens))


if __name__ == "__main__":
    sys.exit(main())

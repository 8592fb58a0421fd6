"""Files and answers of contenders. Both are made once and kept, each under a key."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers.comparison import Answers
from bench.peers.environments import HERE, interpreter, variables
from bench.peers.suite import Contender, Suite
from edgebert.bundle import bundle_hash, read_manifest
from edgebert.errors import BundleError
from edgebert.measure.process import run_process
from edgebert.measure.results import write_json
from edgebert.measure.variants import Variant
from edgebert.workdir import model_hash

MEASURE = HERE / "contenders/measure.py"
PLAIN = "pytorch"


@dataclass(frozen=True)
class Places:
    """Folders of a run (model, EdgeBERT's bundle, finished files, environments), and calibration texts."""

    model: Path
    bundle: Path
    work: Path
    environments: Path
    calibration: list[str]


@dataclass(frozen=True)
class Prepared:
    """A contender, the folder that it opens, and a hash of the folder's contents."""

    contender: Contender
    folder: Path
    key: str

    @property
    def size_mb(self) -> float:
        """Size of the files in the folder; for a bundle, only of those that the runtime opens."""
        if not self.contender.bundle:
            return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file()) / 1e6
        manifest = read_manifest(self.folder)
        runtime = self.contender.variant or manifest.runtime.default
        others = ("tokenizer.json", "config.json", "manifest.json")
        graph = Variant(self.contender.name, self.folder, manifest, runtime).size_mb
        return graph + sum((self.folder / name).stat().st_size for name in others) / 1e6


def run_contender(prepared: Prepared, suite: Suite, places: Places, action: str, **more: Any) -> dict[str, Any]:
    """Run one job in a fresh process in a contender's environment.

    Raises:
        RunError: The environment could not be installed, or the process failed.
    """
    contender = prepared.contender
    name = contender.converted_in if action == "prepare" and contender.converted_in else contender.environment
    job = {
        "scenario": f"{contender.name}: {action}",
        "action": action,
        "contender": contender.file,
        "variant": contender.variant,
        "folder": str(prepared.folder),
        "model": str(places.model),
        "task": suite.task,
        "threads": suite.threads,
        "max_length": suite.max_length,
        **more,
    }
    command = [interpreter(name, places.environments), "-P", str(MEASURE)]
    return run_process(command, job, variables(name, suite.threads))


def plain_export(suite: Suite, places: Places) -> Path:
    """Export the model to one ONNX graph as transformers defines it. Several peers start from this graph."""
    exported = Contender("plain export", PLAIN, "fp32", suite.exported_in, "export")
    return prepare(exported, suite, places, Path()).folder


def prepare(contender: Contender, suite: Suite, places: Places, plain: Path) -> Prepared:
    """Prepare a contender's files: a bundle as it is, or files that the peer makes from the model once.

    Raises:
        RunError: The peer could not make the files.
        BundleError: The bundle has no such stage.
    """
    if contender.bundle:
        return _bundle(contender, places)
    key = _key(contender, suite, places)
    folder = places.work / f"{contender.file}-{contender.variant or 'plain'}-{key[:12]}"
    prepared = Prepared(contender, folder, key)
    if not folder.is_dir():
        sys.stderr.write(f"peers: {contender.name}: preparing\n")
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        half_done = Prepared(contender, partial, key)
        run_contender(half_done, suite, places, "prepare", plain=str(plain), calibration=places.calibration)
        partial.rename(folder)
    return prepared


def answers_of(prepared: Prepared, suite: Suite, places: Places, texts: list[str]) -> Answers:
    """Get the answers to all texts, or reuse those of an earlier run. *Shape*: (texts, labels or width)."""
    asked = hashlib.sha256(json.dumps([prepared.key, texts]).encode()).hexdigest()
    kept = places.work / f"answers-{asked[:16]}.json"
    if not kept.is_file():
        sys.stderr.write(f"peers: {prepared.contender.name}: answering {len(texts)} texts\n")
        write_json(kept, run_contender(prepared, suite, places, "answer", texts=texts)["answers"])
    return np.array(json.loads(kept.read_text(encoding="utf-8")), dtype=np.float64)


def _bundle(contender: Contender, places: Places) -> Prepared:
    stages = places.bundle.with_name(places.bundle.name + ".stages")
    folder = places.bundle if contender.bundle == "bundle" else stages / contender.bundle
    if not (folder / "manifest.json").is_file():
        raise BundleError(f"{folder}: no such bundle; export with export.stages = true")
    return Prepared(contender, folder, f"{bundle_hash(folder)} {contender.variant}")


def _key(contender: Contender, suite: Suite, places: Places) -> str:
    """Hash everything that a contender's files depend on."""
    names = {contender.environment, contender.converted_in or contender.environment}
    sources = [HERE / "contenders" / f"{name}.py" for name in (contender.file, "texts", PLAIN)]
    sources += [HERE / "requirements" / f"{name}.txt" for name in sorted(names)]
    parts = [contender.variant, suite.task, suite.max_length, model_hash(places.model), places.calibration]
    parts += [path.read_text(encoding="utf-8") for path in sources if path.is_file()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

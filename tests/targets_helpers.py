"""Small things that the tests of the targets share."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from manifests import CONTENT, manifest_of

from edgebert.measure.variants import Variant


def write_script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def wait_until(holds: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether something comes true before too long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not holds():
        time.sleep(0.02)
    return holds()


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def make_variant(folder: Path, name: str = "bundle", runtime: str = "onnxruntime", **manifest: Any) -> Variant:
    """A bundle of three small files, whose model says its name."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_text(f"model of {name}")
    (folder / "openvino").mkdir()
    (folder / "openvino" / "model.xml").write_text("x")
    (folder / "tokenizer.json").write_text("{}")
    paths = ("model.onnx", "openvino/model.xml", "tokenizer.json")
    files = [{"path": path, "sha256": 64 * "0", "bytes": 1} for path in paths]
    changes = {"name": name, "files": files, **manifest}
    (folder / "manifest.json").write_text(json.dumps({**CONTENT, **changes}))
    return Variant(name, folder.resolve(), manifest_of(**changes), runtime)

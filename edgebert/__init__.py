"""EdgeBERT: BERT task models on small hardware.

`load(path)` opens a bundle; the model it gives is called with text. `evaluate(model, data)` scores it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgebert.errors import (
    BundleError,
    BusyError,
    CheckpointError,
    DataError,
    DiskError,
    EdgeBertError,
    InputError,
    MissingDependencyError,
    ParityError,
    RunError,
    SaturationWarning,
    SettingsError,
    TargetError,
    TextError,
    UnknownLabelWarning,
)

if TYPE_CHECKING:
    from edgebert.runtime.model import Model
    from edgebert.runtime.quality import Quality

__version__ = "0.1.0"

# ONNX Runtime 1.29 and later reports to its maker from its import on: a device id and a database in the user's cache
# folder, a file in TMPDIR, name look-ups, one more thread. Here, because every module of the package runs this first.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "BundleError",
    "BusyError",
    "CheckpointError",
    "DataError",
    "DiskError",
    "EdgeBertError",
    "InputError",
    "MissingDependencyError",
    "ParityError",
    "RunError",
    "SaturationWarning",
    "SettingsError",
    "TargetError",
    "TextError",
    "UnknownLabelWarning",
    "__version__",
    "evaluate",
    "load",
]


def load(path: str | Path, *, runtime: str | None = None, threads: int | None = None, verify: bool = True) -> Model:
    """Open a bundle.

    Args:
        path: The bundle's folder.
        runtime: `onnxruntime` or `openvino`; the bundle's own choice if not given.
        threads: Threads inside one prediction; the profile's number, at most the cores here, if not given.
        verify: Whether to check every file's hash first.

    Returns:
        The model. It can be pickled and deep-copied, and closes at the end of a `with` block.

    Warns:
        SaturationWarning: The bundle's INT8 sums saturate on this CPU; once a process for a bundle.

    Raises:
        TypeError: `path` is no path.
        InputError: `runtime` or `threads` is no value that they take.
        BundleError: A file is missing, truncated or altered, or the bundle has no graph for that runtime.
        MissingDependencyError: The runtime is not installed.

    Example:
        ```python
        with edgebert.load("build/sst2") as model:
            print(model(["a good film", "a dull one"])[0].to_dict())
        ```
    """
    from edgebert.runtime.load import load_bundle

    return load_bundle(_path(path, "path"), runtime, threads, verify)


def evaluate(model: Model, data: str | Path, *, strict_labels: bool = False) -> dict[str, Quality]:
    """Every metric of a bundle's task on a labelled file, each text asked once; the bundle's own metric first.

    Args:
        model: An opened bundle.
        data: A file in the form of those that the bundle was made from.
        strict_labels: Whether to refuse labels that the model does not have; else they count as wrong.

    Warns:
        UnknownLabelWarning: The file has such labels; says which, and in how many rows.

    Raises:
        TypeError: `model` is no opened bundle, or `data` is no path.
        DataError: The file cannot be used, or holds a text that cannot be answered; says where.
    """
    import warnings

    from edgebert.data.unknown import check_labels, unknown_labels
    from edgebert.runtime.quality import evaluate_all
    from edgebert.runtime.rows import read_rows

    if not hasattr(model, "manifest"):
        raise TypeError(f"model is {type(model).__name__} {model!r:.40}; give what edgebert.load returns")
    rows = read_rows(_path(data, "data"), model.manifest)
    unknown = unknown_labels(model.task, rows)
    if strict_labels:
        check_labels(unknown, model.task, "mend the file, or leave strict_labels out to count them as wrong")
    if unknown.rows:
        warnings.warn(f"{data}: {unknown}; they count as wrong", UnknownLabelWarning, stacklevel=2)
    return evaluate_all(model, rows)


def _path(value: str | Path, what: str) -> Path:
    """Return a path, or say what was given in its place; an empty one would be the current folder.

    Raises:
        TypeError: Neither a string nor a path.
        InputError: It is empty.
    """
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise TypeError(f"{what} is {type(value).__name__} {value!r:.40}; give a str or a pathlib.Path")
    if not os.fspath(value).strip():
        raise InputError(f"{what} is {value!r}; give the name of a file or folder")
    return Path(value)

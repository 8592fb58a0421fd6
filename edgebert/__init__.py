"""EdgeBERT: BERT task models on small hardware.

`export(recipe)` makes a bundle. `load(path)` opens it and returns a model, which you call with text. `evaluate(model,
data)` scores it. `bench(bundle)` measures it beside its full-precision baseline.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

from edgebert.errors import (
    BundleError,
    BusyError,
    CheckpointError,
    DataError,
    DiskError,
    EdgeBertError,
    FallbackWarning,
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
from edgebert.escape import name_fault, shown_value
from edgebert.options import flag

if TYPE_CHECKING:
    from edgebert.exporting import Asked, Exported
    from edgebert.measure.results import Result
    from edgebert.runtime.model import Model
    from edgebert.runtime.quality import Quality
    from edgebert.runtimes import AskedPrecision
    from edgebert.settings import Setting

__version__ = "0.2.0"

# On import, ONNX Runtime 1.29 and later reports to its maker: a device id and a database in the user's cache folder, a
# file in TMPDIR, name look-ups, one more thread. It is switched off here, because every module of the package runs this
# file first.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "BundleError",
    "BusyError",
    "CheckpointError",
    "DataError",
    "DiskError",
    "EdgeBertError",
    "FallbackWarning",
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
    "bench",
    "evaluate",
    "export",
    "load",
]


def export(  # noqa: PLR0913 - the options of the command, by name
    recipe: str | Path,
    *,
    model: str | Path | None = None,
    data_dir: str | Path | None = None,
    profile: str | Path | None = None,
    out: str | Path | None = None,
    work: str | Path | None = None,
    settings: Mapping[str, Setting] | None = None,
    strict_labels: bool = False,
    task: str = "",
    pooling: str = "",
    labels: Sequence[str] = (),
    pairs: bool = False,
    text: str | Path | None = None,
    precision: Literal["int8", "int8-weights", "fp32"] = "int8",
    budget: str | None = None,
) -> Exported:
    """Make a bundle from a checkpoint as it is, or from a recipe and its data. Needs the `export` extra.

    Args:
        recipe: A TOML file that says what to do; or a checkpoint (as `model`), to be exported as it is.
        model: A checkpoint's folder, `package:NAME` or a hub id, in place of the recipe's.
        data_dir: Folder that the recipe's data paths are relative to; the recipe's folder if not given.
        profile: A hardware profile, by name or path; the recipe's or the one for this machine if not given.
        out: The bundle's folder; `build/NAME` if not given.
        work: Folder of finished stages; an interrupted call continues from it. `OUT.work` if not given.
        settings: Recipe keys to override, with dots: `{"finetune.epochs": 1}`.
        strict_labels: Whether to refuse labels of held-out files that the model does not have (else: wrong answers).
        task: For a checkpoint: the task's name; found from the model's class if not given.
        pooling: For a checkpoint: how an encoder's rows become one vector, if its folder does not say.
        labels: For a checkpoint: names of the head's outputs, in order.
        pairs: For a checkpoint: whether it takes two texts at a time.
        text: For a checkpoint: a file of texts to check the bundle on; EdgeBERT's own sentences if not given.
        precision: For a checkpoint: `int8`, `int8-weights` (INT8 in the file, FP32 arithmetic), or `fp32`.
        budget: For a recipe: time that the export may take, such as `45m` or `1h30m`; epochs are fitted to it.

    Raises:
        TypeError, InputError: A value has the wrong type or cannot be used; a folder is in use, or cannot be written.
        ParityError: The exported graph's outputs differ from the model's.

    Example:
        ```python
        made = edgebert.export("sst2.toml", data_dir="data", out="build/sst2", settings={"finetune.epochs": 1})
        ```
    """
    from edgebert.exporting import Order, export_bundle, overrides_of

    order = Order(
        str(_named(recipe, "recipe")),
        overrides_of({} if settings is None else settings),
        _text_or_none(model, "model"),
        _path_or_none(data_dir, "data_dir"),
        _text_or_none(profile, "profile"),
        _path_or_none(out, "out"),
        _path_or_none(work, "work"),
        flag(strict_labels, "strict_labels"),
        _asked(task, pooling, labels, _path_or_none(text, "text"), pairs, precision),
        budget=_text_or_none(budget, "budget") or "",
    )
    return export_bundle(order)


def _asked(
    task: str,
    pooling: str,
    labels: Sequence[str],
    text: Path | None,
    pairs: bool,
    precision: AskedPrecision,
) -> Asked:
    """Collect the checkpoint's options, and check the type of each."""
    from edgebert.exporting import Asked
    from edgebert.options import check_choice, name, names
    from edgebert.runtimes import AskedPrecision

    check_choice(precision, "precision", get_args(AskedPrecision))
    return Asked(
        "" if task is None else name(task, "task"),
        "" if pooling is None else name(pooling, "pooling"),
        () if labels is None else names(labels, "labels"),
        text,
        flag(pairs, "pairs"),
        precision,
    )


def load(path: str | Path, *, runtime: str | None = None, threads: int | None = None, verify: bool = True) -> Model:
    """Open a bundle.

    Args:
        path: The bundle's folder.
        runtime: `onnxruntime`, `openvino` or `core`; the bundle's own choice if not given.
        threads: Threads inside one prediction; the profile's number, at most the cores here, if not given.
        verify: Whether to first check the hash of every file that the runtime reads (`edgebert verify` checks all).

    Returns:
        The model. It can be pickled and deep-copied, and closes at the end of a `with` block.

    Warns:
        SaturationWarning: The bundle's INT8 sums saturate on this CPU. Raised once per process and bundle.
        FallbackWarning: The bundle's default runtime, the native core, cannot run here; another is used. Also once.

    Raises:
        TypeError: `path` is not a path, or `verify` is not a boolean.
        InputError: `runtime` or `threads` has a value that is not allowed.
        BundleError: A file is missing, truncated or altered, or the bundle has no graph for that runtime.
        MissingDependencyError: The runtime is not installed.

    Example:
        ```python
        with edgebert.load("build/sst2") as model:
            print(model(["a good film", "a dull one"])[0].to_dict())
        ```
    """
    from edgebert.runtime.load import load_bundle

    return load_bundle(_path(path, "path"), runtime, threads, flag(verify, "verify"))


def evaluate(model: Model, data: str | Path, *, strict_labels: bool = False) -> dict[str, Quality]:
    """Compute every metric of a bundle's task on a labelled file; the bundle's own metric comes first.

    Args:
        model: An opened bundle.
        data: A file in the format of the files that the bundle was made from.
        strict_labels: Whether to refuse labels that the model does not have; else they count as wrong.

    Warns:
        UnknownLabelWarning: The file has such labels; names them and the number of rows.

    Raises:
        TypeError: `model` is not an opened bundle, `data` is not a path, or `strict_labels` is not a boolean.
        DataError: The file cannot be used, or the model refuses one of its texts; names the line.
    """
    import warnings

    from edgebert.data.unknown import check_labels, unknown_labels
    from edgebert.runtime.model import Model
    from edgebert.runtime.quality import evaluate_all
    from edgebert.runtime.rows import read_rows

    if not isinstance(model, Model):
        raise TypeError(f"model is {type(model).__name__} {shown_value(model)}; give what edgebert.load returns")
    flag(strict_labels, "strict_labels")
    rows = read_rows(_path(data, "data"), model.manifest, find_tokens=model.task.find_tokens)
    unknown = unknown_labels(model.task, rows)
    if strict_labels:
        check_labels(unknown, model.task, "correct the file, or leave strict_labels out to count them as wrong")
    if unknown.rows:
        warnings.warn(f"{data}: {unknown}; they count as wrong", UnknownLabelWarning, stacklevel=2)
    return evaluate_all(model, rows)


def bench(  # noqa: PLR0913 - the options of the command, by name
    bundle: str | Path | Sequence[str | Path],
    *,
    data: str | Path | None = None,
    suite: str | Path | None = None,
    baseline: str | Path | None = None,
    stages: bool = False,
    target: str = "local",
    estimate: str | Sequence[str] = (),
    profile_ops: bool = False,
    strict_labels: bool = False,
    out: str | Path | None = None,
) -> Result:
    """Measure bundles beside their full-precision baseline, in fresh processes that take turns.

    Writes `result.json` and raw samples into `out` after every case; `edgebert report` makes a page from them. Progress
    goes to Python's `logging`, under `edgebert`.

    Args:
        bundle: A bundle's folder, or several.
        data: Texts of natural lengths. If they have labels, quality is measured too.
        suite: What to measure: a TOML file; the default suite if not given.
        baseline: The full-precision bundle; `BUNDLE/baseline` or `BUNDLE.stages/0-baseline` if not given.
        stages: Whether to measure the bundles of `BUNDLE.stages` too.
        target: `local`, `cuda`, `cuda://tensorrt`, `ssh://[USER@]HOST[:PORT]` or `qemu://CPU`.
        estimate: Hardware profiles to estimate latency for; estimates are kept apart from what is measured.
        profile_ops: Whether to time by operator too.
        strict_labels: Whether to refuse labels that a bundle does not have; else they count as wrong.
        out: Folder for the result; `BUNDLE.bench` if not given.

    Returns:
        What `result.json` holds: `cases`, `ratios` to the baseline with 95% intervals, `verdict` on the machine.

    Raises:
        TypeError: A value has the wrong type.
        InputError: Bundles, data, suite or target cannot be used; nothing was measured.
        RunError: A measured process failed; earlier results are kept.

    Example:
        ```python
        result = edgebert.bench("build/sst2", data="dev.tsv")
        print(result.ratios)
        ```
    """
    from edgebert.measure.compare import Request, compare
    from edgebert.measure.progress import Logged

    request = Request(
        _folders(bundle),
        "edgebert.bench",
        _path_or_none(data, "data"),
        _path_or_none(suite, "suite"),
        _text_or_none(baseline, "baseline"),
        flag(stages, "stages"),
        _text(target, "target"),
        _path_or_none(out, "out"),
        _estimates(estimate),
        flag(profile_ops, "profile_ops"),
        flag(strict_labels, "strict_labels"),
    )
    return compare(request, Logged())


def _estimates(estimate: str | Sequence[str]) -> tuple[str, ...]:
    """Names of the profiles to estimate latency for."""
    from edgebert.options import names

    given = [estimate] if isinstance(estimate, str) else estimate
    return tuple(_text(name, "estimate") for name in names(given, "estimate"))


def _folders(bundle: str | Path | Sequence[str | Path]) -> tuple[Path, ...]:
    """Resolve the folder of a bundle, or of several.

    Raises:
        InputError: There is none.
    """
    if isinstance(bundle, list | tuple):
        if not bundle:
            raise InputError("no bundle is given; give a folder")
        return tuple(_named(folder, "bundle").resolve() for folder in bundle)
    return (_named(cast("Path", bundle), "bundle").resolve(),)


def _path_or_none(value: str | Path | None, what: str) -> Path | None:
    return None if value is None else _named(value, what)


def _text_or_none(value: str | Path | None, what: str) -> str | None:
    return None if value is None else _text(value, what)


def _text(value: str | Path, what: str) -> str:
    """Return a name unchanged: a `Path` would turn the two slashes of `ssh://HOST` into one, and drop `./`."""
    _named(value, what)
    return os.fspath(value)


def _named(value: str | Path, what: str) -> Path:
    """Return a path that can name a file and be written into a result.

    Raises:
        TypeError: Neither a string nor a path.
        InputError: It is empty, or has a character that no file name can have.
    """
    path = _path(value, what)
    if fault := name_fault(os.fspath(path)):
        raise InputError(f"{what} {fault}")
    return path


def _path(value: str | Path, what: str) -> Path:
    """Return the value as a path. An empty string is refused, since it would mean the current folder.

    Raises:
        TypeError: Neither a string nor a path.
        InputError: It is empty.
    """
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise TypeError(f"{what} is {type(value).__name__} {shown_value(value)}; give a str or a pathlib.Path")
    if not os.fspath(value).strip():
        raise InputError(f"{what} is {value!r}; give the name of a file or folder")
    return Path(value)

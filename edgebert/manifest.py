"""Strict reading of a bundle's manifest: any JSON document is either valid or ends in one BundleError.

`Manifest` holds the values that EdgeBERT reads. It ignores keys that it does not name, so that a bundle of a later
minor version still opens; `read_document` returns the whole document, including these keys. `edgebert.runtime.contract`
checks what depends on the task: settings of the head, thresholds, widths of the graph's outputs. Standard library only.

The dataclasses are not frozen and have no comparison: Python generates those methods at import, which took 5 ms of
every start.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgebert.errors import BundleError, SettingsError
from edgebert.escape import escaped, name_fault
from edgebert.manifest_data import LARGEST, SHA256, Data, QualityEntry, check_distinct, check_filled
from edgebert.no_bundle import MANIFEST as MANIFEST
from edgebert.no_bundle import no_bundle
from edgebert.runtimes import RUNTIMES, Int8Form, RuntimeName, weights_beside
from edgebert.settings import fill, required_within, within
from edgebert.strict_json import Json, read_json

FORMAT = "edgebert-bundle"
FORMAT_VERSION = 1
# From minor version 1 on, the manifest has its own hash. Bundles without `format_minor` have minor version 0.
FORMAT_MINOR = 1
# Enough for a hundred thousand labels; reading needs forty times the file's size in memory.
MAX_BYTES = 8 << 20
MAX_FILE_BYTES = 16 << 30  # far more than an encoder weighs; a file that only claims its size takes hours to hash
TOKENIZER = "tokenizer.json"
SELF_HASH = "manifest_sha256"
LEADS_OUT = "a link that leads out of the bundle; copy the folder with files instead of links"
AGAIN = "export the bundle again or copy it again"


def path_fault(name: str) -> str:
    """Say what is wrong with the path of a file inside a bundle; "" if it is a plain relative POSIX path."""
    if not name or name != escaped(name):
        return "is empty or holds control characters"
    if name.startswith("/") or "\\" in name or ":" in name:
        return "is absolute, or holds a backslash or a colon"
    # Windows drops spaces and dots at the end of a part.
    if any(part.rstrip(". ") != part or not part for part in name.split("/")):
        return "has an empty part, or one that ends in a dot or a space"
    return ""


def check_path(name: str) -> None:
    """Refuse a path that is not a plain relative path inside the bundle.

    Raises:
        ValueError: Says which rule it breaks.
    """
    if fault := path_fault(name):
        raise ValueError(f"path {name!r:.80} {fault}; expected a relative path below the bundle, such as a/b.onnx")


@dataclass(eq=False, repr=False)
class FileEntry:
    """One file of the bundle."""

    path: str
    sha256: str
    bytes: int = required_within(0, MAX_FILE_BYTES)

    def __post_init__(self) -> None:
        """Refuse a path outside the bundle, and a malformed hash."""
        check_path(self.path)
        if not SHA256.fullmatch(self.sha256):
            raise ValueError(f"sha256 {self.sha256!r:.80}: expected 64 hexadecimal digits")


@dataclass(eq=False, repr=False)
class Head:
    """Settings of the task's head, tags of intents and slots, and values chosen on the validation split.

    `modules` are those after the pooling of a sentence encoder, `width` is the width of the vector that they make.
    """

    settings: dict[str, Json]
    tags: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()
    may_have_no_answer: bool = False
    no_answer_threshold: float | None = None
    modules: tuple[str, ...] = ()
    width: int | None = within(None, 1, LARGEST)


@dataclass(eq=False, repr=False)
class Graphs:
    """Graph file of each runtime; unknown runtimes are ignored."""

    default: RuntimeName
    graphs: dict[str, str]
    default_fusions: bool = False
    unpadded: str | None = None

    def __post_init__(self) -> None:
        """Refuse a default runtime without a graph."""
        if self.default not in self.graphs:
            raise ValueError(f"default is {self.default!r}, but graphs has none for it")
        for name, runtime in RUNTIMES.items():
            if not self.graphs.get(name, runtime.ending).endswith(runtime.ending):
                raise ValueError(
                    f"graphs.{name} is {self.graphs[name]!r:.80}; expected a path ending in {runtime.ending}"
                )


@dataclass(eq=False, repr=False)
class Choice:
    """The profile's settings for running the graph."""

    provider: str
    length_buckets: tuple[int, ...] = required_within(1, 1 << 20)
    intra_op_threads: int = required_within(1, 1 << 16)
    weight_type: str = ""
    activation_type: str = ""
    reduce_range: bool = False

    def __post_init__(self) -> None:
        """Refuse a blank provider, and padding buckets that are not in ascending order."""
        check_filled("provider", self.provider)
        if list(self.length_buckets) != sorted(set(self.length_buckets)):
            raise ValueError("length_buckets: expected ascending token lengths")


@dataclass(eq=False, repr=False)
class Profile:
    """The hardware that the bundle is for."""

    export: Choice
    name: str = ""
    summary: str = ""
    machine: str = ""


@dataclass(eq=False, repr=False)
class Layer:
    """Attention heads and FFN neurons of an encoder layer."""

    heads: int = required_within(0, LARGEST)
    ffn: int = required_within(0, LARGEST)


# A dimension: a number, or "n" for the number of the text's tokens.
Size = int | Literal["n"]


@dataclass(eq=False, repr=False)
class Work:
    """Equal matrix products of the graph; see `edgebert.runtime.cost.Product`."""

    kind: Literal["embeddings", "lookup", "weights", "attention", "head"]
    precision: Literal["int8", "fp16", "fp32"]
    batch: Size
    rows: Size
    inner: Size
    columns: Size
    layers: tuple[int, ...] = required_within(0, 1 << 16)
    each: int = required_within(1, 1 << 32)

    def __post_init__(self) -> None:
        """Refuse a dimension that no graph can have."""
        sizes = {"batch": self.batch, "rows": self.rows, "inner": self.inner, "columns": self.columns}
        for name, size in sizes.items():
            if size != "n" and not 0 <= size <= 1 << 32:
                raise ValueError(f"{name} is {size!r:.40}; expected a whole number or 'n'")


@dataclass(eq=False, repr=False)
class StageEntry:
    """One stage of the export: its arguments and its metrics."""

    stage: str
    arguments: dict[str, Json]
    metrics: dict[str, Json]

    def __post_init__(self) -> None:
        """Refuse a stage without a name."""
        check_filled("stage", self.stage)


@dataclass(eq=False, repr=False)
class BaseModel:
    """The checkpoint that the bundle was made from."""

    source: str
    licence: str
    sha256: str

    def __post_init__(self) -> None:
        """Refuse a malformed hash."""
        if self.sha256 and not SHA256.fullmatch(self.sha256):
            raise ValueError(f"sha256 is {self.sha256!r:.80}; expected 64 hexadecimal digits")


@dataclass(eq=False, repr=False)
class Facts:
    """The manifest entries that a task and an open model need; during an export they exist before the manifest."""

    task: str
    labels: tuple[str, ...]
    segments: int
    head: Head
    label_values: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    pad_id: int = 0
    name: str = ""
    precision: str = ""


@dataclass(eq=False, repr=False)
class Manifest:
    """All manifest values that EdgeBERT reads."""

    name: str
    task: str
    labels: tuple[str, ...]
    inputs: tuple[Literal["input_ids", "attention_mask", "token_type_ids"], ...]
    outputs: tuple[str, ...]
    head: Head
    precision: str
    runtime: Graphs
    profile: Profile
    files: tuple[FileEntry, ...]
    layers: tuple[Layer, ...]
    stages: tuple[StageEntry, ...]
    metrics: dict[str, QualityEntry]
    data: Data
    tools: dict[str, str]
    base_model: BaseModel
    segments: int = required_within(1, 2)
    max_length: int = required_within(1, 1 << 20)
    pad_id: int = within(0, 0, 1 << 31)
    cost: tuple[Work, ...] = ()
    edgebert: str = ""
    measured_on: dict[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a blank name, duplicates, and files that a runtime opens but the manifest does not list."""
        check_filled("name", self.name)
        check_filled("precision", self.precision)
        check_distinct("labels", self.labels)
        check_distinct("inputs", self.inputs)
        check_distinct("outputs", self.outputs)
        check_distinct("files", [entry.path for entry in self.files])
        if absent := {"input_ids", "attention_mask"} - set(self.inputs):
            raise ValueError(f"inputs lacks {', '.join(sorted(absent))}")
        if (values := len(self.data.label_values)) not in (0, len(self.labels)):
            raise ValueError(f"data.label_values has {values} entries for {len(self.labels)} labels")
        listed = {entry.path for entry in self.files}
        for path in self._opened():
            if path not in listed:
                raise ValueError(f"files does not list {path!r:.80}, which is opened")

    @property
    def facts(self) -> Facts:
        """The entries that a task and an open model read."""
        return Facts(
            task=self.task,
            labels=self.labels,
            segments=self.segments,
            head=self.head,
            label_values=self.data.label_values,
            inputs=self.inputs,
            pad_id=self.pad_id,
            name=self.name,
            precision=self.precision,
        )

    @property
    def int8_form(self) -> Int8Form:
        """Properties that decide whether INT8 sums saturate on some CPUs."""
        export = self.profile.export
        made = self.stages[-1].metrics.get("openvino") if self.stages else None
        return Int8Form(
            precision=self.precision,
            weight_type=export.weight_type,
            activation_type=export.activation_type,
            reduce_range=export.reduce_range,
            # Bundles from before `reduce_range` was stored have eight bits, nncf's setting at that time.
            openvino_reduce_range=bool(made.get("reduce_range", False)) if isinstance(made, dict) else None,
        )

    def _opened(self) -> list[str]:
        """Paths of the files that a runtime opens."""
        graphs = self.runtime.graphs.values()
        return [
            TOKENIZER,
            *graphs,
            *weights_beside(graphs),
            *([] if self.runtime.unpadded is None else [self.runtime.unpadded]),
        ]


REQUIRED = (
    *("name", "task", "labels", "inputs", "outputs", "segments", "max_length", "head", "precision", "runtime"),
    *("profile", "files", "layers", "stages", "metrics", "data", "tools", "base_model"),
)


def self_hash(manifest: Mapping[str, Json]) -> str:
    """SHA-256 over canonical JSON (sorted keys, no white space, ASCII) of every entry but the hash itself."""
    others = {key: value for key, value in manifest.items() if key != SELF_HASH}
    text = json.dumps(others, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def sealed(manifest: Mapping[str, Json]) -> dict[str, Json]:
    """Add format, version and the manifest's own hash to a manifest.

    Raises:
        ValueError: A number in it is not finite.
    """
    versions: dict[str, Json] = {"format": FORMAT, "format_version": FORMAT_VERSION, "format_minor": FORMAT_MINOR}
    others = {key: value for key, value in manifest.items() if key not in (*versions, SELF_HASH)}
    whole = {**versions, **others}
    return {**whole, SELF_HASH: self_hash(whole)}


def read_manifest(folder: Path) -> Manifest:
    """Read and check a bundle's manifest.

    Raises:
        BundleError: Not a bundle, a damaged or altered manifest, or a format of another version.
    """
    return manifest_of(read_document(folder), folder / MANIFEST)


def manifest_of(document: dict[str, Json], path: Path) -> Manifest:
    """Check the values of a manifest; the path is only for messages.

    Raises:
        BundleError: A value is missing, has the wrong type, or is out of range.
    """
    if missing := [key for key in REQUIRED if key not in document]:
        raise BundleError(f"{path}: damaged, no {', '.join(missing)}; {AGAIN}")
    try:
        return fill(Manifest, document, f"{path}: damaged", strict=False)
    except SettingsError as error:
        raise BundleError(f"{str(error).replace(': damaged: file: ', ': damaged: ', 1)}; {AGAIN}") from None


def read_document(folder: Path) -> dict[str, Json]:
    """Read the whole manifest, including keys that this EdgeBERT does not know.

    Raises:
        BundleError: Not a bundle, a manifest that is not JSON or was altered, or a format of another version.
    """
    if fault := name_fault(str(folder)):
        raise BundleError(f"{folder}: the name {fault}")
    path = folder / MANIFEST
    document = _json(path)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BundleError(f"{path}: not an EdgeBERT manifest; give the folder that `edgebert export` wrote")
    if type(document.get("format_version")) is not int or document["format_version"] != FORMAT_VERSION:
        version = str(document.get("format_version"))[:20]
        reads = f"this EdgeBERT reads version {FORMAT_VERSION}"
        raise BundleError(f"{path}: format version {version}; {reads}; update edgebert or export the bundle again")
    _check_hash(path, document)
    return document


def leads_out(path: Path, folder: Path) -> bool:
    """Whether a path, with links resolved, ends outside a folder."""
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _json(path: Path) -> Json:
    if leads_out(path, path.parent):
        raise BundleError(f"{path}: {LEADS_OUT}")
    try:
        return read_json(path, MAX_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        raise BundleError(no_bundle(path.parent)) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise BundleError(f"{path}: cannot be read ({reason}); make it readable or copy the bundle again") from None
    except ValueError as error:
        raise BundleError(f"{path}: damaged ({error}); {AGAIN}") from None


def _check_hash(path: Path, manifest: Mapping[str, Json]) -> None:
    """Refuse an altered manifest; bundles of minor version 0 have no hash.

    Raises:
        BundleError: The hash is missing or wrong.
    """
    if SELF_HASH not in manifest:
        if "format_minor" in manifest:
            raise BundleError(f"{path}: altered, it lacks {SELF_HASH}; {AGAIN}")
    elif manifest[SELF_HASH] != self_hash(manifest):
        raise BundleError(f"{path}: altered, its SHA-256 differs from the one in it; {AGAIN}")

"""Assemble a bundle: graphs, tokenizer, config, model card, manifest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tokenizers import Tokenizer

from edgebert import __version__, bundle
from edgebert.compress import arch, checkpoint
from edgebert.compress.conditions import installed, merged_tools
from edgebert.compress.data import TaskData
from edgebert.compress.report import StageReport
from edgebert.exporters.card import model_card
from edgebert.exporters.cost import graph_cost
from edgebert.exporters.graphs import GRAPH, GraphJob
from edgebert.exporters.unpadded import UNPADDED
from edgebert.exporters.writers import WRITERS, writers
from edgebert.manifest import Manifest, manifest_of
from edgebert.recipe import Recipe, settings_dict
from edgebert.runtime.cost import cost_entries
from edgebert.runtimes import ONNXRUNTIME, RUNTIMES, Runtime
from edgebert.strict_json import Json
from edgebert.target import Target

# Tools that run here, to count the work of the graph and to save tokenizer and config.
WRITING = ("onnx", "onnxruntime", "tokenizers", "transformers", "torch")

# Entries that name programs beside the checkpoint, which a reader with `trust_remote_code` would run; a bundle needs
# none.
CODE = ("auto_map", "custom_pipelines")


@dataclass(frozen=True)
class BundleParts:
    """What a manifest holds besides the stages: recipe, hardware, origin, data, model, precision, formats."""

    recipe: Recipe
    target: Target
    source: str
    source_hash: str
    data: TaskData
    job: GraphJob
    precision: str
    formats: Sequence[str]


def write_bundle(
    parts: BundleParts, graph: Path, reports: Sequence[StageReport], out: Path, baseline: Path | None = None
) -> None:
    """Write a bundle folder, completely or not at all.

    Args:
        parts: Values for the manifest.
        graph: Folder of the graph stage that the bundle ships.
        reports: Reports of all stages, the graph's own last.
        out: The bundle's folder; replaced if it exists.
        baseline: A full-precision bundle to put inside as `baseline/`.

    Raises:
        DiskError: The folder cannot be written.
    """
    with bundle.replacing(out) as folder:
        copy_graphs(graph, folder)
        for writer in writers(parts.formats):
            if writer.write is not None and not (folder / writer.runtime.graph).is_file():
                writer.write(folder / GRAPH, folder)
        tokenizer = parts.job.run.loaded.written(parts.job.model / "tokenizer.json")
        _write_tokenizer(tokenizer, parts.job.model, parts.recipe.data.max_length, reports[-1].inputs, folder)
        plain = reports[-1].arguments.get("kind") == "plain"
        config = _config(parts, None if plain else parts.recipe.data.max_length)
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        manifest = _manifest(parts, folder, reports)
        if "onnx" not in parts.formats:
            (folder / GRAPH).unlink()
        if baseline is not None:
            shutil.copytree(baseline, folder / "baseline")
        (folder / "README.md").write_text(model_card(_checked(manifest, folder)), encoding="utf-8")
        bundle.write_manifest(folder, manifest)


def _checked(manifest: dict[str, Json], folder: Path) -> Manifest:
    """The manifest as a device will read it, without the model card's hash: the card is written from the manifest."""
    text = json.dumps({**manifest, "files": bundle.list_files(folder)})
    return manifest_of(json.loads(text), folder / bundle.MANIFEST)


def copy_graphs(source: Path, out: Path) -> None:
    """Copy a graph stage's files into a bundle."""
    shutil.copyfile(source / GRAPH, out / GRAPH)
    if (source / UNPADDED).is_file():
        shutil.copyfile(source / UNPADDED, out / UNPADDED)
    for name in (name for writer in WRITERS for name in writer.runtime.files):
        if (source / name).is_file():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, out / name)


def _write_tokenizer(tokenizer: Tokenizer, source: Path, max_length: int, inputs: Sequence[str], folder: Path) -> None:
    """Write the tokenizer for other readers: it truncates to the graph's length, has its inputs, and pads on the right.

    Positions and packed attention (`exporters.packed`) are counted from the left.
    """
    tokenizer.enable_truncation(max_length, direction=(tokenizer.truncation or {}).get("direction", "right"))
    if padding := tokenizer.padding:
        kept = {key: padding[key] for key in ("pad_id", "pad_type_id", "pad_token")}
        tokenizer.enable_padding(direction="right", **kept)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = json.loads((source / "tokenizer_config.json").read_text(encoding="utf-8"))
    # Traces of how transformers loaded the tokenizer, which are not part of it.
    for key in ("is_local", "local_files_only", *CODE):
        config.pop(key, None)
    config |= {key: max_length for key in ("model_max_length", "max_length") if key in config}
    config |= {"padding_side": "right"} if "padding_side" in config else {}
    config["model_input_names"] = list(inputs)
    # transformers 4 does not know transformers 5's name of its general class.
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _config(parts: BundleParts, max_length: int | None) -> dict[str, object]:
    """The model's config, with the shown labels and the graph's number of positions."""
    config: dict[str, object] = json.loads((parts.job.model / "config.json").read_text(encoding="utf-8"))
    # A task without labels keeps the saved map of the head: its length is the number of outputs.
    if labels := parts.data.label_names:
        config["id2label"] = {str(index): label for index, label in enumerate(labels)}
        config["label2id"] = {label: index for index, label in enumerate(labels)}
    if max_length is not None:
        config["max_position_embeddings"] = max_length + arch.first_position(checkpoint.load_config(parts.job.model))
    return {key: value for key, value in config.items() if key not in ("_name_or_path", *CODE)}


def _manifest(parts: BundleParts, folder: Path, reports: Sequence[StageReport]) -> dict[str, Json]:
    recipe, last = parts.recipe, reports[-1]
    # The recipe's licence is for its own model, not for one that --model names instead.
    licence = recipe.model.licence if parts.source == recipe.model.source else ""
    graphs = {row.name: row.graph for row in _written(folder) if row is not ONNXRUNTIME or "onnx" in parts.formats}
    preferred = parts.target.export.runtime
    shapes = arch.layer_shapes(parts.job.load())
    plain = last.arguments.get("kind") == "plain"
    precision = {"none": "fp32", "fp16": "fp16"}.get(parts.precision, f"int8-{parts.precision}")
    quality = last.metrics["quality"]
    default = preferred if preferred in graphs else next(iter(graphs))
    # The bundle's quality is that of the default runtime's graph.
    own = next((writer for writer in WRITERS if writer.runtime.name == default), None)
    if own is not None and default in last.metrics:
        precision, quality = own.precision, last.table(default)["quality"]
    return {
        "edgebert": __version__,
        "name": recipe.name,
        "task": recipe.task,
        "labels": parts.data.label_names,
        "inputs": last.inputs,
        "outputs": list(parts.job.task().spec.outputs),
        "segments": parts.data.segments,
        "max_length": recipe.data.max_length,
        "pad_id": parts.job.pad_id,
        "head": parts.data.head(last.head),
        "precision": precision,
        "runtime": {
            "default": default,
            "graphs": {str(name): path for name, path in graphs.items()},
            "default_fusions": plain,
            **({"unpadded": UNPADDED} if (folder / UNPADDED).is_file() else {}),
        },
        "profile": settings_dict(parts.target),
        "layers": [asdict(shape) for shape in shapes],
        "cost": cost_entries(graph_cost(folder / GRAPH)),
        "stages": [asdict(report) for report in reports],
        "metrics": quality,
        "measured_on": last.metrics["measured_on"],
        "data": {
            "columns": _columns(recipe),
            "label_values": parts.data.labels.values,
            "metric": recipe.metric,
            "files": parts.data.fingerprints,
        },
        "tools": _tools(folder, reports),
        "base_model": {"source": _portable(parts.source), "licence": licence, "sha256": parts.source_hash},
    }


def _written(folder: Path) -> list[Runtime]:
    """Runtimes for which a folder has a graph, including the ONNX graph that others are made from."""
    return [row for row in RUNTIMES.values() if (folder / row.graph).is_file()]


def _columns(recipe: Recipe) -> dict[str, str | bool]:
    """Columns of the data; whether to skip rows with empty cells is left to the reader of a file."""
    return {key: value for key, value in asdict(recipe.data.columns()).items() if key != "skip_empty"}


def _portable(source: str) -> str:
    """A source that makes sense on another machine: a local folder's name, not its path."""
    return source if source.startswith("package:") or not Path(source).is_dir() else Path(source).resolve().name


def _tools(folder: Path, reports: Sequence[StageReport]) -> dict[str, str]:
    """Versions of the tools that made the bundle, as every stage reported them."""
    writing = (*WRITING, *(name for row in _written(folder) for name in row.export_packages))
    return merged_tools([*(report.tools for report in reports), installed(writing)])

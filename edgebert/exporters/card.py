"""The model card of a bundle, written from its manifest alone."""

from __future__ import annotations

from collections.abc import Sequence

from edgebert.cpu import shown_cpu
from edgebert.data.unknown import sentence
from edgebert.escape import escaped
from edgebert.manifest import Graphs, Head, Layer, Manifest, StageEntry
from edgebert.runtime.quality import shown, units_of
from edgebert.runtime.rows import data_file
from edgebert.runtimes import CORE, shown_precision
from edgebert.tasks.table import spec_of


def model_card(manifest: Manifest) -> str:
    """Write Markdown with what the bundle is, its quality, its origin, and how to call it."""
    base = manifest.base_model
    lines = [
        f"# {manifest.name}",
        "",
        f"{manifest.task}, {shown_precision(manifest.precision)}, made by EdgeBERT {manifest.edgebert} for "
        f"{manifest.profile.summary}.",
        "",
        "```python",
        "import edgebert",
        'model = edgebert.load("path/of/this/folder")',
        f"print(model({_call(manifest)}))",
        "```",
        "",
        *([f"- Labels: {', '.join(manifest.labels)}"] if manifest.labels else []),
        *_vectors(manifest.head),
        f"- Longest input: {manifest.max_length} tokens; a longer text is read in several windows if the task has "
        f"them, else it is cut, and the prediction says so",
        *_runtimes(manifest.runtime),
        f"- Labelled data, for `edgebert evaluate`: {data_file(manifest)}",
        f"- Layers: {_layers(manifest.layers)}",
        f"- Base model: {base.source}, licence {base.licence or 'not stated in the recipe'}",
        "",
        "## Quality",
        "",
        *_quality(manifest),
        *_measured_on(manifest),
        "",
        "## How it was made",
        "",
        *[f"{number}. {_stage(stage)}" for number, stage in enumerate(manifest.stages, 1)],
        "",
        "Data: " + "; ".join(f"{file.split} `{file.file}` ({file.sha256[:12]})" for file in manifest.data.files),
        "",
    ]
    return "\n".join(map(escaped, lines))


def _call(manifest: Manifest) -> str:
    """An example call of the bundle."""
    keys = spec_of(manifest.task).input_keys
    if keys:
        return "(" + ", ".join(f'"your {key}"' for key in keys) + ")"
    return '("one text", "another")' if manifest.segments == 2 else '"your text"'


def _runtimes(runtime: Graphs) -> list[str]:
    """Which runtimes open the bundle, and notes for running its graph without EdgeBERT."""
    graphs = sorted(runtime.graphs, key=lambda name: name != runtime.default)
    if graphs == [CORE.name]:
        return ["- Runtime: only EdgeBERT's native core, which reads `core.bin`; no ONNX graph is here"]
    padding = (
        "- Batches are padded on the right. If you run the graph without EdgeBERT, pad there too, and never run a row "
        "of only padding: attention would ignore its mask"
    )
    if len(graphs) == 1:
        return [padding]
    return [f"- Runtimes: {', '.join(graphs)}; {runtime.default} is the default", padding]


def _vectors(head: Head) -> list[str]:
    """How vectors are made, if modules of the checkpoint follow the pooling."""
    if not head.modules:
        return []
    steps = [f"{head.settings['pooling']} pooling", *head.modules]
    steps += ["divided by their length"] if head.settings["normalize"] else []
    return [f"- Vectors: {head.width} numbers: {', '.join(steps)}"]


def _layers(layers: Sequence[Layer]) -> str:
    return ", ".join(f"{layer.heads} heads x {layer.ffn} neurons" for layer in layers)


def _quality(manifest: Manifest) -> list[str]:
    metrics = manifest.metrics
    if not metrics and any(file.split in ("validation", "test") for file in manifest.data.files):
        return ["Not measured: the recipe does not ask for it (export.score_stages)."]
    if not metrics:
        return ["Not measured: the recipe names no labelled held-out file."]
    rows = [f"| split | metric | value | 95% interval | {units_of(manifest.task)} |", "|---|---|---|---|---|"]
    for split, quality in metrics.items():
        lacks, low, high = quality.lacks, quality.ci_low, quality.ci_high
        known = "none" if low is None or high is None else f"{low:.4f} to {high:.4f}"
        interval = f"without {lacks}" if lacks else known
        rows.append(f"| {split} | {quality.metric} | {shown(quality)} | {interval} | {quality.n} |")
    for split, quality in metrics.items():
        if unknown := quality.unknown_labels:
            told = sentence(unknown.labels, unknown.more, unknown.rows, quality.n)
            rows += ["", f"{split}: {told}; they count as wrong."]
    return rows


def _measured_on(manifest: Manifest) -> list[str]:
    """The CPU of the quality measurement, since INT8 answers depend on its instructions."""
    return ["", f"Measured on: {shown_cpu(manifest.measured_on)}."] if manifest.metrics else []


def _stage(stage: StageEntry) -> str:
    shown = {key: value for key, value in stage.metrics.items() if not isinstance(value, dict | list | tuple)}
    figures = ", ".join(f"{key} {value}" for key, value in shown.items())
    return f"{stage.stage}" + (f": {figures}" if figures else "")

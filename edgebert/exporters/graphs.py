"""The stages that make graphs: full precision, checked against PyTorch; INT8, compared with full precision."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edgebert.compress import checkpoint
from edgebert.compress.data import TaskData
from edgebert.compress.progress import progress
from edgebert.compress.quantize.dynamic import quantize_weights
from edgebert.compress.quantize.embeddings import quantize_embeddings
from edgebert.compress.report import StageReport
from edgebert.compress.run import Run
from edgebert.compress.validation import torch_outputs
from edgebert.examples import Example
from edgebert.exporters.onnx import can_rewrite, export_fast, export_plain, fast_module, graph_inputs
from edgebert.exporters.parity import Parity, compare, require_parity
from edgebert.measure.quality import evaluate
from edgebert.recipe import ExportSettings, QuantizeSettings, settings_dict
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.model import Model, Task
from edgebert.runtime.session import OnnxSession, OpenVinoSession, Outputs, Session
from edgebert.runtime.tasks import device_half
from edgebert.target import ExportChoice

VERSION = 1
CPU = "CPUExecutionProvider"
GRAPH = "model.onnx"


@dataclass(frozen=True)
class GraphJob:
    """A model folder to make a graph of, with the texts to check it on."""

    model: Path
    data: TaskData
    run: Run
    settings: ExportSettings

    @property
    def half(self) -> Any:  # noqa: ANN401
        """Workstation half of the task."""
        return self.data.half

    @property
    def segments(self) -> int:
        """Texts in one input of the graph: as many as a row of the data has, unless the task reads each alone."""
        return int(getattr(self.half, "GRAPH_SEGMENTS", self.data.segments))

    def load(self) -> Any:  # noqa: ANN401
        """The PyTorch model."""
        return checkpoint.load_model(self.model, self.run.task, self.data.label_names)

    def task(self) -> Task:
        """The device half of the task, over the model's own tokenizer."""
        return self.data.device_task(TextEncoder(self.model / "tokenizer.json", self.run.max_length))

    def windows(self, examples: Sequence[Example]) -> list[Encoded]:
        """Examples as the device encodes them."""
        task = self.task()
        return [window for example in examples for window in task.encode(task.given(example))]

    def parity_windows(self) -> list[Encoded]:
        """Real sentences to compare graphs on."""
        examples = self.data.validation or self.data.train or self.data.unlabelled
        return self.windows(examples[: self.settings.parity_samples])

    def calibration_windows(self, samples: int) -> list[Encoded]:
        """A seeded sample of the training text."""
        examples = self.data.train or self.data.unlabelled or self.data.validation
        chosen = np.random.default_rng(self.run.seed).permutation(len(examples))[:samples]
        return self.windows([examples[int(at)] for at in chosen])

    def reference(self, windows: Sequence[Encoded]) -> list[Outputs]:
        """Outputs of the PyTorch model."""
        model, kinds = self.load().eval(), self.task().OUTPUTS
        return list(torch_outputs(model, windows, self.half, kinds, self.pad_id, batch_size=8))

    @property
    def pad_id(self) -> int:
        """Token id of padding."""
        return int(checkpoint.load_tokenizer(self.model).pad_token_id)


def full_precision_graph(job: GraphJob, kind: str, out: Path) -> StageReport:
    """Full-precision ONNX graph of a model, `plain` as transformers defines it or `fast` for inference.

    A family that cannot be rewritten gets the plain graph either way, and the report says which one it is.

    Raises:
        ParityError: Its outputs are not the PyTorch model's.
    """
    model, outputs = job.load(), list(job.task().OUTPUTS)
    if kind == "fast" and not can_rewrite(model.config):
        sys.stderr.write(f"graph: {model.config.model_type} layers cannot be rewritten; a plain graph instead\n")
        kind = "plain"
    if kind == "plain":
        names = export_plain(model, job.half, outputs, out / GRAPH)
    else:
        names = export_fast(model, job.half, outputs, job.segments, job.run.max_length, out / GRAPH)
    session = OnnxSession(out / GRAPH, 2, CPU)
    windows = job.parity_windows()
    parity = _compare(job, session, names, windows, job.reference(windows))
    require_parity(parity, f"{kind} graph")
    tuned = _tuned(job, session, names)
    metrics = {"parity": asdict(parity), "head": tuned, "quality": _quality(job, session, names, tuned)}
    return StageReport("graph", {"kind": kind, "inputs": names}, metrics)


def quantized_graph(
    job: GraphJob, graph: Path, settings: QuantizeSettings, form: str, choice: ExportChoice, out: Path
) -> StageReport:
    """INT8 graphs: ONNX dynamic or static, and OpenVINO where the recipe asks for it.

    Args:
        job: The model and its texts.
        graph: Folder of its full-precision graph.
        settings: The recipe's `[quantize]` table.
        form: `dynamic` or `static`.
        choice: The profile's types and granularity.
        out: Folder for `model.onnx` and `openvino/`.
    """
    calibration, windows = job.calibration_windows(settings.samples), job.parity_windows()
    reference = job.reference(windows)
    metrics: dict[str, Any] = {}
    if form == "dynamic":
        quantize_weights(graph / GRAPH, choice, out / GRAPH)
    else:
        from edgebert.compress.quantize.static import quantize_static

        module = fast_module(job.load(), job.half, job.segments, job.run.max_length)
        outputs = list(job.task().OUTPUTS)
        quantize_static(module, calibration, outputs, job.run.max_length, choice, out / GRAPH)
    if settings.embeddings == "int8":
        model = onnx.load(out / GRAPH)
        quantize_embeddings(model)
        onnx.save(model, out / GRAPH)
    names = graph_inputs(out / GRAPH)
    session: Session = OnnxSession(out / GRAPH, 2, CPU)
    metrics["agreement"] = asdict(_compare(job, session, names, windows, reference))
    metrics["head"] = tuned = _tuned(job, session, names)
    metrics["quality"] = _quality(job, session, names, tuned)
    if "openvino" in job.settings.formats:
        session = _openvino(graph, calibration, choice, out)
        names = graph_inputs(graph / GRAPH)
        agreement = asdict(_compare(job, session, names, windows, reference))
        metrics["openvino"] = {"agreement": agreement, "quality": _quality(job, session, names, tuned)}
    arguments = {**settings_dict(settings), "format": form, "inputs": names, "profile": settings_dict(choice)}
    return StageReport("quantize", arguments, metrics)


def write_openvino(graph: Path, out: Path) -> None:
    """Full-precision OpenVINO IR of an ONNX graph."""
    from edgebert.exporters.openvino import read_graph, save_ir

    save_ir(read_graph(graph), out)


def copy_graphs(source: Path, out: Path) -> None:
    """Copy a graph stage's files into a bundle."""
    shutil.copyfile(source / GRAPH, out / GRAPH)
    if (source / "openvino").is_dir():
        shutil.copytree(source / "openvino", out / "openvino")


def _openvino(graph: Path, calibration: list[Encoded], choice: ExportChoice, out: Path) -> Session:
    from edgebert.compress.quantize.openvino import quantize_openvino

    quantize_openvino(graph / GRAPH, calibration, graph_inputs(graph / GRAPH), out / "openvino")
    return OpenVinoSession(out / "openvino" / "model.xml", 2, list(choice.length_buckets))


def _compare(
    job: GraphJob, session: Session, names: list[str], windows: list[Encoded], reference: list[Outputs]
) -> Parity:
    return compare(reference, session, names, windows, job.task().OUTPUTS, job.pad_id)


def _tuned(job: GraphJob, session: Session, names: list[str]) -> dict[str, Any]:
    """What the task chooses on the validation split, with this graph."""
    tune, examples = getattr(job.half, "tune", None), job.data.validation
    if tune is None or not examples:
        return {}
    model = _model(job, session, names, {})
    rows = progress(examples, desc="tune on validation", unit="text")
    predictions = [model(model.task.given(example)) for example in rows]
    chosen: dict[str, Any] = tune(model.task, predictions, [model.task.expected(example) for example in examples])
    return chosen


def _quality(job: GraphJob, session: Session, names: list[str], tuned: dict[str, Any]) -> dict[str, Any]:
    """The metric on every labelled held-out split, by the device's own code."""
    model = _model(job, session, names, tuned)
    result = {}
    for split, examples in (("validation", job.data.validation), ("test", job.data.test)):
        if examples:
            rows = progress(examples, desc=f"score {split}", unit="text")
            result[split] = evaluate(model, rows, job.run.metric).as_dict()
    return result


def _model(job: GraphJob, session: Session, names: list[str], tuned: dict[str, Any]) -> Model:
    """The graph as a bundle would open it."""
    facts, half = {**job.data.facts(tuned), "inputs": names, "pad_id": job.pad_id}, device_half(job.run.task)
    encoder = TextEncoder(job.model / "tokenizer.json", job.run.max_length)
    model: Model = getattr(half, "MODEL", Model)(facts, half.TASK(facts, encoder), session)
    return model

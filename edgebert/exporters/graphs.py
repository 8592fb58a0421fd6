"""The stages that make graphs: full precision, checked against PyTorch; INT8, compared with full precision."""

from __future__ import annotations

import shutil
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
from edgebert.examples import Example
from edgebert.exporters.onnx import export_fast, export_plain, graph_inputs
from edgebert.exporters.parity import compare, reference_logits, require_parity
from edgebert.measure.quality import measure_quality
from edgebert.recipe import ExportSettings, QuantizeSettings, settings_dict
from edgebert.runtime.classifier import padded_inputs
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.session import OnnxSession, OpenVinoSession, Session
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
    def segments(self) -> int:
        """Texts in one input: 2 where the data has pairs."""
        examples = self.data.train or self.data.validation or self.data.unlabelled
        return 2 if examples[0].text_pair is not None else 1

    def load(self) -> Any:  # noqa: ANN401
        """The PyTorch model."""
        return checkpoint.load_model(self.model, self.run.task, self.data.label_names)

    def encoded(self, examples: list[Example]) -> list[Encoded]:
        """Examples as the device encodes them."""
        encoder = TextEncoder(self.model / "tokenizer.json", self.run.max_length)
        return [encoder.encode_row(example) for example in examples]

    def parity_rows(self) -> list[Encoded]:
        """Real sentences to compare graphs on."""
        examples = self.data.validation or self.data.train or self.data.unlabelled
        return self.encoded(examples[: self.settings.parity_samples])

    def calibration_rows(self, samples: int) -> list[Encoded]:
        """A seeded sample of the training text."""
        examples = self.data.train or self.data.unlabelled or self.data.validation
        chosen = np.random.default_rng(self.run.seed).permutation(len(examples))[:samples]
        return self.encoded([examples[int(at)] for at in chosen])


def full_precision_graph(job: GraphJob, kind: str, out: Path) -> StageReport:
    """Full-precision ONNX graph of a model, `plain` as transformers defines it or `fast` for inference.

    Raises:
        ParityError: Its logits are not the PyTorch model's.
    """
    model = job.load()
    if kind == "plain":
        names = export_plain(model, job.run.task, out / GRAPH)
    else:
        names = export_fast(model, job.run.task, job.segments, job.run.max_length, out / GRAPH)
    session = OnnxSession(out / GRAPH, 2, CPU)
    rows = job.parity_rows()
    parity = compare(reference_logits(model, rows), session, names, rows)
    require_parity(parity, f"{kind} graph")
    metrics = {"parity": asdict(parity), "quality": _quality(job, session, names)}
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
    rows, parity_rows = job.calibration_rows(settings.samples), job.parity_rows()
    reference = reference_logits(job.load(), parity_rows)
    metrics: dict[str, Any] = {}
    if form == "dynamic":
        quantize_weights(graph / GRAPH, choice, out / GRAPH)
    else:
        from edgebert.compress.quantize.static import quantize_static

        quantize_static(job.load(), rows, job.segments, job.run.max_length, choice, out / GRAPH)
    if settings.embeddings == "int8":
        model = onnx.load(out / GRAPH)
        quantize_embeddings(model)
        onnx.save(model, out / GRAPH)
    names = graph_inputs(out / GRAPH)
    session: Session = OnnxSession(out / GRAPH, 2, CPU)
    metrics["agreement"] = asdict(compare(reference, session, names, parity_rows))
    metrics["quality"] = _quality(job, session, names)
    if "openvino" in job.settings.formats:
        metrics["openvino"] = _openvino(job, graph, rows, parity_rows, choice, out)
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


def _openvino(
    job: GraphJob, graph: Path, rows: list[Encoded], parity_rows: list[Encoded], choice: ExportChoice, out: Path
) -> dict[str, Any]:
    from edgebert.compress.quantize.openvino import quantize_openvino

    names = graph_inputs(graph / GRAPH)
    quantize_openvino(graph / GRAPH, rows, names, out / "openvino")
    session = OpenVinoSession(out / "openvino" / "model.xml", 2, list(choice.length_buckets))
    reference = reference_logits(job.load(), parity_rows)
    agreement = compare(reference, session, names, parity_rows)
    return {"agreement": asdict(agreement), "quality": _quality(job, session, names)}


def _quality(job: GraphJob, session: Session, names: list[str]) -> dict[str, Any]:
    """The metric on every labelled held-out split."""
    numbers = {value: index for index, value in enumerate(job.data.label_values)}
    result = {}
    for split, examples in (("validation", job.data.validation), ("test", job.data.test)):
        if not examples:
            continue
        rows = progress(job.encoded(examples), desc=f"score {split}", unit="text")
        logits = np.concatenate([session.run(padded_inputs([row], names)) for row in rows])
        expected = np.array([numbers[str(example.label)] for example in examples])
        result[split] = measure_quality(job.run.metric, expected, logits.argmax(1)).as_dict()
    return result

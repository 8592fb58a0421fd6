"""Make full-precision graphs, check them against PyTorch, and compare and score any graph of a model."""

from __future__ import annotations

import copy
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgebert.compress.data import TaskData
from edgebert.compress.memory import give_back
from edgebert.compress.progress import progress
from edgebert.compress.report import StageReport
from edgebert.compress.run import Run
from edgebert.compress.validation import torch_outputs
from edgebert.cpu import measured_on
from edgebert.data.examples import Example
from edgebert.data.unknown import gold
from edgebert.exporters.inference import InferenceModel
from edgebert.exporters.onnx import PlainModel, can_rewrite, export_fast, export_plain, fast_module
from edgebert.exporters.parity import Batches, Parity, compare, require_parity
from edgebert.recipe import ExportSettings
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.model import Model
from edgebert.runtime.padded import padded_inputs, split_batch
from edgebert.runtime.quality import QualityRow, scored
from edgebert.runtime.session import Outputs, Session
from edgebert.runtime.sessions.onnxruntime import OnnxSession
from edgebert.runtimes import ONNXRUNTIME
from edgebert.strict_json import Json, as_json
from edgebert.tasks.device import Task
from edgebert.tasks.table import device_task
from edgebert.tasks.training import AnyTrainingTask

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LOG = logging.getLogger(__name__)

VERSION = 9
CPU = "CPUExecutionProvider"
GRAPH = ONNXRUNTIME.graph


@dataclass(frozen=True)
class GraphJob:
    """A model folder to export, with the texts to check the graph on."""

    model: Path
    data: TaskData
    run: Run
    settings: ExportSettings

    @property
    def training_task(self) -> AnyTrainingTask:
        """Training side of the task."""
        return self.data.training_task

    @property
    def segments(self) -> int:
        """Number of texts in one input of the graph: as many as in a row, or 1 if the task encodes each alone."""
        return self.data.graph_segments

    def load(self) -> PreTrainedModel:
        """The PyTorch model; copy it before changing it."""
        return self.run.loaded.model(self.model, self.run.task, self.data.label_names)

    def module(self, is_read_only: bool = False) -> InferenceModel | PlainModel:
        """The PyTorch model rewritten for inference. If it is only read, it shares the weights of `load`."""
        model = self.load()
        if not (is_read_only and can_rewrite(model.config)):  # a model that is not rewritten is changed in its order
            model = copy.deepcopy(model)
        return fast_module(model, self.training_task, self.segments, self.run.max_length)

    def task(self) -> Task:
        """The device's task with the model's own tokenizer."""
        return self.data.device_task(self.encoder)

    def windows(self, examples: Sequence[Example]) -> list[Encoded]:
        """Examples as the device encodes them."""
        task = self.task()
        windows: list[Encoded] = []
        for example in examples:
            with example.told():
                windows += task.encode(task.given(example))
        return windows

    def parity_windows(self) -> list[Encoded]:
        """Real sentences to compare graphs on."""
        return self.windows(self.parity_examples())

    def parity_examples(self) -> list[Example]:
        """Rows of the data to compare graphs on."""
        examples = self.data.validation or self.data.train or self.data.unlabelled
        return examples[: self.settings.parity_samples]

    def calibration_windows(self, samples: int) -> list[Encoded]:
        """A seeded sample of the training text."""
        examples = self.data.train or self.data.unlabelled or self.data.validation
        chosen = np.random.default_rng(self.run.seed).permutation(len(examples))[:samples]
        return self.windows([examples[int(at)] for at in chosen])

    def reference(self, windows: Sequence[Encoded]) -> list[Outputs]:
        """Outputs of the PyTorch model."""
        model, kinds = self.load().eval(), self.task().spec.outputs
        return list(torch_outputs(model, windows, self.training_task, kinds, self.pad_id, batch_size=8))

    @cached_property
    def encoder(self) -> TextEncoder:
        """The device's encoder with the model's own tokenizer."""
        return self.run.loaded.encoder(self.model / "tokenizer.json", self.run.max_length)

    @cached_property
    def pad_id(self) -> int:
        """Token id of padding."""
        return int(self.run.loaded.tokenizer(self.model).pad_token_id)


def full_precision_graph(job: GraphJob, kind: str, out: Path) -> StageReport:
    """Write a model's full-precision ONNX graph: `plain` as in transformers, or `fast`, rewritten for inference.

    A family that cannot be rewritten always gets the plain graph; the report says which one it is. `graph_quality`
    measures its quality.

    Raises:
        ParityError: Its outputs differ from the PyTorch model's.
    """
    model, outputs = job.load(), list(job.task().spec.outputs)
    if kind == "fast" and not can_rewrite(model.config):
        LOG.warning("graph: %s layers cannot be rewritten; writing a plain graph", model.config.model_type)
        kind = "plain"
    if kind == "plain":
        # Its modules are put in a steady order; the rewritten graph reads the weights where they are.
        model = copy.deepcopy(model)
        names = export_plain(model, job.training_task, outputs, out / GRAPH)
    else:
        names = export_fast(model, job.training_task, outputs, job.segments, job.run.max_length, out / GRAPH)
    del model  # perhaps a copy of all weights
    give_back((out / GRAPH).stat().st_size)
    windows = job.parity_windows()
    reference = job.reference(windows)
    job.run.loaded.forget_models()
    session = OnnxSession(out / GRAPH, 2, CPU)
    parity = compare_graph(job, session, names, windows, reference)
    require_parity(parity, f"{kind} graph")
    tuned = tuned_head(job, session, names)
    metrics: dict[str, Json] = {"parity": asdict(parity), "head": tuned, "quality": {}}
    metrics["measured_on"] = measured_on()
    if sentence := observed_outputs(job, session, names):
        LOG.warning(sentence)
        metrics["observed"] = sentence
    return StageReport("graph", {"kind": kind, "inputs": names}, metrics)


def graph_quality(job: GraphJob, graph: Path, made: StageReport, out: Path) -> StageReport:
    """Measure the metric of a full-precision graph on the held-out splits.

    Args:
        job: The model and its texts.
        graph: Folder of its graph.
        made: Report of the stage that made it.
        out: The stage's folder; nothing is written to it.
    """
    session = OnnxSession(graph / GRAPH, 2, CPU)
    quality = quality_of(job, session, made.inputs, made.head)
    return StageReport("score", {}, {"quality": as_json(quality), "measured_on": measured_on()})


def observed_outputs(job: GraphJob, session: Session, names: list[str]) -> str:
    """The task's sentence about its outputs for the parity texts; "" if there is nothing to say."""
    task = job.task()
    givens = [task.given(example) for example in job.parity_examples()]
    outputs = (outputs_of(job, session, names, task.encode(given)) for given in givens)
    return job.training_task.observed(task, givens, outputs)


def compare_graph(
    job: GraphJob,
    session: Session,
    names: list[str],
    windows: list[Encoded],
    reference: list[Outputs],
    batch_sizes: Sequence[int] = (1, 8),
) -> Parity:
    """Differences between a graph's outputs and PyTorch's on the same windows."""
    batches = Batches(job.pad_id, batch_sizes)
    return compare(reference, session, names, windows, job.task().spec.outputs, batches)


def outputs_of(
    job: GraphJob, session: Session, names: list[str], windows: Sequence[Encoded], batch_size: int = 1
) -> list[Outputs]:
    """A graph's outputs for each window: alone, or in padded batches with the padding removed."""
    results: list[Outputs] = []
    for at in range(0, len(windows), batch_size):
        batch = windows[at : at + batch_size]
        results += split_batch(session.run(padded_inputs(batch, names, job.pad_id)), batch, job.task().spec.outputs)
    return results


def tuned_head(job: GraphJob, session: Session, names: list[str]) -> dict[str, Json]:
    """Values that the task chooses on the validation split, with this graph."""
    examples = job.data.validation
    if not examples:
        return {}
    model = _model(job, session, names, {})
    expected, _ = gold(model.task, examples)
    return job.training_task.tune(model.task, _answers(model, examples), expected)


def _answers(model: Model, examples: Sequence[Example]) -> Iterator[object]:
    """Predictions for a caller that may not need them: a task with nothing to choose computes none."""
    for example in progress(examples, desc="tune on validation", unit="text"):
        yield model(model.task.given(example))


def quality_of(
    job: GraphJob,
    session: Session,
    names: list[str],
    tuned: Mapping[str, Json],
    splits: Collection[str] = ("validation", "test"),
) -> dict[str, QualityRow]:
    """The metric on labelled held-out splits, computed by the device's code."""
    model = _model(job, session, names, tuned)
    result = {}
    for split, examples in (("validation", job.data.validation), ("test", job.data.test)):
        if examples and split in splits:
            watch = partial(progress, desc=f"score {split}", unit="text")
            result[split] = scored(model, examples, job.run.metric, watch)
    return result


def _model(job: GraphJob, session: Session, names: list[str], tuned: Mapping[str, Json]) -> Model:
    """Open the graph as a bundle would."""
    facts = job.data.facts(tuned, inputs=names, pad_id=job.pad_id)
    return device_task(job.run.task)(facts, job.encoder).model(facts, session)

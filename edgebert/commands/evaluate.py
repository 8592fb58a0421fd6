"""`edgebert evaluate`: a bundle's metric on labelled text."""

from __future__ import annotations

import argparse
from pathlib import Path

import edgebert
from edgebert.commands.output import write, write_json
from edgebert.measure.data import read_rows
from edgebert.measure.quality import evaluate
from edgebert.runtime.model import Model


def run(arguments: argparse.Namespace) -> int:
    """Score a bundle on a labelled file."""
    model: Model = edgebert.load(arguments.bundle, runtime=arguments.runtime, threads=arguments.threads)
    quality = evaluate(model, read_rows(Path(arguments.data), model.manifest), model.manifest["data"]["metric"])
    if arguments.json:
        write_json({"bundle": arguments.bundle, "data": arguments.data, "quality": quality.as_dict()})
    else:
        interval = f"95% {quality.ci_low:.4f} to {quality.ci_high:.4f}"
        write(f"{quality.metric} {quality.value:.4f} ({interval}, {quality.n} texts)")
    return 0

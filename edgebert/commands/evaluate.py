"""`edgebert evaluate`: the metrics of a bundle's task on labelled text."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import edgebert
from edgebert.commands.output import write, write_json
from edgebert.measure.data import read_rows
from edgebert.measure.quality import Quality, about, evaluate_all, shown
from edgebert.runtime.model import Model


def run(arguments: argparse.Namespace) -> int:
    """Score a bundle on a labelled file: the metric it was made for first, then the task's others."""
    model: Model = edgebert.load(arguments.bundle, runtime=arguments.runtime, threads=arguments.threads)
    found = list(evaluate_all(model, read_rows(Path(arguments.data), model.manifest)).values())
    if arguments.json:
        own, *others = (_plain(quality.as_dict()) for quality in found)
        write_json({"bundle": arguments.bundle, "data": arguments.data, "quality": own, "others": others})
        return 0
    for quality in map(Quality.as_dict, found):
        write(f"{quality['metric']} {shown(quality)} ({about(quality)})")
    return 0


def _plain(quality: dict[str, Any]) -> dict[str, Any]:
    """Figures for JSON: null where there are none."""
    return quality | dict.fromkeys(("value", "ci_low", "ci_high")) if quality.get("lacks") else quality

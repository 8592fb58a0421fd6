"""`edgebert evaluate`: a bundle's metric on labelled text."""

from __future__ import annotations

import argparse
from pathlib import Path

import edgebert
from edgebert.commands.output import write, write_json
from edgebert.examples import Columns, read_examples
from edgebert.measure.quality import label_numbers, measure_quality
from edgebert.runtime.classifier import TextClassifier


def run(arguments: argparse.Namespace) -> int:
    """Score a bundle on a labelled file."""
    model: TextClassifier = edgebert.load(arguments.bundle, runtime=arguments.runtime, threads=arguments.threads)
    path = Path(arguments.data)
    examples = read_examples(path, Columns(**model.manifest["data"]["columns"]))
    expected = label_numbers(examples, model.manifest, str(path))
    texts = [row.text if row.text_pair is None else (row.text, row.text_pair) for row in examples]
    # One text at a time, as a device answers: dynamic INT8 scales activations by the whole batch.
    predicted = model.logits(texts, batch_size=1).argmax(1)
    quality = measure_quality(model.manifest["data"]["metric"], expected, predicted)
    if arguments.json:
        write_json({"bundle": arguments.bundle, "data": arguments.data, "quality": quality.as_dict()})
    else:
        interval = f"95% {quality.ci_low:.4f} to {quality.ci_high:.4f}"
        write(f"{quality.metric} {quality.value:.4f} ({interval}, {quality.n} texts)")
    return 0

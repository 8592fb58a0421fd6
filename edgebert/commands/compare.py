"""`edgebert compare`: compare a bundle's outputs with those of the checkpoint it was made from."""

from __future__ import annotations

import argparse
from pathlib import Path

import edgebert
from edgebert.commands.output import named_columns, note, write, write_json
from edgebert.comparing import Comparison, compare, open_checkpoint, own_rows, unlike_source
from edgebert.data.empty import note_of_skipped
from edgebert.data.named import OPTIONS
from edgebert.errors import InputError
from edgebert.escape import shortened
from edgebert.runtime.model import Model
from edgebert.runtime.rows import text_rows


def run(arguments: argparse.Namespace) -> int:
    """Compare, and return 1 if the outputs differ by more than allowed."""
    allowed: float | None = arguments.max_difference
    if allowed is not None and not allowed >= 0:
        raise InputError(f"--max-difference is {allowed:g}; give a number of 0 or more")
    named = named_columns(arguments)
    if not arguments.text:
        named.refuse(tuple(OPTIONS), "no --text is given")
    model: Model = edgebert.load(arguments.bundle, runtime=arguments.runtime, threads=arguments.threads)
    rows = None
    if arguments.text:
        rows = text_rows(Path(arguments.text), model.manifest, named)
        if said := note_of_skipped(Path(arguments.text), rows):
            note(f"edgebert: {said}")
    encoder, source = open_checkpoint(arguments.checkpoint, model)
    if another := unlike_source(arguments.checkpoint, model.manifest):
        note(f"edgebert: {arguments.checkpoint}: {another}")
    found = compare(model, source, rows or own_rows(encoder, model))
    if arguments.json:
        write_json({"bundle": arguments.bundle, "checkpoint": arguments.checkpoint, **found.to_dict()})
    else:
        _show(found, model, arguments.text or "EdgeBERT's own sentences; --text names a file")
    if allowed is not None and not found.largest <= allowed:
        note(f"edgebert: the outputs differ by {found.largest:.3g}, more than --max-difference {allowed:g}")
        return 1
    return 0


def _show(found: Comparison, model: Model, texts: str) -> None:
    write(f"compared: {model!r}")
    write(f"with: {found.source}, FP32, one text at a time")
    split = "" if found.inputs == found.rows else f" ({found.rows} texts or pairs, split as the bundle splits them)"
    write(f"inputs: {found.inputs}{split}, of {texts}")
    if found.other_ids is not None:
        write(f"token ids: the same in {found.inputs - found.other_ids} of {found.inputs}")
    if found.same_labels is not None:
        write(f"most likely output: the same in {found.same_labels:.2%} of inputs")
    if found.distance is not None and found.largest_distance is not None:
        write(f"1 - cosine: {found.distance:.2e} on average, at most {found.largest_distance:.2e}")
    if found.renamed:
        at, ours, theirs = found.renamed[0]
        write(f"labels: {len(found.renamed)} with different names: output {at} is {ours!r} here and {theirs!r} there")
    before = "" if found.distance is not None else " (before any softmax or sigmoid)"
    write(f"outputs{before}: {found.mean:.2e} apart on average, at most {found.largest:.2e}")
    write(f"furthest apart: {found.worst[0]}, {shortened(' '.join(found.worst[1].split()))!r}")

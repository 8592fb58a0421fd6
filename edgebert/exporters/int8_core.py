"""Write the native core's model file of a bundle, with the same guard as for the ONNX graph."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from pathlib import Path

from edgebert.exporters.core import CoreOrder, product_names, write_core
from edgebert.exporters.core_matrices import NotCoveredError
from edgebert.exporters.guarded import Outcome
from edgebert.exporters.quantize.guard import Guard
from edgebert.exporters.writers import Int8Parts
from edgebert.runtime.sessions.core import CoreSession
from edgebert.runtimes import CORE
from edgebert.strict_json import Json
from edgebert.target import ExportChoice

EIGHT_BITS, SEVEN_BITS = 127, 64


def core_int8(parts: Int8Parts, out: Path) -> dict[str, Json]:
    """Write the model file of a full-precision model.

    Args:
        parts: The model, and how its weights are quantized.
        out: The file.

    Returns:
        Values for the manifest: `largest_weight` and, if the recipe has `max_drop`, the `guard`. Or `not_covered`: the
            reason why the core cannot run the model and no file was written.

    Raises:
        NotCoveredError: The core cannot run the model, and the recipe asks for no other format.
        RunError: `settings.max_drop` cannot be held.
    """
    try:
        quantized(parts, (), out)
    except NotCoveredError as error:
        if tuple(parts.job.settings.formats) == (CORE.format,):
            raise NotCoveredError(
                f'the native core cannot run this model: {error}; set export.formats = ["onnx"]'
            ) from None
        return {"not_covered": str(error)}
    made: dict[str, Json] = {"largest_weight": largest_weight(parts.choice)}
    if parts.settings.max_drop is None:
        return made
    outcome = Outcome(parts.job, parts.graph, lambda file: CoreSession(file, 2, (), ()), parts.tuned)
    make = partial(quantized, parts)
    guard = Guard(
        {name: name for name in product_names(parts.job.module(is_read_only=True))},
        make,
        make,
        outcome.quality,
        outcome.error,
        parts.settings.max_drop,
        parts.settings.embeddings == "int8",
    )
    return {**made, "guard": guard.run(parts.graph, out)}


def quantized(parts: Int8Parts, leave: Collection[str], out: Path) -> None:
    """Write a model file with some matrix products in FP32.

    Raises:
        NotCoveredError: The core cannot run the model.
    """
    job = parts.job
    order = CoreOrder(
        first_row_only=job.training_task.rows == "first",
        max_length=job.run.max_length,
        largest=largest_weight(parts.choice),
        leave=leave,
        int8_words=parts.settings.embeddings == "int8",
        # Seven-bit weights are for x86 without VNNI.
        for_avx2=largest_weight(parts.choice) == SEVEN_BITS,
    )
    write_core(job.module(is_read_only=True), order, out)


def largest_weight(choice: ExportChoice) -> int:
    """Largest INT8 weight: that of the ONNX graph if its weights are signed."""
    return SEVEN_BITS if choice.reduce_range and choice.weight_type == "int8" else EIGHT_BITS

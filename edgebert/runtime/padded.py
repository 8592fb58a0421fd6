"""Batches as numpy arrays padded to one length, for sessions that need padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgebert.errors import BundleError, TextError
from edgebert.runtime.encode import Encoded
from edgebert.runtime.session import Ids, Outputs


def padded_inputs(encoded: Sequence[Encoded], names: Sequence[str], pad_id: int = 0) -> dict[str, Ids]:
    """Arrays of one batch, padded to its longest text. *Shape* of each: (batch, longest), int64.

    Raises:
        TextError: The batch is empty, or a text in it has no token: its row would be all padding.
    """
    if not encoded:
        raise TextError("the batch holds no text; give at least one")
    for row, item in enumerate(encoded, 1):
        if not item.ids:
            raise TextError(f"text {row} of a batch of {len(encoded)} has no token; give at least one word")
    shape = (len(encoded), max(len(item.ids) for item in encoded))
    arrays = {name: np.zeros(shape, dtype=np.int64) for name in names}
    if pad_id:
        arrays["input_ids"][:] = pad_id
    for row, item in enumerate(encoded):
        length = len(item.ids)
        arrays["input_ids"][row, :length] = _ids(item, item.ids)
        arrays["attention_mask"][row, :length] = 1
        if "token_type_ids" in arrays:
            arrays["token_type_ids"][row, :length] = _ids(item, item.type_ids)
    return arrays


def split_batch(outputs: Outputs, windows: Sequence[Encoded], kinds: Mapping[str, bool]) -> list[Outputs]:
    """Split a batch's outputs into one tuple per window.

    Args:
        outputs: Arrays of the graph, the batch axis first.
        windows: The windows of the batch.
        kinds: The task's outputs in order, and whether each has one row per token; padding's rows are dropped.
    """
    per_token = list(kinds.values())
    return [
        tuple(
            output[at, : len(window.ids)] if rows else output[at]
            for output, rows in zip(outputs, per_token, strict=True)
        )
        for at, window in enumerate(windows)
    ]


def check_shapes(
    outputs: Outputs, windows: Sequence[Encoded], kinds: Mapping[str, bool], widths: Sequence[int | None]
) -> None:
    """Refuse outputs that the task cannot read: a graph may return other shapes and types than it declares.

    Args:
        outputs: Arrays of the graph, the batch axis first.
        windows: The windows of the batch.
        kinds: The task's outputs in order, and whether each has one row per token.
        widths: Columns of each output; None for any number.

    Raises:
        BundleError: Names the output.
    """
    for name, output in zip(kinds, outputs, strict=True):
        if not isinstance(output, np.ndarray) or output.dtype.kind != "f":
            kind = output.dtype if isinstance(output, np.ndarray) else type(output).__name__
            raise BundleError(
                f"the graph returns {name} as {kind}; its task reads floating-point numbers; export the bundle again"
            )
    longest = max(len(window.ids) for window in windows)
    for (name, per_token), output, width in zip(kinds.items(), outputs, widths, strict=True):
        axes = 2 if per_token else 1
        rows, rest = output.shape[:axes], output.shape[axes:]
        whole = len(rows) == axes and rows[0] == len(windows) and (not per_token or rows[1] >= longest)
        if not whole or len(rest) > 1 or (width is not None and rest != (width,)):
            raise BundleError(
                f"the graph returns {name} in the shape {output.shape} for {len(windows)} text(s) of up to {longest} "
                "tokens, which its task cannot read; export the bundle again"
            )


def padded_to_bucket(inputs: Mapping[str, Ids], buckets: Sequence[int]) -> dict[str, Ids]:
    """Pad a batch to the shortest bucket that fits; leave it unchanged if none does."""
    length = next(iter(inputs.values())).shape[1]
    padding = next((bucket for bucket in buckets if bucket >= length), length) - length
    return {name: np.pad(value, ((0, 0), (0, padding))) for name, value in inputs.items()}


def check_rows(inputs: Mapping[str, Ids]) -> None:
    """Refuse a batch with a row of only padding.

    ONNX Runtime's MultiHeadAttention ignores the mask for such a row, and ONNX's own Attention returns zeros.

    Raises:
        TextError: Names the row.
    """
    mask = inputs.get("attention_mask")
    # Texts are padded on the right, so that the first column is enough for nearly every batch.
    if mask is None or (mask.size and mask[:, 0].all()):
        return
    empty = np.flatnonzero(mask.sum(axis=1) == 0)
    if empty.size or not mask.size:
        row = f"row {empty[0] + 1}" if empty.size else "every row"
        raise TextError(f"{row} of a batch of {len(mask)} is all padding; give each text at least one token")


def _ids(item: Encoded, numbers: Sequence[int]) -> Ids:
    """Token ids or segments of one text as an array.

    Raises:
        TextError: A value is negative or not a whole number, or the count differs from the number of tokens.
    """
    try:
        found = np.asarray(numbers)
        whole = found.dtype.kind == "i" and found.shape == (len(item.ids),) and found.min() >= 0
    except (TypeError, ValueError):
        whole = False
    if not whole:
        raise TextError(f"{item!r:.80} is no encoded text: each token needs an id and a segment, numbers from 0")
    return found


def int32(values: Ids) -> NDArray[np.int32]:
    """Convert ids to 32 bits; values that do not fit become an id that no table has."""
    return np.ascontiguousarray(np.clip(values, -1, np.iinfo(np.int32).max), np.int32)


def padded(values: memoryview[float], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Pad rows of tokens to a batch; padding's rows are zeros."""
    rows = np.asarray(values)
    found = np.zeros((*mask.shape, *rows.shape[1:]), np.float32)
    found[mask] = rows
    return found

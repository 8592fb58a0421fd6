"""Check on real sentences that an exported graph has the same outputs as the PyTorch model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgebert.errors import ParityError
from edgebert.runtime.encode import Encoded
from edgebert.runtime.padded import padded_inputs, split_batch
from edgebert.runtime.session import Outputs, Session

# Relative to the largest output if it is above 1, since FP32's own rounding is relative to that.
FP32_TOLERANCE = 1e-5
# For two graphs whose INT8 values are almost the same.
SAME_ERROR = 1e-6


@dataclass(frozen=True)
class Parity:
    """Largest difference of any output, and the share of windows with the same most likely labels.

    `largest` is the largest magnitude in the reference's outputs.
    """

    max_difference: float
    agreement: float
    texts: int
    largest: float


@dataclass(frozen=True)
class Batches:
    """How windows are batched, and the padding token's id."""

    pad_id: int = 0
    sizes: Sequence[int] = (1, 8)


ALONE_AND_PADDED = Batches()


def compare(
    reference: Sequence[Outputs],
    session: Session,
    names: Sequence[str],
    windows: Sequence[Encoded],
    kinds: Mapping[str, bool],
    batches: Batches = ALONE_AND_PADDED,
) -> Parity:
    """Run every window in batches of every size (alone, and in padded batches of eight), and return the worst result.

    Args:
        reference: Outputs of the PyTorch model for every window.
        session: The graph.
        names: Its inputs.
        windows: Real sentences.
        kinds: The task's outputs, and whether each has one row per token.
        batches: Batch sizes, and how windows are padded.
    """
    largest = max(float(np.abs(output).max()) for outputs in reference for output in outputs)
    parities = []
    for batch_size in batches.sizes:
        outputs: list[Outputs] = []
        for start in range(0, len(windows), batch_size):
            chunk = windows[start : start + batch_size]
            outputs += split_batch(session.run(padded_inputs(chunk, names, batches.pad_id)), chunk, kinds)
        pairs = list(zip(outputs, reference, strict=True))
        same = float(np.mean([_agree(ours, theirs) for ours, theirs in pairs]))
        parities.append((max(_difference(ours, theirs) for ours, theirs in pairs), same))
    differences, agreements = zip(*parities, strict=True)
    return Parity(max(differences), min(agreements), len(windows), largest)


def relative_error(reference: Sequence[Outputs], outputs: Sequence[Outputs]) -> float:
    """Sum of squared differences over the sum of squares, averaged over a graph's outputs; 0 if all are equal.

    *Shape* of every output and its reference: the same.
    """
    shares = []
    for ours, theirs in zip(zip(*outputs, strict=True), zip(*reference, strict=True), strict=True):
        lost = sum(float(np.square(a - b, dtype=np.float64).sum()) for a, b in zip(ours, theirs, strict=True))
        shares.append(lost / sum(float(np.square(b, dtype=np.float64).sum()) for b in theirs))
    return float(np.mean(shares))


def _difference(ours: Outputs, theirs: Outputs) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))


def _agree(ours: Outputs, theirs: Outputs) -> bool:
    """Whether the largest value of every row is at the same position."""
    return all(bool((a.argmax(-1) == b.argmax(-1)).all()) for a, b in zip(ours, theirs, strict=True))


def require_parity(parity: Parity, graph: str) -> None:
    """Refuse a full-precision graph whose outputs differ.

    Raises:
        ParityError: Its outputs differ by more than 1e-5, or than 1e-5 of the largest output.
    """
    allowed = FP32_TOLERANCE * max(1.0, parity.largest)
    if not parity.max_difference <= allowed:
        raise ParityError(
            f"{graph}: outputs differ from PyTorch's by {parity.max_difference:.2e} on {parity.texts} texts, more than "
            f"{allowed:.0e}; the graph is not exported. {_remedy(graph)}"
        )


def _remedy(graph: str) -> str:
    """Suggest a remedy for a graph that differs from PyTorch."""
    if graph == "plain graph":
        return "It is as PyTorch wrote it: report the model's config.json and the output of edgebert doctor"
    return 'Try export.graph = "plain" (--set export.graph=plain)'


def require_same(reference: Sequence[Outputs], masked: Sequence[Outputs], unpadded: Sequence[Outputs]) -> None:
    """Refuse a graph without a mask that differs from the one with a mask by more than INT8 differs from PyTorch.

    The two differ only in FP32's last bits, but a value midway between two INT8 steps may then be rounded to either.

    Raises:
        ParityError: It differs by more.
    """
    error, allowed = relative_error(masked, unpadded), max(SAME_ERROR, relative_error(reference, masked))
    if not error <= allowed:
        raise ParityError(
            f"graph without a mask: outputs differ from those of the graph with one by {error:.1e} of their size "
            f'(squared), more than {allowed:.0e}; it is not exported. Try export.graph = "plain"'
        )

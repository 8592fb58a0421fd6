"""Does an exported graph answer what the PyTorch model answers? Checked on real sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from edgebert.compress.data import pad_batch
from edgebert.errors import ParityError
from edgebert.runtime.classifier import padded_inputs
from edgebert.runtime.encode import Encoded
from edgebert.runtime.session import Logits, Session

FP32_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Parity:
    """Largest difference of logits, and the share of texts that got the same label."""

    max_difference: float
    agreement: float
    texts: int


def reference_logits(model: Any, rows: Sequence[Encoded], batch_size: int = 8) -> Logits:  # noqa: ANN401
    """Logits of the PyTorch model, in batches padded as they come. *Shape*: (texts, labels)."""
    model.eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(rows), batch_size):
            chunk = rows[start : start + batch_size]
            items = [{"input_ids": row.ids, "token_type_ids": row.type_ids, "labels": 0} for row in chunk]
            batch = {name: value for name, value in pad_batch(items).items() if name != "labels"}
            parts.append(model(**batch).logits.float().numpy())
    return np.concatenate(parts)


def compare(reference: Logits, session: Session, names: Sequence[str], rows: Sequence[Encoded]) -> Parity:
    """Run every text twice, alone and in padded batches of eight, and take the worse."""
    parities = []
    for batch_size in (1, 8):
        chunks = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
        logits = np.concatenate([session.run(padded_inputs(chunk, names)) for chunk in chunks])
        same = float((logits.argmax(1) == reference.argmax(1)).mean())
        parities.append(Parity(float(np.abs(logits - reference).max()), same, len(rows)))
    return Parity(
        max(parity.max_difference for parity in parities), min(parity.agreement for parity in parities), len(rows)
    )


def require_parity(parity: Parity, graph: str) -> None:
    """Refuse a full-precision graph that differs.

    Raises:
        ParityError: The logits differ by more than 1e-4.
    """
    if not parity.max_difference <= FP32_TOLERANCE:
        raise ParityError(
            f"{graph}: logits differ from PyTorch's by {parity.max_difference:.2e} on {parity.texts} texts, more than "
            f'{FP32_TOLERANCE:.0e}; the graph is not exported. Try export.graph = "plain"'
        )

"""Metrics over entities in numpy, for the device; tests compare them with seqeval.

Predictions and correct answers are BIO tags, one tuple per text, or (intent, tags).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgebert.data.tags import spans
from edgebert.metrics.scores import Metric, Table

Tags = tuple[str, ...]
Frame = tuple[str, Tags]

FOUND, PREDICTED, EXPECTED, INTENT, WHOLE = range(5)


def entity_table(expected: Sequence[Tags], predicted: Sequence[Tags]) -> Table:
    """Correctly found, predicted and expected entities. *Shape*: (texts, 3)."""
    return np.array([_counts(*pair) for pair in zip(expected, predicted, strict=True)], dtype=np.float64)


def frame_table(expected: Sequence[Frame], predicted: Sequence[Frame]) -> Table:
    """The three counts, whether the intent is correct, and whether the whole frame is. *Shape*: (texts, 5)."""
    rows = []
    for (intent, tags), (predicted_intent, predicted_tags) in zip(expected, predicted, strict=True):
        found, given, wanted = _counts(tags, predicted_tags)
        right = intent == predicted_intent
        rows.append((found, given, wanted, right, right and found == given == wanted))
    return np.array(rows, dtype=np.float64)


def _counts(expected: Tags, predicted: Tags) -> tuple[int, int, int]:
    wanted, given = set(spans(expected)), set(spans(predicted))
    return len(wanted & given), len(given), len(wanted)


def _f1(table: Table) -> float:
    """Micro F1 over all entities; 0 if there are none."""
    total = float(table[:, PREDICTED].sum() + table[:, EXPECTED].sum())
    return 2 * float(table[:, FOUND].sum()) / total if total else 0.0


def _share_found(of: int) -> Callable[[Table], float]:
    def figure(table: Table) -> float:
        total = float(table[:, of].sum())
        return float(table[:, FOUND].sum()) / total if total else 0.0

    return figure


def _lacks(*counted: int) -> Callable[[Table], str]:
    """Say that texts lack entities: F1 is undefined without any, but 0 if only wrong ones were predicted."""
    return lambda table: "" if table[:, list(counted)].any() else "an entity"


def _mean(column: int) -> Callable[[Table], float]:
    return lambda table: float(table[:, column].mean())


def _intent_slots(table: Table) -> float:
    """Mean of intent accuracy and slot F1, so that neither is traded for the other."""
    return (float(table[:, INTENT].mean()) + _f1(table)) / 2


ENTITY_METRICS: dict[str, Metric] = {
    "entity_f1": Metric(entity_table, _f1, lacks=_lacks(PREDICTED, EXPECTED)),
    "entity_precision": Metric(entity_table, _share_found(PREDICTED), lacks=_lacks(PREDICTED)),
    "entity_recall": Metric(entity_table, _share_found(EXPECTED), lacks=_lacks(EXPECTED)),
}
FRAME_METRICS: dict[str, Metric] = {
    "intent_slots": Metric(frame_table, _intent_slots, lacks=_lacks(PREDICTED, EXPECTED)),
    "intent_accuracy": Metric(frame_table, _mean(INTENT), right=INTENT),
    "slot_f1": Metric(frame_table, _f1, lacks=_lacks(PREDICTED, EXPECTED)),
    "exact_match": Metric(frame_table, _mean(WHOLE), right=WHOLE),
}

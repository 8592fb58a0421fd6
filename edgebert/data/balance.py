"""How evenly the rows of a training file are spread over its labels. Standard library only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from edgebert.data.examples import listed

# A label with fewer rows can hardly be learnt with any settings.
FEW_ROWS = 5
# Minimum ratio of the most frequent label's rows to the rarest label's.
UNEVEN = 10
SHOWN = 5
REMEDY = "add rows of the rare labels, and look at each label in evaluate --by-label"


def count_labels(rows: Iterable[Iterable[str]], labels: Sequence[str]) -> dict[str, int]:
    """Number of rows with each label, most frequent first.

    Args:
        rows: Labels of each row.
        labels: Labels that the model has; a label without rows counts 0.
    """
    counts = Counter(dict.fromkeys(labels, 0))
    for row in rows:
        counts.update(set(row))
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


def entropy(counts: Collection[int]) -> float:
    """Entropy of a distribution given by counts, in nats; 0 without counts."""
    total = sum(counts)
    return -sum(count / total * math.log(count / total) for count in counts if count)


def imbalance(counts: dict[str, int]) -> str:
    """Say in one sentence which labels have few rows, or far fewer than others; "" if none.

    Args:
        counts: Rows that hold each label, most frequent first.
    """
    if len(counts) < 2:
        return ""
    (common, most), *_, (rare, least) = counts.items()
    few = [f"{label!r:.60} ({count})" for label, count in reversed(counts.items()) if count < FEW_ROWS]
    parts = [f"label {common!r:.60} has {_rows(most)}, {rare!r:.60} has {least}"] if most >= UNEVEN * least else []
    if few:
        have = "1 label has" if len(few) == 1 else f"{len(few)} labels have"
        parts.append(f"{have} fewer than {FEW_ROWS} rows: {listed(few, SHOWN)}")
    return f"{'; '.join(parts)}; {REMEDY}" if parts else ""


def _rows(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"

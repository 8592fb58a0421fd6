"""Split validation rows off the training rows, if a recipe names no validation file. Standard library only."""

from __future__ import annotations

import random
from collections.abc import Sequence

from edgebert.data.examples import Example
from edgebert.errors import DataError

# Fewer validation rows say little about a model; at most half of the rows are split off to reach this number.
WANTED_ROWS = 50
MIN_ROWS = 10


def hold_out(
    rows: Sequence[Example], strata: Sequence[str], share: float, seed: int
) -> tuple[list[Example], list[Example]]:
    """Split off a share of the rows; the same rows, share and seed always give the same split.

    The split is stratified by label. Rows with the same text stay together, so that no validation text is trained on. A
    label with a single text stays in training.

    Args:
        rows: The training rows.
        strata: Label of each row; "" for a task without labels.
        share: Share of the texts to split off. With fewer than 500 texts it is raised, to at most 50 texts or half of
            them.
        seed: Chooses the texts.

    Returns:
        The rows to train on and the rows to validate on, both in the order of the file.

    Raises:
        DataError: Fewer than 10 rows can be split off.
    """
    label_of: dict[str, str] = {}
    for row, label in zip(rows, strata, strict=True):
        label_of.setdefault(row.text, label)
    texts_of: dict[str, list[str]] = {}
    for text, label in label_of.items():
        texts_of.setdefault(label, []).append(text)
    share = max(share, min(0.5, WANTED_ROWS / len(label_of)))
    chosen: set[str] = set()
    random_, passed = random.Random(seed), 0
    for _, texts in sorted(texts_of.items()):
        if len(texts) > 1:
            random_.shuffle(texts)
            # Counted over all labels together, so that rare labels together contribute their share too.
            numbers = range(passed, passed + len(texts))
            chosen |= {text for at, text in zip(numbers, texts, strict=True) if int((at + 1) * share) > int(at * share)}
            passed += len(texts)
    held = [row for row in rows if row.text in chosen]
    if len(held) < MIN_ROWS:
        raise DataError(
            f"{rows[0].source}: {len(rows)} rows of {len(label_of)} different texts are too few to cut validation rows "
            "from; name a file in data.validation, or give more rows"
        )
    return [row for row in rows if row.text not in chosen], held

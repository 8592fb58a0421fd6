"""Labels of the training data, in the order of the head's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from edgebert.data.examples import Example

HEAD_REMEDY = "map them in [data.label_names], or set finetune.when to always"


@dataclass(frozen=True)
class Labels:
    """Label values as they stand in the files, the names shown for them, and what else the device must know.

    Both lists are in the order of the head's outputs; `extra` goes into the manifest's `head`, `config` into the
    model's config, for what a head is made from beside the labels.
    """

    values: list[str]
    names: list[str]
    extra: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)


def seen_labels(rows: Sequence[Example]) -> list[str]:
    """Labels of the rows, sorted, each once."""
    return sorted({row.label for row in rows if row.label is not None})

"""Labels of the training data, in the order of the head's outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgebert.data.examples import Example
from edgebert.strict_json import Json

# Before the number of an output, as a key of `data.label_names`.
NUMBER = "#"
HEAD_REMEDY = "map them in [data.label_names], or set finetune.when to always"


@dataclass(frozen=True)
class Labels:
    """Label values as they stand in the files, the names shown for them, and what else the device must know.

    Both lists are in the order of the head's outputs; `extra` goes into the manifest's `head`, `config` into the
    model's config, for what a head is made from beside the labels.
    """

    values: list[str]
    names: list[str]
    extra: Mapping[str, Json] = field(default_factory=dict)
    config: Mapping[str, Json] = field(default_factory=dict)


def seen_labels(rows: Sequence[Example]) -> list[str]:
    """Labels of the rows, sorted, each once."""
    return sorted({row.label for row in rows if row.label is not None})


def by_number(names: Sequence[str]) -> dict[str, str]:
    """Names of all outputs as `data.label_names`, whatever the head calls them."""
    return {f"{NUMBER}{number}": name for number, name in enumerate(names)}


def names_by_number(label_names: Mapping[str, str]) -> list[str]:
    """Names of all outputs in order, if `by_number` made them; else none."""
    names = list(label_names.values())
    return names if names and label_names == by_number(names) else []


def with_own_values(labels: Labels, own: Sequence[str]) -> Labels:
    """Labels of outputs that were named by their numbers: files may hold the head's own names, if these are clear."""
    numbers = {name: number for number, name in enumerate(labels.names)}
    are_clear = len(set(own)) == len(own) and all(numbers.get(name, at) == at for at, name in enumerate(own))
    return replace(labels, values=list(own)) if are_clear else labels

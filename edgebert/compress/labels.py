"""Labels of the training data, in the order of the head's outputs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgebert.data.examples import Example
from edgebert.errors import SettingsError
from edgebert.strict_json import Json

# Prefix of an output's number in a key of `data.label_names`.
NUMBER = "#"
BY_NUMBER = re.compile(NUMBER + r"(?:0|[1-9]\d{0,8})", re.ASCII)
HEAD_REMEDY = "map them in [data.label_names], or set finetune.when to always"


@dataclass(frozen=True)
class Labels:
    """Label values in the files, the names shown for them, and other values that the device needs.

    Both lists are in the order of the head's outputs; `extra` goes into the manifest's `head`. `config` goes into the
    model's config and holds what defines a head besides the labels.
    """

    values: list[str]
    names: list[str]
    extra: Mapping[str, Json] = field(default_factory=dict)
    config: Mapping[str, Json] = field(default_factory=dict)


def seen_labels(rows: Sequence[Example]) -> list[str]:
    """Distinct labels of the rows, sorted."""
    return sorted({row.label for row in rows if row.label is not None})


def by_number(names: Sequence[str]) -> dict[str, str]:
    """Names of all outputs from `data.label_names`, whatever the head calls them."""
    return {f"{NUMBER}{number}": name for number, name in enumerate(names)}


def names_by_number(label_names: Mapping[str, str], head: Sequence[str]) -> list[str]:
    """Names of a head's outputs if `label_names` uses output numbers as keys; empty if it uses labels.

    Raises:
        SettingsError: The head does not have a number, names and numbers are mixed, or two outputs get one name.
    """
    numbers = {key: int(key[1:]) for key in label_names if BY_NUMBER.fullmatch(key)}
    if not numbers:
        return []
    label = next((key for key in label_names if key not in numbers), None)
    if label is not None:
        raise SettingsError(
            f"data.label_names has the number {next(iter(numbers))!r} and the label {label!r:.40}; name outputs by "
            "their numbers, or the labels of files, not both"
        )
    names = list(head)
    for key, number in numbers.items():
        if number >= len(head):
            raise SettingsError(
                f"data.label_names (--labels) names output {key!r:.40}, but the head has {len(head)} outputs, "
                f"{NUMBER}0 to {NUMBER}{len(head) - 1}"
            )
        names[number] = label_names[key]
    for number in numbers.values():
        if names.count(names[number]) > 1:
            raise SettingsError(
                f"data.label_names (--labels) names output {number} {names[number]!r:.40}, which is another output's "
                f"name; give each its own name"
            )
    return names


def with_own_values(labels: Labels, own: Sequence[str]) -> Labels:
    """Labels of outputs that were named by number; files may use the head's own names if they are unambiguous."""
    numbers = {name: number for number, name in enumerate(labels.names)}
    are_clear = len(set(own)) == len(own) and all(numbers.get(name, at) == at for at, name in enumerate(own))
    return replace(labels, values=list(own)) if are_clear else labels

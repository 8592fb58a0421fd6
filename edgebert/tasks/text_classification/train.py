"""Text classification: softmax over labels, from the [CLS] row."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebert.compress import arch, losses, metrics
from edgebert.compress.batch import Item
from edgebert.compress.labels import HEAD_REMEDY, NUMBER, Labels, seen_labels
from edgebert.compress.optimum_tables import model_class_for
from edgebert.data.balance import count_labels, entropy
from edgebert.data.examples import Example, listed
from edgebert.errors import DataError
from edgebert.escape import escaped
from edgebert.recipe import DataSettings
from edgebert.runtime.encode import Encoded
from edgebert.tasks.text_classification.predict import TextClassification
from edgebert.tasks.text_classification.spec import Settings
from edgebert.tasks.training import ModelClass, Rows, TrainingTask

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel
    from transformers.utils import ModelOutput


class TextClassificationTraining(TrainingTask[Settings, TextClassification]):
    """Softmax over the labels."""

    rows: Rows = "first"

    def score(self, metric: str, expected: Sequence[int], predicted: Sequence[int]) -> float:
        """Metric of label numbers, by scikit-learn."""
        return metrics.score(metric, expected, predicted)

    def read_labels(
        self, data: DataSettings, splits: Mapping[str, list[Example]], folder: Path, head: list[str] | None
    ) -> Labels:
        """Labels in the files, in the order of the head's outputs.

        Raises:
            DataError: There is only one label, or the kept head has none of the files' labels.
        """
        if head is not None and len(head) == 1:
            raise DataError(
                f"the checkpoint's head has one output ({head[0]}), which is always the most likely; for its score "
                'use --task regression, or task = "regression" in the recipe; or set finetune.when to always'
            )
        return labels_of(data, splits, folder, head)

    def label_counts(self, rows: Sequence[Example], labels: Labels) -> dict[str, int]:
        """Number of rows with each label, as spelled in the file."""
        return count_labels(([row.label] for row in rows if row.label is not None), labels.values)

    def guess_loss(self, rows: Sequence[Example], labels: Labels) -> float | None:
        """Entropy of the labels, in nats."""
        return entropy(self.label_counts(rows, labels).values())

    def stratum(self, example: Example) -> str:
        """The row's label."""
        return str(example.label or "")

    def model_class(self, config: PreTrainedConfig) -> ModelClass:
        """The family's class for sequence classification."""
        config.problem_type = "single_label_classification"
        return model_class_for("text-classification", config.model_type)

    def outputs(self, result: ModelOutput) -> tuple[Tensor, ...]:
        """Logits. *Shape*: (batch, labels)."""
        return (result.logits,)

    def targets(self, task: TextClassification, example: Example, windows: Sequence[Encoded]) -> list[Item]:
        """Number of the label, -100 if there is none."""
        return [{"labels": -100 if example.label is None else task.expected(example)}]

    def hard_loss(self, ours: tuple[Tensor, ...], batch: dict[str, Tensor]) -> Tensor:
        """Cross-entropy (Devlin et al. 2019, arXiv:1810.04805, section 4.1); 0 for a batch without labels."""
        if not bool((batch["labels"] >= 0).any()):
            return ours[0].new_zeros(())
        return functional.cross_entropy(ours[0], batch["labels"], ignore_index=-100)

    def soft_loss(
        self, ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], batch: dict[str, Tensor], temperature: float
    ) -> Tensor:
        """Divergence from the teacher's softened labels."""
        return losses.soft_target(ours[0], theirs[0], temperature)

    def head(self, model: PreTrainedModel) -> nn.Module:
        """The family's head for sequence classification, over the [CLS] row."""
        return pooled_head(model)


def labels_of(data: DataSettings, splits: Mapping[str, list[Example]], folder: Path, head: list[str] | None) -> Labels:
    """Labels in the files, in the order of the head's outputs, however many.

    Raises:
        DataError: As `read_labels`.
    """
    if head is not None:
        return _labels_of_head(data, splits, head)
    return _trained_labels(data, seen_labels(splits["train"]), folder / data.train)


class PooledHead(nn.Module):
    """Dense layer, activation, linear layer over the first row."""

    def __init__(
        self, pooler: nn.Module, classifier: nn.Module, activation: Callable[[Tensor], Tensor] = torch.tanh
    ) -> None:
        """Use a model's layers."""
        super().__init__()
        self.pooler, self.classifier, self.activation = pooler, classifier, activation

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """Logits. *Shape*: (batch, labels)."""
        logits: Tensor = self.classifier(self.activation(self.pooler(hidden[:, :1])))
        return (logits.squeeze(1),)


def pooled_head(model: PreTrainedModel) -> PooledHead:
    """The family's head for sequence classification, over the [CLS] row."""
    parts = arch.sequence_head(model)
    return PooledHead(parts.dense, parts.out, parts.activation)


def _trained_labels(data: DataSettings, seen: list[str], train: Path) -> Labels:
    """Labels of a head that will be trained: the recipe's, else those of the training file."""
    names = data.label_names
    values = list(names) if names else seen
    if len(names) == 1:
        raise DataError(f"data.label_names has one label, {values[0]!r:.40}; name every label, or leave it out")
    if len(values) == 1:
        raise DataError(f"{train}: only one label, {values[0]!r}; expected at least two")
    return Labels(values, [names.get(value, value) for value in values])


def _labels_of_head(data: DataSettings, splits: Mapping[str, list[Example]], head: list[str]) -> Labels:
    """Labels of a head that is kept, renamed as in the recipe, and their spelling in the files.

    Files may use the keys of `data.label_names`, the shown names, the head's own names, or the outputs' numbers. The
    form that is most frequent in the training file is used, or else in the other files.
    """
    values, shown = list(head), list(head)
    named: dict[int, str] = {}
    for value, name in data.label_names.items():
        output = _output(value, name, head)
        if output in named:
            raise DataError(
                f"data.label_names: {named[output]!r} and {value!r} both name output {output} of the head "
                f"({head[output]!r}); name it once"
            )
        named[output] = values[output] = value
        shown[output] = name
        if value in head and head.index(value) != output:
            _say_mapped(value, name, output)
    spellings = (values, shown, head, [str(number) for number in range(len(head))])
    trained = [row.label for row in splits["train"]]
    rows = [row for rows in splits.values() for row in rows]

    def held(known: list[str]) -> tuple[int, int]:
        names = set(known)
        return sum(label in names for label in trained), sum(row.label in names for row in rows)

    spelled = max(spellings, key=held)
    if rows and held(spelled) == (0, 0):
        names = listed(sorted({f"{row.label!r:.60}" for row in rows}))
        raise DataError(
            f"{rows[0].place}: no label of the files ({names}) is among the {len(head)} of the head "
            f"({_listed(values)}); {HEAD_REMEDY}"
        )
    if spelled is spellings[-1] and spelled not in spellings[:-1]:
        _say_numbers(rows, shown)
    return Labels(spelled, shown)


def _say_mapped(value: str, name: str, output: int) -> None:
    """Report a label of the files that is mapped to another output than the one with this name in the head."""
    said = (
        f"edgebert: data.label_names: {value!r:.40} in the data files is mapped to output {output} of the head, "
        f'{name!r:.40}; to rename outputs, name them by number: {{ "{NUMBER}{output}" = ... }}'
    )
    sys.stderr.write(escaped(said) + "\n")


def _say_numbers(rows: Sequence[Example], shown: Sequence[str]) -> None:
    """Report which outputs the numbers in the files stand for, unless the head has no names either.

    Raises:
        DataError: A name contains the number of another output, so the file may mean that one.
    """
    if all(name == f"LABEL_{number}" for number, name in enumerate(shown)):
        return
    seen = {row.label: row.place for row in rows if row.label is not None}
    for number, name in enumerate(shown):
        for other in re.findall(r"\b\d+\b", name):
            if other in seen and other != str(number):
                raise DataError(
                    f"{seen[other]}: label {other!r} is the number of output {other} of the head, but the name of "
                    f"output {number} ({name!r}) contains it; state the mapping in [data.label_names]"
                )
    taken = ", ".join(f"{number} = {name!r:.40}" for number, name in list(enumerate(shown))[:6])
    more = ", ..." if len(shown) > 6 else ""
    said = f"edgebert: numbers in the data files are mapped to the head's outputs: {taken}{more}"
    sys.stderr.write(escaped(said) + "\n")


def _output(value: str, name: str, head: list[str]) -> int:
    """Output that an entry of `data.label_names` refers to: by shown name, by the head's name, or by number."""
    if name in head:
        return head.index(name)
    if value in head:
        return head.index(value)
    if value.isdecimal() and int(value) < len(head):
        return int(value)
    raise DataError(
        f"data.label_names: {value!r} = {name!r} matches no output of the checkpoint's head ({_listed(head)}); "
        f"give one of these names, or a number from 0 to {len(head) - 1}, as the key"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")

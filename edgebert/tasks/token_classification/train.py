"""Token classification: softmax over tags, from the row of each word's first token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional

from edgebert.compress import arch, losses
from edgebert.compress.batch import Item
from edgebert.compress.head_tags import check_scheme, written_plainly
from edgebert.compress.labels import Labels
from edgebert.compress.optimum_tables import model_class_for
from edgebert.data.balance import count_labels
from edgebert.data.examples import Example
from edgebert.data.tags import OUTSIDE, tag_set, types_of
from edgebert.data.words import Words
from edgebert.errors import DataError
from edgebert.metrics.entities import Tags
from edgebert.recipe import DataSettings
from edgebert.runtime.encode import Encoded
from edgebert.runtime.session import Outputs
from edgebert.runtime.tagging import Settings, Tagger
from edgebert.tasks.token_classification.predict import TokenClassification
from edgebert.tasks.training import ModelClass, Rows, TrainingTask

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel
    from transformers.utils import ModelOutput

UNREAD, UNKNOWN = -100, -1


class TokenClassificationTraining(TrainingTask[Settings, TokenClassification]):
    """Softmax over the tags, at the first token of every word."""

    rows: Rows = "all"

    def score(self, metric: str, expected: Sequence[Tags], predicted: Sequence[Tags]) -> float:
        """Micro-averaged metric of BIO tags, one tuple per text, with seqeval; 0 for a division by zero."""
        from seqeval.metrics import f1_score, precision_score, recall_score  # imports scikit-learn: two seconds

        scores = {"entity_f1": f1_score, "entity_precision": precision_score, "entity_recall": recall_score}
        lists = [[list(tags) for tags in texts] for texts in (expected, predicted)]
        return float(scores[metric](*lists, zero_division=0))

    def read_labels(
        self, data: DataSettings, splits: Mapping[str, list[Example]], folder: Path, head: list[str] | None
    ) -> Labels:
        """Every tag of the types in the training file, or the tags of the checkpoint's head.

        `data.label_names` names types: { type in the files = type shown }, in the order of the head's outputs.

        Raises:
            DataError: A row has no tags, there are no entities, or the head's tags are not in the scheme.
        """
        check_labelled(splits)
        train = folder / data.train
        if head is None:
            types = entity_types([row.label for row in splits["train"]], train, list(data.label_names))
            return Labels(
                tag_set(types, self.settings.scheme),
                tag_set([data.label_names.get(kind, kind) for kind in types], self.settings.scheme),
            )
        return _labels_of_head(data, head, self.settings)

    def label_counts(self, rows: Sequence[Example], labels: Labels) -> dict[str, int]:
        """Number of rows with an entity of each type, as spelled in the file."""
        return count_labels((types_of(row.label or ()) for row in rows), types_of(labels.values))

    def model_class(self, config: PreTrainedConfig) -> ModelClass:
        """The family's class for token classification."""
        # A head for whole texts has the same parameters, so this entry tells the two apart.
        config.problem_type = None
        return model_class_for("token-classification", config.model_type)

    def outputs(self, result: ModelOutput) -> tuple[Tensor, ...]:
        """Logits. *Shape*: (batch, length, tags)."""
        return (result.logits,)

    def targets(self, task: TokenClassification, example: Example, windows: Sequence[Encoded]) -> list[Item]:
        """Number of the tag at each word's first token; see `tag_targets`."""
        rows = tag_targets(task.tagger, example, example.label, task.given(example), windows)
        return [{"labels": row} for row in rows]

    def hard_loss(self, ours: tuple[Tensor, ...], batch: dict[str, Tensor]) -> Tensor:
        """Cross-entropy at first tokens (Devlin et al. 2019, arXiv:1810.04805, section 5.3)."""
        return hard_tag_loss(ours[0], batch["labels"])

    def soft_loss(
        self, ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], batch: dict[str, Tensor], temperature: float
    ) -> Tensor:
        """Divergence from the teacher's softened tags at first tokens."""
        return soft_tag_loss(ours[0], theirs[0], batch["labels"], temperature)

    def head(self, model: PreTrainedModel) -> nn.Module:
        """Classifier over every row."""
        return TokenHead(arch.classifier(model))

    def observed(
        self, task: TokenClassification, givens: Sequence[str | Words], outputs: Iterable[Sequence[Outputs]]
    ) -> str:
        """Report in how many texts the most likely tags break the scheme, if it is more than one in ten."""
        windows = [task.encode(given) for given in givens]
        rows = zip(givens, windows, outputs, strict=True)
        breaks = task.tagger.breaks_scheme
        broken = sum(breaks(given, own, [logits for (logits,) in found]) for given, own, found in rows)
        if broken * 10 <= len(givens):
            return ""
        return (
            f"the most likely tags break {task.tagger.settings.scheme} in {broken} of {len(givens)} texts; "
            "if the head was trained on another scheme, set head.scheme"
        )


class TokenHead(nn.Module):
    """Linear layer over every row."""

    def __init__(self, classifier: nn.Module) -> None:
        """Use a model's layer."""
        super().__init__()
        self.classifier = classifier

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """Logits. *Shape*: (batch, length, tags)."""
        return (self.classifier(hidden),)


def tag_targets(
    tagger: Tagger, example: Example, tags: Sequence[str] | None, given: str | Words, windows: Sequence[Encoded]
) -> list[list[int]]:
    """One number per token for every window of a row.

    At a word's first token, in the window where the device reads the word, it is the tag's number, or UNKNOWN for a row
    without tags, which only the teacher can label. It is UNREAD everywhere else.
    """
    places = tagger.places(given, windows)
    numbers = [UNKNOWN] * len(places) if tags is None else tagger.numbers(tags, example)
    rows = [[UNREAD] * len(window.ids) for window in windows]
    for place, number in zip(places, numbers, strict=True):
        # Of words that share a token the first has it.
        if place is not None and rows[place[0]][place[1]] == UNREAD:
            rows[place[0]][place[1]] = number
    return rows


def hard_tag_loss(logits: Tensor, numbers: Tensor) -> Tensor:
    """Mean cross-entropy over the tokens whose tag is known; 0 if there are none.

    *Shape*: logits (batch, length, tags), numbers (batch, length).
    """
    known = numbers >= 0
    return functional.cross_entropy(logits[known], numbers[known]) if bool(known.any()) else logits.sum() * 0.0


def soft_tag_loss(ours: Tensor, theirs: Tensor, numbers: Tensor, temperature: float) -> Tensor:
    """Divergence from the teacher's softened tags over first tokens, known or not; 0 if there are none.

    The teacher was not trained on other tokens and the device does not read them, so its outputs there are ignored.
    *Shape*: logits (batch, length, tags), numbers (batch, length).
    """
    read = numbers != UNREAD
    return losses.soft_target(ours[read], theirs[read], temperature) if bool(read.any()) else ours.sum() * 0.0


def check_labelled(splits: Mapping[str, list[Example]]) -> None:
    """Refuse rows without tags.

    Raises:
        DataError: Names the first one.
    """
    for rows in splits.values():
        for row in rows:
            if row.label is None:
                raise DataError(f"{row.place}: no tags for {row.text!r:.60}; expected one tag per word, or entities")


def entity_types(rows: Sequence[Sequence[str]], train: Path, named: list[str]) -> list[str]:
    """Types in the order of the head's outputs: the named ones, else those of the rows, sorted.

    Raises:
        DataError: There are none.
    """
    types = named or types_of(tag for tags in rows for tag in tags)
    if not types:
        raise DataError(f"{train}: no entity in {len(rows)} rows; expected tags other than {OUTSIDE}")
    return types


def _labels_of_head(data: DataSettings, head: list[str], settings: Settings) -> Labels:
    """Tags of a head that is kept; `data.label_names` renames its tags, or its types to those in the files."""
    tags = written_plainly(head, data.label_names, settings.scheme)
    check_scheme(tags, head, settings.scheme)
    in_files = {name: value for value, name in data.label_names.items() if value not in head}
    values = [tag if tag == OUTSIDE else tag[:2] + in_files.get(tag[2:], tag[2:]) for tag in tags]
    unknown = sorted(set(in_files) - set(types_of(tags)))
    if unknown:
        raise DataError(
            f"data.label_names: {in_files[unknown[0]]!r} = {unknown[0]!r} matches no tag and no type of the "
            f"checkpoint's head ({', '.join(head[:8])}); give a tag of the head as the key, or one of its types as "
            "the name"
        )
    return Labels(values, tags)

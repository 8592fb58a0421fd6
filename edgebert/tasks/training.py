"""Base class of every task in training: its labels, its losses, its head in the exported graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypedDict, TypeVar

from torch import Tensor, nn

from edgebert.compress.batch import Item, pad_batch
from edgebert.compress.labels import Labels
from edgebert.data.examples import Example
from edgebert.recipe import DataSettings
from edgebert.runtime.encode import Encoded
from edgebert.runtime.session import Outputs
from edgebert.strict_json import Json
from edgebert.tasks.device import Task
from edgebert.tasks.spec import SettingsT

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel
    from transformers.utils import ModelOutput

TaskT = TypeVar("TaskT", bound=Task)
Rows = Literal["first", "all"]


class Loading(TypedDict):
    """How a checkpoint was loaded: names of missing weights, and of weights with another shape."""

    missing_keys: Collection[str]
    mismatched_keys: Collection[tuple[str, object, object]]


class ModelClass(Protocol):
    """A factory of models: a transformers class, or EdgeBERT's wrapper around one."""

    def from_pretrained(self, folder: str, **options: object) -> tuple[PreTrainedModel, Loading]:
        """A checkpoint's model, and loading information if `options` ask for it."""
        ...

    def from_config(self, config: PreTrainedConfig, **options: object) -> PreTrainedModel:
        """A model with random weights."""
        ...


class TrainingTask(ABC, Generic[SettingsT, TaskT]):
    """A task in training, for the settings of one recipe.

    The type parameters are its settings and its class on the device. Validation decodes with the device's own code,
    which is not duplicated here.

    Attributes:
        has_own_weights: Whether the task adds weights to the encoder. If not, any encoder can be used as it is, and
            `finetune.when = "needed"` trains.
        outputs_vocabulary: Whether the outputs have one value for every token of the vocabulary.
    """

    has_own_weights: bool = True
    outputs_vocabulary: bool = False

    def __init__(self, settings: SettingsT) -> None:
        """Take the settings of a recipe's `[head]` table."""
        self.settings = settings

    @property
    @abstractmethod
    def rows(self) -> Rows:
        """Rows of the last layer that the head reads: the first ([CLS]), or all."""

    @abstractmethod
    def score(self, metric: str, expected: Sequence[Any], predicted: Sequence[Any]) -> float:
        """Compute a device metric with the field's own library, from the results of `expected` and `predicted`."""

    @abstractmethod
    def read_labels(
        self, data: DataSettings, splits: Mapping[str, list[Example]], folder: Path, head: list[str] | None
    ) -> Labels:
        """Read the labels of the data files.

        Args:
            data: The recipe's `[data]` table.
            splits: Rows of every split.
            folder: Folder that the paths of `data` are relative to, for messages.
            head: Labels of the checkpoint's own head, if it is kept.

        Raises:
            DataError: A row has no label, or no head can be made for the labels.
        """

    @abstractmethod
    def model_class(self, config: PreTrainedConfig) -> ModelClass:
        """Class that loads a checkpoint with the task's head; it has `from_pretrained` and `from_config`."""

    @abstractmethod
    def outputs(self, result: ModelOutput) -> tuple[Tensor, ...]:
        """Tensors of a forward pass, in the order of the spec's `outputs`."""

    @abstractmethod
    def targets(self, task: TaskT, example: Example, windows: Sequence[Encoded]) -> list[Item]:
        """Training targets for every window of a row, by name.

        Each is a number, an array of fixed width, or a list with one number per token.
        """

    @abstractmethod
    def hard_loss(self, ours: tuple[Tensor, ...], batch: dict[str, Tensor]) -> Tensor:
        """Mean loss against the labels; 0 for a batch without any."""

    @abstractmethod
    def soft_loss(
        self, ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], batch: dict[str, Tensor], temperature: float
    ) -> Tensor:
        """Mean loss against a teacher's outputs."""

    @abstractmethod
    def head(self, model: PreTrainedModel) -> nn.Module:
        """Module that maps the encoder's rows (batch, rows, width) and the attention mask to the tuple of outputs."""

    def label_counts(self, rows: Sequence[Example], labels: Labels) -> dict[str, int]:
        """Number of rows with each label, most frequent first; empty for a task without labels."""
        return {}

    def stratum(self, example: Example) -> str:
        """Label of a row, for the stratified split of validation rows; "" for none."""
        return ""

    def guess_loss(self, rows: Sequence[Example], labels: Labels) -> float | None:
        """The loss of guessing by the labels' frequencies in these rows; None if the task does not define it."""
        return None

    def own_windows(self, task: TaskT, example: Example) -> list[Encoded] | None:
        """Windows of a row for training; None if they are the device's own."""
        return None

    def collate(self, items: Sequence[Item], pad_id: int = 0) -> dict[str, Tensor]:
        """Make a batch of windows and their targets."""
        return pad_batch(items, pad_id)

    def tune(self, task: TaskT, predictions: Iterable[Any], expected: Sequence[Any]) -> dict[str, Json]:
        """Choose entries for the manifest's `head` on the validation split, with the finished graph.

        Args:
            task: The task on the device.
            predictions: Its predictions, computed lazily.
            expected: Correct answers, one per prediction.
        """
        return {}

    def observed(self, task: TaskT, givens: Sequence[Any], outputs: Iterable[Sequence[Outputs]]) -> str:
        """A sentence about the outputs that a user should read during an export; "" for none.

        Args:
            task: The task on the device.
            givens: Inputs that the graph is checked with.
            outputs: Outputs of their windows, computed lazily.
        """
        return ""

    def pooled_width(self, hidden_size: int) -> int:
        """Width of the head's input per text, for an encoder of this width."""
        return hidden_size

    def check_width(self, width: int) -> None:
        """Refuse settings that do not fit vectors of this width.

        Raises:
            SettingsError: Names the setting and the width.
        """


# Any task, for code that does not depend on its settings and its class on the device.
AnyTrainingTask = TrainingTask[Any, Any]

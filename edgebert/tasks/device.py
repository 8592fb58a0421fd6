"""Base class of every task on a device: how inputs are encoded and outputs are read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from edgebert.errors import InputError
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.model import Model
from edgebert.runtime.prediction import Prediction
from edgebert.runtime.session import Session, TextOutputs
from edgebert.settings import fill
from edgebert.tasks.spec import SettingsT, TaskSpec

if TYPE_CHECKING:
    from edgebert.data.examples import Example
    from edgebert.data.words import FindTokens
    from edgebert.manifest import Facts
    from edgebert.runtime.piped import TopK
    from edgebert.strict_json import Json

InputT = TypeVar("InputT")
AnswerT = TypeVar("AnswerT", bound=Prediction)


class DeviceTask(ABC, Generic[SettingsT, InputT, AnswerT]):
    """A task with the settings and the labels of one bundle.

    The type parameters are its settings, its input and its prediction. `spec` describes the task without a bundle; a
    subclass sets it.
    """

    spec: ClassVar[TaskSpec[Any]]
    # Whether an answer is a label for the whole text, with a score for every label.
    ranks_labels: ClassVar[bool] = False

    def __init__(self, facts: Facts, encoder: TextEncoder | None) -> None:
        """Take the settings from a bundle's facts.

        Args:
            facts: Facts from the bundle's manifest, or from the data of a running export.
            encoder: The bundle's tokenizer; None for a task that only reads data and labels.

        Raises:
            ValueError: The facts do not fit the task.
        """
        self.settings: SettingsT = fill(self.spec.settings, facts.head.settings, "manifest.json")
        self._encoder = encoder

    @property
    def encoder(self) -> TextEncoder:
        """The bundle's tokenizer.

        Raises:
            RuntimeError: The task was made without one.
        """
        if self._encoder is None:
            raise RuntimeError(f"this {self.spec.name} task has no tokenizer; make it with one")
        return self._encoder

    @property
    def find_tokens(self) -> FindTokens | None:
        """Function that finds the bundle's added tokens in a text; None for a task without a tokenizer."""
        return None if self._encoder is None else self._encoder.added_tokens.find

    @property
    @abstractmethod
    def widths(self) -> Sequence[int | None]:
        """Columns of the graph's outputs, in order; None for any number."""

    @abstractmethod
    def encode(self, given: InputT) -> list[Encoded]:
        """Token ids of one input: one window, or several if it is longer than the model's input.

        Raises:
            TextError: The input does not have the task's type, or has no token.
        """

    @abstractmethod
    def decode(self, given: InputT, windows: Sequence[Encoded], outputs: Sequence[TextOutputs]) -> AnswerT:
        """Prediction for one input, from the outputs of its windows."""

    @abstractmethod
    def given(self, example: Example) -> InputT:
        """The model's input for a row of a data file."""

    @abstractmethod
    def expected(self, example: Example, unknown: Sequence[str] = ()) -> object:
        """The correct answer for a row, in the form that the metrics compare.

        Args:
            example: The row.
            unknown: Labels that the bundle does not have; they count as wrong and are not refused.

        Raises:
            DataError: A row has no label, or one that is neither the bundle's nor in `unknown`.
        """

    @abstractmethod
    def predicted(self, prediction: AnswerT) -> object:
        """A prediction in the form that the metrics compare."""

    def piped(self, given: InputT, answer: AnswerT, top_k: TopK) -> Json:
        """The answer to an input in the form of transformers' pipeline for the task.

        Raises:
            InputError: transformers has no such pipeline.
        """
        raise InputError(f"transformers has no pipeline for {self.spec.name}; call the model and use to_dict()")

    @property
    def known(self) -> list[str] | None:
        """Labels that a data file may have, as the bundle names them; None for a task without labels."""
        return None

    def unknown(self, example: Example) -> list[str]:
        """Labels of a row that the bundle does not have."""
        return []

    @property
    def score_range(self) -> str | None:
        """The range of the task's scores, for messages; None for a task without scores."""
        return None

    def model(self, facts: Facts, session: Session) -> Model:
        """The opened bundle that `edgebert.load` returns."""
        return Model(facts, self, session)


# Any task, for code that does not depend on its input and prediction types.
Task = DeviceTask[Any, Any, Any]

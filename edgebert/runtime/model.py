"""An opened bundle: the task's encoder, the session, and the task's reading of its outputs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count, islice, tee
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, overload

from edgebert.data.words import Words
from edgebert.errors import InputError, RunError, TextError
from edgebert.escape import shown_value
from edgebert.options import flag
from edgebert.runtime.encode import Encoded
from edgebert.runtime.inputs import Text, are_several, as_list, check_batch_size, check_encoded
from edgebert.runtime.origin import Origin
from edgebert.runtime.piped import TopK, check_top_k
from edgebert.runtime.plain_math import is_finite
from edgebert.runtime.progress import Advance, shown
from edgebert.runtime.session import Outputs, RaggedSession, Session, TextOutputs

if TYPE_CHECKING:
    from edgebert.manifest import Facts, Manifest
    from edgebert.tasks.device import Task


class Model:
    """An open bundle: call it with a text, a pair, words, a list of them, or an iterator of them.

    Threads may share it. ONNX Runtime on a CPU answers them in parallel; a GPU and OpenVINO answer one after another.
    Pickle and `copy.deepcopy` open the bundle again from its path, also in another process. As a context manager it is
    closed at the end of the block:

        with edgebert.load("build/sst2") as model:
            print(model("a charming and often affecting journey").label)
    """

    def __init__(self, facts: Facts, task: Task, session: Session) -> None:
        """Combine the parts of an opened bundle; `edgebert.load` does this."""
        self.facts = facts
        self.labels = list(facts.labels)
        self.task = task
        self._manifest: Manifest | None = None
        self._session: Session | None = session
        self._reopen: tuple[Callable[[Origin], Model], tuple[Origin]] | None = None
        self.runtime = ""
        self.threads = 0

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest.

        Raises:
            RuntimeError: The model was not opened from a bundle.
        """
        if self._manifest is None:
            raise RuntimeError("this model has no manifest; open a bundle with edgebert.load")
        return self._manifest

    def opened_from(
        self, manifest: Manifest, reopen: Callable[[Origin], Model], origin: Origin, runtime: str, threads: int
    ) -> None:
        """Store how the bundle was opened, so it can be opened again."""
        self._manifest = manifest
        self._reopen, self.runtime, self.threads = (reopen, (origin,)), runtime, threads

    def close(self) -> None:
        """Release the session and its memory; a second call does nothing.

        A batch that another thread is running finishes; the next one raises InputError.
        """
        self._session = None

    def __enter__(self) -> Self:
        """Return the model."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the model."""
        self.close()

    def __repr__(self) -> str:
        """Return bundle name, task, number of labels if it has any, precision, runtime and threads in one line."""
        names = list(filter(None, (self.facts.task, self.facts.precision)))
        labels = [f"{len(self.labels)} label{'s' * (len(self.labels) != 1)}"] * bool(self.labels)
        parts = [*names[:1], *labels, *names[1:]]
        if self.runtime:
            parts += [self.runtime, f"{self.threads} thread{'s' * (self.threads != 1)}"]
        parts += ["closed"] * (self._session is None)
        return f"<{type(self).__name__} {self.facts.name!r}: {', '.join(parts)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Make pickle and copy open the bundle again.

        Raises:
            TypeError: The model was not opened from a path.
            InputError: The model is closed.
        """
        self._open_session()
        if self._reopen is None:
            raise TypeError(
                f"{self!r} was made without a path, so it cannot be pickled or copied; open a bundle with edgebert.load"
            )
        return self._reopen

    @overload
    def __call__(self, text: Text | Words, *, batch_size: int = ..., progress: bool = ...) -> Any: ...  # noqa: ANN401
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, text: list[Text] | list[Words], *, batch_size: int = ..., progress: bool = ...
    ) -> list[Any]: ...
    @overload
    def __call__(
        self, text: Iterable[Text] | Iterable[Words], *, batch_size: int = ..., progress: bool = ...
    ) -> Iterator[Any]: ...

    def __call__(
        self, text: Text | Words | Iterable[Text] | Iterable[Words], *, batch_size: int = 32, progress: bool = False
    ) -> Any:
        """Predict.

        Args:
            text: A string, or for tasks that take them a tuple of strings or `Words`; a list, a numpy array or a pandas
                Series of them; or any other iterable, which is answered lazily in batches.
            batch_size: Maximum number of windows that run together.
            progress: Whether stderr shows how many of several texts are answered, and the time left.

        Returns:
            The task's prediction; for several inputs a list or an iterator of them.

        Raises:
            InputError: `batch_size` is below 1, or the model is closed.
            TextError: Not a string, not valid Unicode, without any token, or a pair for a bundle that takes single
                texts. For several texts the message says which one.
            RunError: The graph's outputs have NaN or infinity.
        """
        check_batch_size(batch_size)
        flag(progress, "progress")
        self._open_session()
        text = as_list(text)
        if isinstance(text, str | tuple | Words):
            return self._answers([text], [self.task.encode(text)], 1)[0]
        if isinstance(text, list):
            with shown(progress, len(text)) as advance:
                return self._answers(text, self._windows(text), batch_size, advance)
        if are_several(text):
            return self._stream(iter(text), batch_size, progress)
        raise TextError(
            f"text is {type(text).__name__} {shown_value(text)}; give a str, a pair, or an iterable of them"
        )

    def pipeline(
        self,
        text: Text | Words | Iterable[Text] | Iterable[Words],
        *,
        top_k: TopK = "best",
        batch_size: int = 32,
        progress: bool = False,
    ) -> Any:  # noqa: ANN401
        """Predict, and return the result in the form of transformers' pipeline for the task.

            model.pipeline("a charming journey")  # [{"label": "positive", "score": 0.9998}]

        Args:
            text: As for a call.
            top_k: Number of labels to return, best first, as in transformers; None for all. The default returns the
                best label without a list around it.
            batch_size: Maximum number of windows that run together.
            progress: As for a call.

        Returns:
            Dictionaries of plain JSON types: one answer for a text, a list or an iterator for several. As in
                transformers, the answer to a single string is a list with its best label.

        Raises:
            InputError: The task has no such pipeline, or it ranks no labels and `top_k` is given; or as a call does.
            TextError: As a call does.
        """
        check_top_k(top_k, self.task.ranks_labels)
        text = as_list(text)
        if isinstance(text, str | tuple | Words):
            found = self.task.piped(text, self(text, batch_size=batch_size), top_k)
            return [found] if isinstance(text, str) and self.task.ranks_labels and top_k == "best" else found
        if isinstance(text, list):
            several = zip(text, self(text, batch_size=batch_size, progress=progress), strict=True)
            return [self.task.piped(*pair, top_k) for pair in several]
        if not are_several(text):
            return self(text, batch_size=batch_size)  # says what is wrong with it
        given, asked = tee(text)
        answers = self(asked, batch_size=batch_size, progress=progress)
        return (self.task.piped(*pair, top_k) for pair in zip(given, answers, strict=True))

    def raw(self, texts: Sequence[Text], batch_size: int = 32) -> list[Outputs]:
        """Raw outputs of the graph for every window of every text, in order.

        Raises:
            InputError: `batch_size` is below 1.
            TextError: `texts` is not several texts, or the task refuses one of them.
        """
        texts = as_list(texts)
        if isinstance(texts, str | bytes | bytearray | Mapping) or not isinstance(texts, Iterable):
            raise TextError(f"the {type(texts).__name__} {shown_value(texts)} was given; give a list of texts")
        texts = list(texts)
        return self.outputs([window for several in self._windows(texts) for window in several], batch_size)

    def outputs(self, encoded: Sequence[Encoded], batch_size: int = 32) -> list[Outputs]:
        """Raw outputs of the graph for every window, without batch axis and padding.

        Raises:
            InputError: `batch_size` is below 1.
            TextError: The windows are not encoded texts.
            BundleError: The outputs do not have the shape that the task reads.
        """
        return [as_arrays(rows) for rows in self._read(encoded, batch_size)]

    def _read(
        self, encoded: Sequence[Encoded], batch_size: int, advance: Advance | None = None, texts: int = 0
    ) -> list[TextOutputs]:
        """Outputs of every window from the session, without numpy if the session does not use it.

        `advance` counts the texts that the windows belong to, each window as an equal share of them.
        """
        check_encoded(encoded)
        results: list[TextOutputs] = [()] * len(encoded)
        for chosen in self.batches(encoded, batch_size):
            windows = [encoded[at] for at in chosen]
            rows = self._rows(windows)
            for at, row in zip(chosen, rows, strict=True):
                results[at] = row
            if advance:
                advance(len(chosen) * texts / len(encoded))
        return results

    def _rows(self, windows: Sequence[Encoded]) -> Sequence[TextOutputs]:
        """Outputs of windows that run together, one by one."""
        session = self._open_session()
        if isinstance(session, RaggedSession):
            return session.run_ragged(windows)
        from edgebert.runtime.padded import check_shapes, split_batch

        found, kinds = self.run_encoded(windows), self.task.spec.outputs
        check_shapes(found, windows, kinds, self.task.widths)
        return split_batch(found, windows, kinds)

    def batches(self, encoded: Sequence[Encoded], batch_size: int = 32) -> list[list[int]]:
        """Positions of the windows that `outputs` runs together: at most `batch_size`, often fewer."""
        check_encoded(encoded)
        check_batch_size(batch_size)
        return list(self._open_session().batching.plan([len(window.ids) for window in encoded], batch_size))

    def run_encoded(self, encoded: Sequence[Encoded]) -> Outputs:
        """Raw outputs of inputs that are already token ids, run as one batch.

        Raises:
            TextError: There are no inputs, one has no token, or they are not encoded texts.
            ValueError: Their lengths differ, and the session does not pad.
        """
        check_encoded(encoded)
        session = self._open_session()
        if len(encoded) == 1 and isinstance(session, RaggedSession):
            return tuple(output[None] for output in as_arrays(session.run_ragged(encoded)[0]))
        from edgebert.runtime.padded import padded_inputs

        return session.run(padded_inputs(encoded, self.facts.inputs, self.facts.pad_id))

    def run_alone(self, encoded: Encoded) -> TextOutputs:
        """Raw outputs of one input, from the session: without padding this needs no numpy."""
        session = self._open_session()
        return session.run_ragged([encoded])[0] if isinstance(session, RaggedSession) else self.run_encoded([encoded])

    def run_on(self, session: Session) -> None:
        """Use another session of the same graph from now on."""
        self._open_session()
        self._session = session

    def _open_session(self) -> Session:
        """Return the session, if it is open.

        Raises:
            InputError: The model is closed.
        """
        if self._session is None:
            raise InputError(f"the model {self.facts.name!r} is closed; open the bundle again with edgebert.load")
        return self._session

    def _windows(self, texts: Sequence[Any]) -> list[list[Encoded]]:
        """Encode every text of a list to windows."""
        if len(texts) == 1:
            return [self.task.encode(texts[0])]
        total = f" of {len(texts)}"
        return [self._encoded(text, f"{number}{total}") for number, text in enumerate(texts, 1)]

    def _encoded(self, text: Any, place: str) -> list[Encoded]:  # noqa: ANN401
        """Encode one of several texts; an error message names its position."""
        try:
            return self.task.encode(text)
        except TextError as error:
            raise TextError(f"text {place}: {error}") from None

    def _answers(
        self,
        texts: Sequence[Any],
        windows: Sequence[list[Encoded]],
        batch_size: int,
        advance: Advance | None = None,
    ) -> list[Any]:
        encoded = [window for several in windows for window in several]
        found = self._read(encoded, batch_size, advance, len(texts))
        check_finite(found)
        outputs = iter(found)
        return [
            self.task.decode(text, several, list(islice(outputs, len(several))))
            for text, several in zip(texts, windows, strict=True)
        ]

    def _stream(self, texts: Iterator[Any], batch_size: int, progress: bool) -> Iterator[Any]:
        numbers = count(1)
        with shown(progress) as advance:
            while batch := list(islice(texts, min(batch_size, sys.maxsize))):
                windows = [self._encoded(text, str(next(numbers))) for text in batch]
                yield from self._answers(batch, windows, batch_size, advance)


def as_arrays(rows: TextOutputs) -> Outputs:
    """Outputs of a text as numpy arrays, without a copy."""
    import numpy as np

    return tuple(np.asarray(output) for output in rows)


def check_finite(outputs: Iterable[TextOutputs]) -> None:
    """Refuse outputs with NaN or infinity; NaN would silently be read as the first label.

    Raises:
        RunError: A number is NaN or infinite.
    """
    if not all(is_finite(output) for window in outputs for output in window):
        raise RunError(
            "the graph's outputs for this text have NaN or infinity, so there is no answer; check the bundle with "
            '`edgebert verify`, or export it in full precision with quantize.format = "none"'
        )

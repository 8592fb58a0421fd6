"""A checkpoint as the library that made it runs it: what a bundle is compared with.

Nothing of EdgeBERT's own reading of checkpoints stands between: transformers' classes and its tokenizer, or
sentence-transformers. FP32, one text at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from edgebert.compress.sentence_folder import MODULES
from edgebert.errors import CheckpointError, MissingDependencyError, SettingsError
from edgebert.runtime.encode import Encoded
from edgebert.runtime.session import Outputs

CLASSES = {
    "fill-mask": "AutoModelForMaskedLM",
    "multi-label": "AutoModelForSequenceClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "regression": "AutoModelForSequenceClassification",
    "rerank": "AutoModelForSequenceClassification",
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
}
LABELLED = ("multi-label", "text-classification", "token-classification")
# Outputs of a model's forward, in the order of the bundle's.
OUTPUTS = {"question-answering": ("start_logits", "end_logits")}
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

LOADED: dict[str, Any] = {"dtype": torch.float32, "local_files_only": True, "trust_remote_code": False}


class Answered(NamedTuple):
    """Token ids of an input as the library makes them, None if it was asked by ids, and the model's outputs for it."""

    ids: Sequence[int] | None
    outputs: Outputs


class SourceModel(Protocol):
    """A checkpoint in the library that made it; `name` says what runs it, `labels` what it calls its outputs, if so."""

    name: str
    labels: tuple[str, ...]

    def answer(self, texts: tuple[str, ...]) -> Answered:
        """Outputs for a text, or for two of them in one input."""

    def answer_ids(self, window: Encoded) -> Outputs:
        """Outputs for token ids."""


def open_source(folder: Path, task: str, max_length: int) -> SourceModel:
    """The checkpoint of a folder, in the library that made it.

    Raises:
        CheckpointError: The library does not load it.
        MissingDependencyError: That library is not installed.
        SettingsError: No library has this task.
    """
    if task == "similarity":
        return _Sentences(folder, max_length)
    if task not in CLASSES:
        raise SettingsError(f"{task} is a task of EdgeBERT's own, which no library runs; compare a bundle of another")
    return _Transformer(folder, task, max_length)


class _Transformer:
    """A task model of transformers."""

    def __init__(self, folder: Path, task: str, max_length: int) -> None:
        self.name = f"transformers {transformers.__version__}, {CLASSES[task]}"
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), **_without_type(LOADED))
            loaded = getattr(transformers, CLASSES[task]).from_pretrained(
                str(folder), output_loading_info=True, **LOADED
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            raise CheckpointError(f"{folder}: transformers does not load it ({_first(error)})") from None
        self._model, found = loaded[0].eval(), loaded[1]
        if missing := sorted(found["missing_keys"]):
            raise CheckpointError(
                f"{folder}: has no {missing[0]}, which {CLASSES[task]} needs; give the checkpoint that the bundle was "
                "made from, with its head"
            )
        names = getattr(self._model.config, "id2label", None) or {}
        self.labels = tuple(str(names[at]) for at in sorted(names)) if task in LABELLED else ()
        self._names, self._length = OUTPUTS.get(task, ("logits",)), max_length

    def answer(self, texts: tuple[str, ...]) -> Answered:
        """Outputs for a text or a pair, cut as transformers cuts it."""
        given = self._tokenizer(*texts, truncation=True, max_length=self._length, return_tensors="pt")
        return Answered(given["input_ids"][0].tolist(), self._run(given))

    def answer_ids(self, window: Encoded) -> Outputs:
        """Outputs for token ids and their segments."""
        given = {
            "input_ids": torch.tensor([window.ids]),
            "attention_mask": torch.ones(1, len(window.ids), dtype=torch.int64),
        }
        if "token_type_ids" in self._tokenizer.model_input_names:
            given["token_type_ids"] = torch.tensor([window.type_ids])
        return self._run(given)

    def _run(self, given: Any) -> Outputs:  # noqa: ANN401 - a dictionary, or transformers' own kind of one
        with torch.no_grad():
            result = self._model(**given)
        return tuple(_array(result[name][0]) for name in self._names)


class _Sentences:
    """A model of sentence-transformers."""

    labels: tuple[str, ...] = ()

    def __init__(self, folder: Path, max_length: int) -> None:
        if not (folder / MODULES).is_file():
            raise SettingsError(
                f"{folder}: an encoder alone, whose pooling no library knows; compare with a folder that has {MODULES}"
            )
        try:
            import sentence_transformers
        except ImportError:
            raise MissingDependencyError(
                "sentence-transformers is not installed; pip install sentence-transformers"
            ) from None
        self.name = f"sentence-transformers {sentence_transformers.__version__}"
        try:
            self._model = sentence_transformers.SentenceTransformer(
                str(folder), device="cpu", local_files_only=True, model_kwargs={"dtype": torch.float32}
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError) as error:
            raise CheckpointError(f"{folder}: sentence-transformers does not load it ({_first(error)})") from None
        self._model.max_seq_length = min(self._model.max_seq_length or max_length, max_length)

    def answer(self, texts: tuple[str, ...]) -> Answered:
        """The vector of a text."""
        return Answered(None, (np.asarray(self._model.encode(texts[0], show_progress_bar=False), dtype=np.float32),))

    def answer_ids(self, window: Encoded) -> Outputs:
        """Refuse: a sentence model takes texts."""
        raise NotImplementedError


def _without_type(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != "dtype"}


def _array(output: torch.Tensor) -> NDArray[np.float32]:
    return output.to(torch.float32).numpy()


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]

"""Run a checkpoint with the library that made it, to compare a bundle with it.

EdgeBERT's own checkpoint code is not used: only transformers' classes and tokenizer, or sentence-transformers. FP32,
one text at a time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from edgebert.compress.inferred import LABELLED
from edgebert.compress.sentence_folder import MODULES
from edgebert.compress.source import first_line
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
# Outputs of a model's forward pass, in the bundle's order.
OUTPUTS = {"question-answering": ("start_logits", "end_logits")}
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

LOADED: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


class Transformers:
    """A task model of transformers; `name` is the library and class, `labels` the outputs' names, if any."""

    def __init__(self, folder: Path, task: str, max_length: int) -> None:
        """Load the model.

        Raises:
            CheckpointError: transformers cannot load it, or would initialise missing weights at random.
        """
        self.name = f"transformers {transformers.__version__}, {CLASSES[task]}"
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), **LOADED)
            kind = getattr(transformers, CLASSES[task])
            self._model, found = kind.from_pretrained(
                str(folder), output_loading_info=True, dtype=torch.float32, **LOADED
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            raise CheckpointError(f"{folder}: transformers cannot load it ({first_line(error)})") from None
        if missing := sorted(found["missing_keys"]):
            raise CheckpointError(
                f"{folder}: has no {missing[0]}, which {CLASSES[task]} needs; give the checkpoint that the bundle was "
                "made from, with its head"
            )
        self._model.eval()
        names = getattr(self._model.config, "id2label", None) or {}
        self.labels = tuple(str(names[at]) for at in sorted(names)) if task in LABELLED else ()
        self._names, self._length = OUTPUTS.get(task, ("logits",)), max_length

    def answer(self, texts: tuple[str, ...]) -> tuple[list[int], Outputs]:
        """Token ids and outputs of a text, or of two texts in one input, truncated as transformers does."""
        given = self._tokenizer(*texts, truncation=True, max_length=self._length, return_tensors="pt")
        return given["input_ids"][0].tolist(), self._run(given)

    def answer_ids(self, window: Encoded) -> Outputs:
        """Outputs for token ids and their segments."""
        ids = torch.tensor([window.ids])
        given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if "token_type_ids" in self._tokenizer.model_input_names:
            given["token_type_ids"] = torch.tensor([window.type_ids])
        return self._run(given)

    def _run(self, given: Any) -> Outputs:  # noqa: ANN401 - a dictionary, or transformers' own kind of one
        with torch.no_grad():
            result = self._model(**given)
        return tuple(result[name][0].to(torch.float32).numpy() for name in self._names)


class Sentences:
    """A model of sentence-transformers; `name` is the library and version."""

    labels: tuple[str, ...] = ()

    def __init__(self, folder: Path, max_length: int) -> None:
        """Load the model.

        Raises:
            SettingsError: The folder does not say how rows become a vector.
            MissingDependencyError: sentence-transformers is not installed.
            CheckpointError: It does not load the folder.
        """
        if not (folder / MODULES).is_file():
            raise SettingsError(
                f"{folder}: only an encoder, whose pooling no library knows; compare with a folder that has {MODULES}"
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
            raise CheckpointError(f"{folder}: sentence-transformers cannot load it ({first_line(error)})") from None
        self._model.max_seq_length = min(self._model.max_seq_length or max_length, max_length)

    def vector(self, text: str) -> NDArray[np.float32]:
        """The vector of a text. *Shape*: (width,)."""
        return np.asarray(self._model.encode(text, show_progress_bar=False), dtype=np.float32)


def open_source(folder: Path, encoder: Path, task: str, max_length: int) -> Transformers | Sentences:
    """Open a folder's checkpoint with the library that made it.

    Args:
        folder: The checkpoint's folder.
        encoder: Its encoder's folder: the same one unless `modules.json` names another.
        task: The bundle's task.
        max_length: The bundle's longest input in tokens.

    Raises:
        CheckpointError: The library does not load it.
        MissingDependencyError: That library is not installed.
        SettingsError: No library supports this task.
    """
    if task == "similarity":
        return Sentences(folder, max_length)
    if task not in CLASSES:
        raise SettingsError(f"{task} is EdgeBERT's own task, which no library runs; compare a bundle with another task")
    return Transformers(encoder, task, max_length)

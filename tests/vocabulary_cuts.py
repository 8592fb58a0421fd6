"""Vocabularies that tests cut: a corpus, the cut, and the answers to compare."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgebert.compress import checkpoint
from edgebert.compress.data import TaskData
from edgebert.compress.labels import Labels
from edgebert.compress.report import StageReport
from edgebert.compress.run import Run
from edgebert.compress.validation import torch_outputs
from edgebert.compress.vocabulary import Reader, cut_vocabulary
from edgebert.data.examples import Example
from edgebert.recipe import VocabularySettings, settings_dict
from edgebert.runtime.encode import TextEncoder
from edgebert.tasks.table import spec_of

TASK = "text-classification"
CORPUS = ["a good film", "the story was dull", "a film so cold and poor", "The GOOD, the dull; and: the xylophone!"]
OTHER = ["a warm meal", "a good film", "a lovely song is very bad"]


def examples(texts: Sequence[str], label: Any = "a") -> list[Example]:
    return [Example(text, None, label, line) for line, text in enumerate(texts, 1)]


def data_of(task: str = TASK, train: Sequence[Example] = (), **more: Any) -> TaskData:
    tags = ["O", "B-x", "I-x"]
    unnamed = ("fill-mask", "question-answering", "similarity", "regression")
    names = tags if task == "token-classification" else [] if task in unnamed else ["a", "b"]
    labels = Labels(names, names, extra={"tags": tags, "thresholds": [0.5, 0.5]}, config={"slot_tags": tags})
    splits = {"validation": [], "test": [], "unlabelled": [], **more}
    settings = settings_dict(spec_of(task).settings())
    return TaskData(task, list(train) or examples(CORPUS), labels=labels, settings=settings, fingerprints=[], **splits)


def run_of(task: str = TASK, max_length: int = 32) -> Run:
    return Run(task, next(iter(spec_of(task).metrics)), 7, max_length)


def cut(source: Path, out: Path, data: TaskData | None = None, **settings: Any) -> StageReport:
    data = data or data_of()
    return cut_vocabulary(source, data, VocabularySettings(**settings), run_of(data.task), out)


def outputs(folder: Path, data: TaskData, rows: Sequence[Example]) -> list[tuple[Any, ...]]:
    """Outputs of a folder's model for rows, one window at a time."""
    model = checkpoint.load_model(folder, data.task, data.label_names).eval()
    reader = Reader.of(TextEncoder(folder / "tokenizer.json", 32), data)
    windows = [window for row in rows for window in reader.task.encode(reader.task.given(row))]
    kinds = reader.task.spec.outputs
    return list(torch_outputs(model, windows, data.training_task, kinds, model.config.pad_token_id, batch_size=1))

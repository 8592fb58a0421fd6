"""Check what a tokenizer's post-processor adds around texts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebert.errors import CheckpointError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def check_texts_once(path: Path, tokenizer: PreTrainedTokenizerFast, texts: int) -> None:
    """Refuse a post-processor that puts a text into an input twice.

    `tokenizers` truncates a text as if it were there once.

    Args:
        path: Location of `tokenizer.json`.
        tokenizer: The tokenizer read from it.
        texts: Texts in one input, 1 or 2.

    Raises:
        CheckpointError: Names the entry.
    """
    entry = "pair" if texts > 1 else "single"
    # Only the post-processor: writing and reading the whole tokenizer of a large vocabulary takes a third of a second.
    processor = tokenizer.backend_tokenizer.post_processor
    document = None if processor is None else json.loads(processor.__getstate__())
    for template in _templates(document):
        names = [part["Sequence"]["id"] for part in template[entry] if "Sequence" in part]
        if len(names) > len(set(names)):
            raise CheckpointError(
                f"{path}: the post_processor's {entry!r} puts a text into an input twice, so a long text would exceed "
                f"the longest input; put it there once if the model was trained that way"
            )


def _templates(document: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """Return the templates of a post-processor, which may be a sequence of several."""
    if document is None:
        return
    if document["type"] == "TemplateProcessing":
        yield document
    for inner in document.get("processors", ()):
        yield from _templates(inner)

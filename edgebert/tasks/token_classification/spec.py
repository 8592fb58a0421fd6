"""Token classification: entities in a text, by one tag a word."""

from __future__ import annotations

from pathlib import Path

from edgebert.data.examples import Columns, Example
from edgebert.data.words import FindTokens
from edgebert.metrics.by_label import by_entity_type
from edgebert.metrics.entities import ENTITY_METRICS
from edgebert.runtime.tagged_rows import read_tagged
from edgebert.runtime.tagging import Settings
from edgebert.tasks.spec import TaskSpec


def read(path: Path, columns: Columns, settings: Settings, find_tokens: FindTokens | None = None) -> list[Example]:
    """Rows of CoNLL columns, of JSON Lines or of a slot folder; the label is the tags, one a word."""
    return read_tagged(path, columns, settings, False, find_tokens)


SPEC = TaskSpec(
    name="token-classification",
    settings=Settings,
    metrics=ENTITY_METRICS,
    outputs={"logits": True},
    read=read,
    data="CoNLL columns, a folder of seq.in and seq.out, or JSON Lines with words and tags, or text and entities",
    by_label=(by_entity_type,),
    is_tagged=True,
    read_split=read,
)

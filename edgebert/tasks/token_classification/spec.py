"""Token classification: entities in a text, from one tag per word."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebert.runtime.tagging import Settings
from edgebert.tasks.spec import Scoring, TaskSpec

if TYPE_CHECKING:
    from edgebert.data.columns import Columns
    from edgebert.data.examples import Example
    from edgebert.data.words import FindTokens


def read(path: Path, columns: Columns, settings: Settings, find_tokens: FindTokens | None = None) -> list[Example]:
    """Read rows of CoNLL columns, JSON Lines or a slot folder; the label is the tags, one per word."""
    from edgebert.runtime.tagged_rows import read_tagged

    return read_tagged(path, columns, settings, False, find_tokens)


def _scoring() -> Scoring:
    from edgebert.metrics.by_label import by_entity_type
    from edgebert.metrics.entities import ENTITY_METRICS

    return Scoring(ENTITY_METRICS, (by_entity_type,))


SPEC = TaskSpec(
    name="token-classification",
    settings=Settings,
    metric_names=("entity_f1", "entity_precision", "entity_recall"),
    scoring=_scoring,
    outputs={"logits": True},
    read=read,
    can_hold_out=True,
    data="CoNLL columns, a folder of seq.in and seq.out, or JSON Lines with words and tags, or text and entities",
    formats=None,
    is_tagged=True,
    read_split=read,
)

"""Intent and slots: what a command asks for, and the spans that name its values."""

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
    """Read rows of a slot folder or of JSON Lines; the label is the intent and the tags, one per word."""
    from edgebert.runtime.tagged_rows import read_tagged

    return read_tagged(path, columns, settings, True, find_tokens)


def _scoring() -> Scoring:
    from edgebert.metrics.by_label import by_intent, by_slot_type
    from edgebert.metrics.entities import FRAME_METRICS

    return Scoring(FRAME_METRICS, (by_intent, by_slot_type))


SPEC = TaskSpec(
    name="intent-slots",
    settings=Settings,
    metric_names=("intent_slots", "intent_accuracy", "slot_f1", "exact_match"),
    scoring=_scoring,
    outputs={"intent_logits": False, "slot_logits": True},
    read=read,
    can_hold_out=True,
    data="a folder of seq.in, seq.out and label, or JSON Lines with words, tags and intent, or text, slots and intent",
    formats=None,
    is_tagged=True,
    read_split=read,
)

"""Convert predictions to dictionaries of plain JSON types."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Prediction:
    """Base of the predictions of every task."""

    @property
    def is_cut(self) -> bool:
        """Whether the model saw only part of the text; tasks that read long texts in windows see everything."""
        return False

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON types, the same as `edgebert predict --json` writes.

        Tuples become lists, and entities and candidates dictionaries:

            json.dumps(model("a charming and often affecting journey").to_dict())
        """
        return {name: _plain(value) for name, value in asdict(self).items()}


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value

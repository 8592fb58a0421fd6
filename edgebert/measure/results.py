"""The result of a bench: cases, ratios, environment. Written after every case, whole or not at all."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgebert.bundle import disk_errors
from edgebert.measure.statistics import Ratio

FORMAT_VERSION = 1


@dataclass
class Case:
    """One bundle in one scenario. Times in milliseconds, sizes in MB of 10^6 bytes, throughput in texts a second."""

    bundle: str
    bundle_hash: str
    variant: str
    target: str
    runtime: str
    scenario: str
    batch: int
    lengths: str
    threads: int
    samples: int = 0
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    mean_ms: float | None = None
    throughput: float | None = None
    cold_start_ms: float | None = None
    import_ms: float | None = None
    load_ms: float | None = None
    first_ms: float | None = None
    peak_rss_mb: float | None = None
    size_mb: float | None = None
    quality: dict[str, Any] | None = None
    raw: str | None = None
    device_memory_mb: float | None = None
    agreement: dict[str, Any] | None = None
    emulated: str | None = None


@dataclass
class Result:
    """Everything that one bench run found."""

    command: str
    suite: dict[str, Any]
    data: dict[str, Any] | None
    environment: dict[str, Any]
    cases: list[Case] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    waterfall: list[dict[str, Any]] = field(default_factory=list)
    estimates: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionary of the contract's form."""
        return {"format": "edgebert-result", "format_version": FORMAT_VERSION, **asdict(self)}

    def write(self, folder: Path) -> Path:
        """Write `result.json`.

        Raises:
            DiskError: The folder cannot be written.
        """
        path = folder / "result.json"
        write_json(path, self.as_dict())
        return path


def write_json(path: Path, document: Any) -> None:  # noqa: ANN401
    """Write a JSON file under a temporary name, then give it its own.

    Raises:
        DiskError: The folder cannot be written.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".partial")
        temporary.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(temporary, path)

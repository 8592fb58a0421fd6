"""Suffixes of the data files that are read, without `.gz`. Standard library only."""

from __future__ import annotations

TABLES = (".tsv", ".csv", ".jsonl", ".txt")
SQUAD = (".json", ".jsonl")

"""Suffixes of data files that EdgeBERT reads, without `.gz`. Standard library only."""

from __future__ import annotations

TABLES = (".tsv", ".csv", ".jsonl", ".txt")
SQUAD = (".json", ".jsonl")
# Read with pyarrow, in `edgebert.commands.columnar`.
COLUMNAR = (".parquet", ".arrow")

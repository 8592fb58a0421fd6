"""Answer a Parquet corpus by a bundle on every core of a Ray cluster.

    python answer_parquet.py build/my corpus.parquet answers/ --text-column body

Needs edgebert, `ray[data]` and pyarrow, no PyTorch. Every actor opens the bundle once, with one thread,
and takes one core.
The corpus streams through them by blocks. `answers/` gets Parquet files with the corpus's columns and the answers'.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import edgebert

# Ray reports its use to its maker unless this is set; say RAY_USAGE_STATS_ENABLED=1 yourself to allow it.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import pyarrow as pa
import ray


class Answers:
    """An actor: a bundle that is open, called with a block of rows at a time."""

    def __init__(self, bundle: str, column: str) -> None:
        """Open the bundle: once in each actor."""
        self.model: Any = edgebert.load(bundle, threads=1)
        self.column = column

    def __call__(self, rows: pa.Table) -> pa.Table:
        """Put the answers' columns behind those of the rows; a row without a text gets none."""
        texts = rows[self.column].to_pylist()
        asked = [at for at, text in enumerate(texts) if text is not None and text.strip()]
        answers: list[dict[str, Any] | None] = [None] * len(texts)
        # One text at a time, as `edgebert predict`: dynamic INT8 takes one scale for all that run together.
        for at, answer in zip(asked, self.model([texts[at] for at in asked], batch_size=1), strict=True):
            answers[at] = answer.to_dict()
        names = next((list(answer) for answer in answers if answer), [])
        for name in names:
            column = [None if answer is None else _cell(answer[name]) for answer in answers]
            rows = rows.append_column(f"predicted_{name}", pa.array(column))
        return rows


def _cell(value: Any) -> Any:  # noqa: ANN401
    """A value whose type does not depend on the row: an embedding as FP32, what is nested otherwise as JSON."""
    if isinstance(value, list) and value and all(isinstance(each, float) for each in value):
        return np.float32(value)
    return json.dumps(value) if isinstance(value, dict | list) else value


def answer_corpus(bundle: Path, corpus: Path, column: str, actors: int) -> ray.data.Dataset:
    """The corpus with its answers, computed as it is read.

    Raises:
        ValueError: The corpus has no such column.
    """
    dataset = ray.data.read_parquet(str(corpus))
    names = dataset.schema().names
    if column not in names:
        raise ValueError(f"{corpus}: no column {column!r}; it has {', '.join(names)}; name it with --text-column")
    return dataset.map_batches(
        Answers,
        fn_constructor_args=(str(bundle.resolve()), column),
        batch_format="pyarrow",
        batch_size=256,
        compute=ray.data.ActorPoolStrategy(size=actors),
        num_cpus=1,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments, answer the corpus, write the answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("corpus", type=Path, help="a Parquet file, or a folder of them")
    parser.add_argument("out", type=Path, help="a new folder for the answers")
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--actors", type=int, default=os.cpu_count() or 1, help="default: the number of cores here")
    parser.add_argument("--address", help="of a running cluster; without it one is started on this machine alone")
    options = parser.parse_args(arguments)
    if options.out.exists():
        print(f"{options.out}: is there already; name a new folder", file=sys.stderr)
        return 2
    edgebert.load(options.bundle).close()  # a wrong bundle is told before anything starts
    here: dict[str, Any] = {"_node_ip_address": "127.0.0.1", "num_cpus": options.actors + 1}
    ray.init(**({"address": options.address} if options.address else here), include_dashboard=False)
    try:
        answer_corpus(options.bundle, options.corpus, options.text_column, options.actors).write_parquet(
            str(options.out.resolve())
        )
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        ray.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Run a bundle on a Parquet corpus, on all cores of a Ray cluster.

    python answer_parquet.py build/my corpus.parquet answers/ --text-column body

Needs edgebert, `ray[data]` and pyarrow, but not PyTorch. Each actor opens the bundle once, with one thread, and uses
one core. The corpus streams through the actors in blocks. The Parquet files in `answers/` have the columns of the
corpus and `answer`: the embedding for a bundle with the task similarity, otherwise the prediction as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import edgebert

# Ray sends usage data to its maker unless this is set. To allow it, set RAY_USAGE_STATS_ENABLED=1 yourself.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import pyarrow as pa
import ray


class Answers:
    """An actor: an open bundle, which Ray calls with one block of rows at a time."""

    def __init__(self, bundle: str, column: str) -> None:
        """Open the bundle, once per actor."""
        self.model: Any = edgebert.load(bundle, threads=1)
        self.column = column
        self.embeds = self.model.manifest.task == "similarity"
        # The type is explicit, so that it does not depend on the rows of a block.
        self.type = pa.list_(pa.float32()) if self.embeds else pa.string()

    def __call__(self, rows: pa.Table) -> pa.Table:
        """Add a column with the answers. A row without a text has a null answer."""
        answers = [self._answer(text) for text in rows[self.column].to_pylist()]
        return rows.append_column("answer", pa.array(answers, self.type))

    def _answer(self, text: str | None) -> Any:  # noqa: ANN401 - a list of numbers, or JSON
        if text is None or not text.strip():
            return None
        # One text at a time, as in `edgebert predict`: dynamic INT8 has one scale for all texts that run together.
        answer = self.model(text)
        return answer.embedding if self.embeds else json.dumps(answer.to_dict())


def answer_corpus(bundle: Path, corpus: Path, column: str, actors: int) -> ray.data.Dataset:
    """Return the corpus with its answers, which are computed when it is read.

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
    """Parse the arguments, run the corpus, and write the answers."""
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
    edgebert.load(options.bundle).close()  # report a wrong bundle before anything starts
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

"""Run a bundle on a Parquet corpus in Spark, with an iterator pandas UDF.

    python answer_parquet.py build/my corpus.parquet answers --text-column body

Needs edgebert, pyspark, pandas, pyarrow and Java 17 or newer, but not PyTorch. Each Spark task (a partition of the
corpus) opens the bundle once, with one thread. The Parquet files in `answers` have the columns of the corpus and
`answer`: the embedding for a bundle with the task similarity, otherwise the prediction as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col, pandas_udf

import edgebert


def answer_udf(bundle: str) -> Any:  # noqa: ANN401 - what pandas_udf makes
    """Make a UDF for a column of texts. It returns the embedding (task similarity) or JSON, null without a text."""
    with edgebert.load(bundle) as model:
        embeds = model.manifest.task == "similarity"

    def answers(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        with edgebert.load(bundle, threads=1) as model:
            for texts in batches:
                yield pd.Series([_answer(model, text, embeds) for text in texts], dtype=object)

    return pandas_udf(answers, "array<float>" if embeds else "string")


def _answer(model: Callable[[str], Any], text: object, embeds: bool) -> Any:  # noqa: ANN401
    if not isinstance(text, str) or not text.strip():  # pandas 3 makes NaN of null
        return None
    return model(text).embedding if embeds else json.dumps(model(text).to_dict())


def answer_corpus(spark: SparkSession, bundle: Path, corpus: Path, column: str) -> DataFrame:
    """Return the corpus with its answers, which are computed when it is written or collected.

    Raises:
        ValueError: The corpus has no such column.
    """
    rows = spark.read.parquet(str(corpus.resolve()))
    if column not in rows.columns:
        has = ", ".join(rows.columns)
        raise ValueError(f"{corpus}: no column {column!r}; it has {has}; name it with --text-column")
    return rows.withColumn("answer", answer_udf(str(bundle.resolve()))(col(f"`{column}`")))


def local_session(cores: str = "*") -> SparkSession:
    """Start Spark only on this machine, on the loopback. On a cluster, use the session of `spark-submit` instead."""
    # Without this, workers use the `python3` on PATH, which may be a different one.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(f"local[{cores}]").appName("edgebert")
    for key, value in {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "1000",
    }.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, run the corpus, and write the answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("corpus", type=Path, help="a Parquet file, or a folder of them")
    parser.add_argument("out", type=Path, help="a new folder for the answers")
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--cores", default="*", help="of this machine (default: all)")
    options = parser.parse_args(arguments)
    if options.out.exists():
        print(f"{options.out}: is there already; name a new folder", file=sys.stderr)
        return 2
    spark = local_session(options.cores)
    try:
        answer_corpus(spark, options.bundle, options.corpus, options.text_column).write.parquet(
            str(options.out.resolve())
        )
    except (ValueError, edgebert.InputError) as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())

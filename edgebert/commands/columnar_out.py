"""Answers as a Parquet or Arrow file, written some rows at a time, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from itertools import chain, islice
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from edgebert.commands.columnar import ROWS, Batch, Part, Schema, is_columnar, pyarrow
from edgebert.data.formats import COLUMNAR
from edgebert.errors import DataError, DiskError, InputError
from edgebert.runtime.inputs import Text
from edgebert.runtime.prediction import Prediction
from edgebert.whole_file import new_file_beside

PREFIX = "predicted_"
# A row group (Parquet) or a record batch (Arrow) ends at the first of the two.
GROUP_ROWS, GROUP_BYTES = 10_000, 32 << 20
# A run over millions of texts takes hours, and nothing is written between two row groups.
STALE_SECONDS = 7 * 86_400.0


def check_out(out: Path, source: Path | None) -> None:
    """Refuse a file that cannot be written.

    Raises:
        InputError: Its name ends in another format, it is a folder, its folder is missing, or it is what is read.
        MissingDependencyError: pyarrow is not installed.
    """
    if not is_columnar(out):
        raise InputError(
            f"--out is {str(out)!r:.200}; expected a name that ends in {' or '.join(COLUMNAR)}; for other formats "
            "send --jsonl to a file"
        )
    pyarrow()
    if out.is_dir():
        raise InputError(f"--out {out}: is a folder; name a file")
    if not out.parent.is_dir():
        raise InputError(f"--out {out}: the folder {out.parent} does not exist; make it first")
    if source is not None and source.exists() and out.exists() and source.samefile(out):
        raise InputError(f"--out {out}: is the input file; name another one")


def write_answers(out: Path, parts: Iterable[Part]) -> int:
    """Write answers behind the columns of their rows; return the number of rows.

    The file appears under its name once all is written. Columns of answers are the fields of the prediction, each
    behind `predicted_`.

    Raises:
        DataError: The rows have such a column, or one that the format cannot hold.
        DiskError: The folder cannot be written, or its disk is full.
    """
    try:
        with new_file_beside(out, ".partial", STALE_SECONDS) as (temporary, descriptor):
            with os.fdopen(descriptor, "wb") as file:
                count = _write(file, out, iter(parts), pyarrow())
            os.replace(temporary, out)
    except OSError as error:
        raise DiskError(f"{out}: cannot be written ({error.strerror or error}); free space or name another") from None
    return count


def batches_of(answers: Iterable[tuple[Text, Prediction]]) -> Iterator[Part]:
    """Texts of another source with their answers, under `text` and `text_pair`."""
    pa, several = pyarrow(), iter(answers)
    while some := list(islice(several, ROWS)):
        pairs = [text if isinstance(text, tuple) else (text, None) for text, _ in some]
        columns = {"text": [pair[0] for pair in pairs]}
        if isinstance(some[0][0], tuple):
            columns["text_pair"] = [pair[1] for pair in pairs]
        strings = [pa.array(values, pa.string()) for values in columns.values()]
        batch = pa.RecordBatch.from_arrays(strings, list(columns))
        yield Part(batch, [text for text, _ in some], [answer for _, answer in some])


def _write(file: Any, out: Path, parts: Iterator[Part], pa: Any) -> int:  # noqa: ANN401
    """Write every part; return the number of rows."""
    first = next(parts)
    schema = _schema(out, first, pa)
    waiting: list[Batch] = []
    count = 0
    with _writer(file, out, schema, pa) as write:
        for part in chain([first], parts):
            waiting.append(_joined(part, schema, pa))
            count += waiting[-1].num_rows
            if sum(each.num_rows for each in waiting) >= GROUP_ROWS or _size(waiting) >= GROUP_BYTES:
                write(pa.Table.from_batches(waiting))
                waiting = []
        if waiting:
            write(pa.Table.from_batches(waiting))
    return count


def _size(batches: Sequence[Batch]) -> int:
    return sum(batch.nbytes for batch in batches)


@contextmanager
def _writer(file: Any, out: Path, schema: Schema, pa: Any) -> Iterator[Any]:  # noqa: ANN401
    """A function that writes a table as one group of rows.

    Raises:
        DataError: The format has no such column.
    """
    try:
        if out.suffix.lower() == ".parquet":
            with pa.parquet.ParquetWriter(file, schema) as writer:
                yield writer.write_table
        else:
            with pa.ipc.new_file(file, schema) as writer:
                yield lambda table: writer.write_table(table.combine_chunks())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{out}: {reason:.200}; leave that column out, or name a file of the other format") from None


def _joined(part: Part, schema: Schema, pa: Any) -> Batch:  # noqa: ANN401
    batch, answers = part.batch, part.answers
    rows = [answer.to_dict() for answer in answers]
    columns = [
        pa.array([_pairs(row[field.name.removeprefix(PREFIX)]) for row in rows], field.type)
        for field in list(schema)[batch.num_columns :]
    ]
    return pa.RecordBatch.from_arrays([*batch.columns, *columns], schema=schema)


def _pairs(value: object) -> object:
    """Arrow takes a map as a list of pairs."""
    return list(value.items()) if isinstance(value, dict) else value


def _schema(out: Path, part: Part, pa: Any) -> Schema:  # noqa: ANN401
    """Columns of the rows, and one for every field of the answers."""
    batch, answers = part.batch, part.answers
    hints = get_type_hints(type(answers[0]))
    found = [pa.field(PREFIX + field.name, _type(hints[field.name], pa)) for field in fields(answers[0])]
    for field in found:
        if field.name in batch.schema.names:
            raise DataError(f"{out}: the input has a column '{field.name}' already; rename it or leave it out")
    return pa.schema([*batch.schema, *found], metadata=batch.schema.metadata)


def _type(hint: Any, pa: Any) -> Any:  # noqa: ANN401
    """Arrow's type for a field of a prediction."""
    simple = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
    if hint in simple:
        return simple[hint]
    if is_dataclass(hint) and isinstance(hint, type):
        hints = get_type_hints(hint)
        return pa.struct([(field.name, _type(hints[field.name], pa)) for field in fields(hint)])
    inside = [each for each in get_args(hint) if each not in (NoneType, Ellipsis)]
    if get_origin(hint) is dict:
        return pa.map_(*(_type(each, pa) for each in inside))
    if isinstance(hint, UnionType):
        return _type(inside[0], pa)
    # The only list of numbers is an embedding, which the graph returns in FP32.
    return pa.list_(pa.float32() if inside == [float] else _type(inside[0], pa))

"""Parquet and Arrow files of texts, read a few rows at a time by pyarrow, which the extra `parquet` brings."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeAlias

from edgebert.commands.output import note
from edgebert.data.columns import Columns
from edgebert.data.delimited import nearest
from edgebert.data.empty import SHOWN, skipped_of
from edgebert.data.examples import Example, example_of, listed, place_in, unless_empty
from edgebert.data.formats import COLUMNAR
from edgebert.data.named import Named
from edgebert.data.text_file import suffix_of
from edgebert.errors import DataError, InputError, MissingColumnError
from edgebert.runtime.inputs import Text
from edgebert.runtime.model import Model
from edgebert.runtime.prediction import Prediction
from edgebert.runtime.progress import shown
from edgebert.runtime.rows import refuse_pairs, text_namings
from edgebert.strict_json import open_regular
from edgebert.versions import check_version, not_imported

# pyarrow has no type annotations.
Batch: TypeAlias = Any
Schema: TypeAlias = Any
Field: TypeAlias = Any

# Rows in memory at a time; long texts are megabytes each.
ROWS = 128
# Number of bytes of a compressed column that are read at a time.
READ_BYTES = 1 << 20
QUIET_S = 2.0


@dataclass(frozen=True)
class Part:
    """Some rows of a file: the columns that were asked for, what the model was asked, and its answers."""

    batch: Batch
    texts: Sequence[Text]
    answers: Sequence[Prediction]


def is_columnar(path: Path) -> bool:
    """Whether a file's name is that of a Parquet or Arrow file."""
    return path.suffix.lower() in COLUMNAR


def pyarrow() -> Any:  # noqa: ANN401
    """Import pyarrow with what reads and writes files.

    Raises:
        MissingDependencyError: It is not installed, or too old.
    """
    try:
        import pyarrow as pa
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as error:
        raise not_imported("pyarrow", error) from None
    check_version("pyarrow", pa.__version__)
    return pa


@contextmanager
def opened(path: Path) -> Iterator[Columnar]:
    """Open a Parquet or Arrow file.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        DataError: There is no such file, or it is none of that format.
    """
    pa = pyarrow()
    if path.is_dir():
        raise DataError(f"{path}: is a folder; name one data file of it")
    try:
        file = open_regular(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path and the folder it is relative to") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    with file:
        yield Columnar(path, file, pa)


class Columnar:
    """An open file, which can be read again from its beginning."""

    def __init__(self, path: Path, file: IO[bytes], pa: Any) -> None:  # noqa: ANN401
        """Take the file's name, the file, and pyarrow.

        Raises:
            DataError: It is no file of its format.
        """
        self.path = path
        self._file, self._pa = file, pa
        self._is_parquet = suffix_of(path) == ".parquet"
        with self._told():
            found = self._open()
            self.schema: Schema = found.schema_arrow if self._is_parquet else found.schema
            # Of Arrow it is known once the file has been read.
            self.count: int | None = found.metadata.num_rows if self._is_parquet else None
            self.names = list(self.schema.names)

    def columns(self, namings: Sequence[Columns]) -> Columns:
        """The first naming whose texts are all there, as strings.

        Raises:
            MissingColumnError: There is none.
            DataError: A column is there twice, or holds something else than strings.
        """
        names = self.names
        usable = [each for each in namings if each.header]
        chosen = next((each for each in usable if set(_texts(each)) <= set(names)), None)
        if chosen is None:
            name = next(name for name in _texts(usable[0]) if name not in names)
            has = listed([repr(each) for each in names]) + nearest(name, names)
            raise MissingColumnError(
                f"{self.path}: no column '{name}'; it has {has or 'none'}; name it with --text-column", column=name
            )
        for name in _texts(chosen):
            if names.count(name) > 1:
                raise DataError(f"{self.path}: column '{name}' stands {names.count(name)} times; name each once")
            kind = self.schema.field(name).type
            if not self._is_text(kind):
                raise DataError(f"{self.path}: column '{name}' is {kind}; expected strings (--text-column names it)")
        return chosen

    def rows(self, columns: Columns, whole: bool) -> Iterator[tuple[Batch, list[Example]]]:
        """Rows in order with their texts; `whole` with every other column too.

        Raises:
            DataError: A damaged file, or a text that is empty or not UTF-8; of empty ones with `skip_empty` the rows
                are marked.
        """
        number = 0
        names = None if whole else _texts(columns)
        for batch in self._batches(names):
            yield batch, [self._row(batch, at, columns, number + at + 1) for at in range(batch.num_rows)]
            number += batch.num_rows

    def indices(self, rows: Sequence[int]) -> Any:  # noqa: ANN401
        """Row numbers as pyarrow takes them."""
        return self._pa.array(rows, self._pa.int64())

    def _row(self, batch: Batch, at: int, columns: Columns, number: int) -> Example:
        try:
            values = {name: batch.column(name)[at].as_py() for name in _texts(columns)}
        except UnicodeDecodeError:
            place = place_in(self.path, number)
            raise DataError(f"{place}: holds bytes that are not UTF-8; write the column as UTF-8") from None
        return unless_empty(
            partial(example_of, self.path, values, columns, number), self.path, number, columns.skip_empty
        )

    def _batches(self, names: list[str] | None) -> Iterator[Batch]:
        """Record batches of at most `ROWS` rows."""
        with self._told():
            file = self._open()
            if self._is_parquet:
                batches = file.iter_batches(batch_size=ROWS, columns=names, use_threads=False)
            elif hasattr(file, "num_record_batches"):
                batches = map(file.get_batch, range(file.num_record_batches))
            else:
                batches = file
            for batch in batches:
                chosen = batch if names is None else batch.select(names)
                self._validate(chosen)
                yield from (chosen.slice(start, ROWS) for start in range(0, batch.num_rows, ROWS))

    def _validate(self, batch: Batch) -> None:
        """Check offsets and lengths: Arrow takes them from a file as they are, and a wrong one crashes the process.

        Whether strings are UTF-8 is left to whoever reads a row, who can name it.
        """
        pa = self._pa
        bytes_of = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}
        for column in batch.columns:
            kind = bytes_of.get(column.type)
            (column if kind is None else column.view(kind)).validate(full=True)

    def _open(self) -> Any:  # noqa: ANN401
        pa = self._pa
        self._file.seek(0)
        if self._is_parquet:
            return pa.parquet.ParquetFile(self._file, buffer_size=READ_BYTES, pre_buffer=False)
        is_file = self._file.read(6) == b"ARROW1"
        self._file.seek(0)
        return (pa.ipc.open_file if is_file else pa.ipc.open_stream)(self._file)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Name the file where pyarrow cannot read it.

        Raises:
            DataError: In place of pyarrow's errors.
        """
        try:
            yield
        except (self._pa.ArrowException, OSError, UnicodeDecodeError) as error:
            kind = "a Parquet" if self._is_parquet else "an Arrow IPC"
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"{self.path}: cannot be read as {kind} file ({reason:.200}); write it again") from None

    def _is_text(self, kind: Any) -> bool:  # noqa: ANN401
        types = self._pa.types
        kind = kind.value_type if types.is_dictionary(kind) else kind
        is_view = getattr(types, "is_string_view", lambda kind: False)(kind)
        return bool(types.is_string(kind) or types.is_large_string(kind) or is_view)


def _texts(columns: Columns) -> list[str]:
    return [name for name in (columns.text, columns.text_pair) if name]


def answered(model: Model, path: Path, named: Named, second: str | None, whole: bool) -> Iterator[Part]:
    """Answer the texts of a file, a few rows at a time, after all of them are known to be usable.

    Rows with an empty cell are left out where `named` says so. `whole` asks for every column of the rows.

    Raises:
        InputError: As of `chosen_columns`, or the file has pairs and a second text is given too.
        DataError: The file or a text of it cannot be used.
    """
    with opened(path) as table:
        columns = chosen_columns(table, model, named)
        if second is not None and columns.text_pair:
            raise InputError(f"{path}: has pairs, and a second text is given too; leave one of them out")
        total = check_rows(table, columns, model, second)
        with shown(not sys.stdout.isatty() or whole, total, QUIET_S, "predict") as advance:
            for batch, rows in table.rows(columns, whole):
                kept = [at for at, row in enumerate(rows) if not row.empty]
                texts = [given_of(rows[at], second) for at in kept]
                if not texts:
                    continue
                # One text at a time, as in `predict`: dynamic INT8 uses one scale for all texts that run together.
                answers = []
                for text in texts:
                    answers.append(model(text))
                    advance(1)
                yield Part(batch if len(kept) == len(rows) else batch.take(table.indices(kept)), texts, answers)


def chosen_columns(table: Columnar, model: Model, named: Named) -> Columns:
    """The columns of a file that a bundle reads its texts from.

    Raises:
        InputError: `named` names what the task does not have, or the file has pairs and the bundle takes single texts.
        DataError: There are none.
    """
    namings = text_namings(table.path, model.manifest, named)
    names = table.names
    refuse_pairs(table.path, model.manifest, named, lambda first, pair: first in names and pair in names)
    return table.columns(namings)


def check_rows(table: Columnar, columns: Columns, model: Model, second: str | None) -> int:
    """Encode every text of a file once, so that what is refused is refused before any answer; return their number.

    Raises:
        DataError: There are no rows, or a text cannot be answered; names the row.
    """
    kept, skipped = 0, 0
    first: list[int] = []
    with shown(True, table.count, QUIET_S, "check") as advance:
        for _, rows in table.rows(columns, whole=False):
            for row in rows:
                if row.empty:
                    skipped += 1
                    first += [row.line] if len(first) < SHOWN else []
                    continue
                kept += 1
                with row.told():
                    model.task.encode(given_of(row, second))
            advance(len(rows))
    if not kept:
        why = "every row has an empty cell" if skipped else "holds no rows"
        raise DataError(f"{table.path}: {why}; name the column of the texts with --text-column, or give another file")
    if said := skipped_of(table.path, kept, skipped, first, "row"):
        note(f"edgebert: {said}")
    return kept


def given_of(row: Example, second: str | None) -> Text:
    """What a model is asked for a row: its text, its pair, or its text with the second one of the command line."""
    pair = row.text_pair if second is None else second
    return row.text if pair is None else (row.text, pair)

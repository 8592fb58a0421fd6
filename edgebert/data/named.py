"""Column names that a user gives in place of those that a bundle was made from. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict, TypeVar

from edgebert.data.columns import Columns, Delimiter
from edgebert.data.delimited import nearest
from edgebert.errors import InputError, MissingColumnError

Value = TypeVar("Value")

OPTIONS = {
    "text": "--text-column",
    "text_pair": "--pair-column",
    "label": "--label-column",
    "tags": "--tags-column",
    "delimiter": "--delimiter",
    "header": "--no-header",
    "skip_empty": "--skip-empty",
}


class NamedRow(TypedDict):
    """`Named` as a job's JSON carries it."""

    text: str
    text_pair: str
    label: str
    tags: str
    delimiter: Delimiter
    header: bool
    skip_empty: bool


@dataclass(frozen=True)
class Named:
    """Names of columns, or of JSON keys; "" for those of the bundle's data.

    `tags` is the column of the tags or entities in tasks over words, where `label` is the intent. `skip_empty` says
    that rows with an empty cell are skipped.
    """

    text: str = ""
    text_pair: str = ""
    label: str = ""
    tags: str = ""
    delimiter: Delimiter = "suffix"
    header: bool = True
    skip_empty: bool = False

    def as_dict(self) -> NamedRow:
        """Return the names as JSON values."""
        return {
            "text": self.text,
            "text_pair": self.text_pair,
            "label": self.label,
            "tags": self.tags,
            "delimiter": self.delimiter,
            "header": self.header,
            "skip_empty": self.skip_empty,
        }

    def given(self) -> list[str]:
        """The command line options that are set."""
        usual = Named()
        return [option for key, option in OPTIONS.items() if getattr(self, key) != getattr(usual, key)]

    def over(self, columns: Columns) -> Columns:
        """Replace column names by those that are set, and expect a header unless the options say there is none."""
        names = {key: name for key in ("text", "text_pair", "label") if (name := getattr(self, key))}
        values = {key: value for key, value in vars(columns).items() if key != "named"} | names
        values["header"] = self.header if names or not self.header else columns.header
        values["skip_empty"] = self.skip_empty
        if self.delimiter != "suffix":
            values["delimiter"] = self.delimiter
        return NamedColumns(**values, named=self) if self.given() else columns

    def refuse(self, keys: tuple[str, ...], fact: str) -> None:
        """Refuse options that do not apply.

        Raises:
            InputError: One of them is set.
        """
        options = [option for option in self.given() if option in [OPTIONS[key] for key in keys]]
        if options:
            raise InputError(f"{fact}; leave {' and '.join(options)} out")


@dataclass(frozen=True)
class NamedColumns(Columns):
    """Columns, some of which a user named."""

    named: Named = field(default_factory=Named)


def named_of(columns: Columns) -> Named:
    """The user's names among the columns."""
    return columns.named if isinstance(columns, NamedColumns) else Named()


def renamed(row: Mapping[str, Value], keys: Mapping[str, str], place: str) -> dict[str, Value]:
    """Copy a row's values to the usual keys.

    Args:
        row: An object of JSON Lines.
        keys: Maps the usual key to the row's key; "" for the usual one.
        place: File and line.

    Raises:
        MissingColumnError: The row does not have a key; names those that it has.
    """
    named = {usual: name for usual, name in keys.items() if name}
    for name in named.values():
        if name not in row:
            has = " ".join(", ".join(row).split())[:200]
            raise MissingColumnError(f"{place}: no key '{name}'; the row has: {has}{nearest(name, row)}", column=name)
    return {**row, **{usual: row[name] for usual, name in named.items()}}


def column_number(name: str, option: str, usual: int) -> int:
    """Number of a CoNLL column: from 0 on the left, or from -1 on the right.

    Raises:
        InputError: It is not such a number.
    """
    if not name:
        return usual
    if not name.removeprefix("-").isdecimal() or len(name) > 3:
        raise InputError(f"{option} is {name!r:.60}; give the column's number, from 0, or backwards from -1")
    return int(name)

"""Parts of a report: tables, plots and sections, independent of format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = TypeVar("Row")
Tone = Literal["good", "bad", "plain"]


@dataclass(frozen=True)
class Cell:
    """One figure or name: `under` is its interval or a remark, `bar` a share of 0 to 1 drawn behind the row."""

    text: str
    under: str = ""
    bar: float | None = None
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first column names the row."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    wording: frozenset[int] = frozenset({0})


@dataclass(frozen=True)
class Plot:
    """A plot to draw: `draw` gets axes when a page is made, so that tables alone need no matplotlib.

    `alt` describes the plot in words; `height` is in pixels for a width of 400.
    """

    title: str
    alt: str
    about: str
    height: int
    draw: Callable[[Axes], None]


@dataclass(frozen=True)
class Section:
    """A part of the report under one heading."""

    title: str
    about: str = ""
    plots: tuple[Plot, ...] = ()
    tables: tuple[Table, ...] = ()
    commands: tuple[str, ...] = ()
    details: tuple[tuple[str, str], ...] = ()
    estimated: bool = False


Column = tuple[str, Callable[[Row], Cell | None]]


def table(caption: str, columns: Sequence[Column[Row]], rows: Iterable[Row], words: Iterable[str] = ()) -> Table:
    """Make a table, without columns that are empty in all rows.

    Args:
        caption: Description of the rows.
        columns: Heading, and the function that makes a row's cell; the first column always stays.
        rows: Arguments for the columns' functions.
        words: Headings of columns that hold words instead of figures, besides the first.
    """
    cells = [[cell(row) for _, cell in columns] for row in rows]
    held = [at for at in range(len(columns)) if at == 0 or any(row[at] for row in cells)]
    spoken = {"", *words}
    return Table(
        caption,
        tuple(columns[at][0] for at in held),
        tuple(tuple(row[at] or Cell("") for at in held) for row in cells),
        frozenset(place for place, at in enumerate(held) if place == 0 or columns[at][0] in spoken),
    )

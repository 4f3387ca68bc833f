"""Tables of report pages, as their templates show them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

#: The kinds of cells, each with a CSS class.
NUMBER, TEXT, TIME, STATE = "number", "text", "time", "state"


#: So many columns fit the narrowest screens.
_FEW_COLUMNS = 6


class Column(NamedTuple):
    """A column: its title, an explanation or ``""``, and the kind of its cells."""

    text: str
    hint: str = ""
    kind: str = NUMBER

    @property
    def is_number(self) -> bool:
        """Whether the column has numbers."""
        return self.kind == NUMBER


class Cell(NamedTuple):
    """A cell, with a tooltip and the URL of its text, or ``""``."""

    text: str
    kind: str = NUMBER
    title: str = ""
    url: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRow:
    """A row of a table.

    Attributes:
        name: the text of its first cell. It may come from strangers: escape it.
        url: the URL of that text: usually the same page, filtered by it.
        url_title: the tooltip of that link.
        outside: the URL of another site that the row is about, or ``""``.
        report: the URL of its report, or ``""``.
        bar: the bar behind its name, as SVG.
        cells: the other cells.
    """

    name: str
    url: str = ""
    url_title: str = ""
    outside: str = ""
    report: str = ""
    bar: str = ""
    cells: Sequence[Cell] = ()


class Tab(NamedTuple):
    """A link to another list of the same section."""

    text: str
    url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A table with its title.

    Attributes:
        key: the prefix of the ids of its elements, unique on the page.
        title: its title.
        heads: the columns.
        rows: the rows.
        empty: the text to show without rows.
        hint: a sentence that explains it, or ``""``.
        tabs: links to other lists of the section.
        all_url: the URL of all rows, or ``""`` if these are all.
        csv_url: the URL of the CSV file, or ``""``.
        is_wide: whether it takes the whole width of the page.
    """

    key: str
    title: str
    heads: Sequence[Column]
    rows: Sequence[TableRow]
    empty: str
    hint: str = ""
    tabs: Sequence[Tab] = field(default_factory=tuple)
    all_url: str = ""
    csv_url: str = ""
    is_wide: bool = False

    @property
    def takes_focus(self) -> bool:
        """Whether the keyboard must reach the table itself, to scroll it."""
        return len(self.heads) > _FEW_COLUMNS or not any(
            row.url or row.outside or row.report or any(cell.url for cell in row.cells)
            for row in self.rows
        )


class Paging(NamedTuple):
    """Links to the previous and the next page of a list, ``""`` if there is none."""

    text: str
    previous: str = ""
    next: str = ""


def outside(url: str) -> str:
    """Return an HTTP URL as it is, and ``""`` for any other text of a stranger.

    >>> outside("https://tea.example/x"), outside("javascript:alert(1)"), outside("/tea/")
    ('https://tea.example/x', '', '')
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in {"http", "https"} and parts.netloc else ""

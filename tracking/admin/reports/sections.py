"""Tables as the templates of reports show them: what is read is put into words here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

#: How a cell looks: by class.
NUMBER, TEXT, TIME = "number", "text", "time"


class Column(NamedTuple):
    """The head of a column, with an explanation if its word needs one."""

    text: str
    hint: str = ""
    kind: str = NUMBER

    @property
    def is_number(self) -> bool:
        """Whether the column has numbers."""
        return self.kind == NUMBER


class Cell(NamedTuple):
    """A cell; its title says more where the pointer rests."""

    text: str
    kind: str = NUMBER
    title: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRow:
    """A line of a table.

    Attributes:
        name: what it is about. It may come from strangers, and is no HTML.
        url: where its name leads: to the same page, narrowed down to it.
        url_title: what that link does.
        outside: the address of another site that the line is about, or ``""``.
        report: the URL of the report about it, or ``""``.
        bar: the bar behind its name.
        cells: the other columns.
    """

    name: str
    url: str = ""
    url_title: str = ""
    outside: str = ""
    report: str = ""
    bar: str = ""
    cells: Sequence[Cell] = ()


class Tab(NamedTuple):
    """Another list that can be shown in the same place."""

    text: str
    url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A table with its title.

    Attributes:
        key: begins the ids of its elements; unique on the page.
        title: what it is.
        heads: the columns.
        rows: the lines.
        empty: what is said where there are none.
        hint: a sentence that explains it, or ``""``.
        tabs: other lists that can be shown in its place.
        all_url: where all lines are, or ``""`` if these are all.
        csv_url: where the table is as a file, or ``""``.
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


class Paging(NamedTuple):
    """The way through a long list."""

    text: str
    previous: str = ""
    next: str = ""


def outside(url: str) -> str:
    """Return a URL if it leads to a page of the web, and else ``""``: it may be of a stranger.

    >>> outside("https://tea.example/x"), outside("javascript:alert(1)"), outside("/tea/")
    ('https://tea.example/x', '', '')
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in {"http", "https"} and parts.netloc else ""

"""The parts that reports are made of: figures, series, lists."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise

from tracking.reports.periods import Bucket

#: A title or an explanation, translated when it is shown.
Text = str | Promise


def share(part: float | None, whole: float | None) -> float | None:
    """Return how much of a whole a part is, ``None`` if that makes no sense."""
    return None if part is None or not whole else part / whole


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A number, and what it was in the period before.

    Attributes:
        name: what it is called in code, such as ``"visits"``.
        title: what it is called by people.
        explanation: one sentence that says what is counted.
        unit: ``"count"``, ``"rate"`` (0 to 1) or ``"seconds"``.
        value: the number; ``None`` where it is not known.
        before: that of the period before; ``None`` where it is not known.
    """

    name: str
    title: Text
    explanation: Text
    unit: str
    value: float | None
    before: float | None

    @property
    def change(self) -> float | None:
        """By how much it has changed, as a part of what it was: 0.12 is 12% more.

        ``None`` where that makes no sense, as after nothing at all.
        """
        if self.value is None or not self.before:
            return None
        return (self.value - self.before) / self.before

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "name": self.name,
            "title": str(self.title),
            "explanation": str(self.explanation),
            "unit": self.unit,
            "value": self.value,
            "before": self.before,
            "change": self.change,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """What a figure was in one bucket.

    Attributes:
        bucket: the piece of time.
        value: the number; ``None`` where it is not known or the bucket has not begun.
    """

    bucket: Bucket
    value: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**self.bucket.as_dict(), "value": self.value}


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """How a figure went.

    Attributes:
        name: that of the figure.
        title: likewise.
        unit: likewise.
        points: one for each bucket of the period.
        before: those of the period before, which may be one more or less for months.
    """

    name: str
    title: Text
    unit: str
    points: tuple[Point, ...]
    before: tuple[Point, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "name": self.name,
            "title": str(self.title),
            "unit": self.unit,
            "points": [point.as_dict() for point in self.points],
            "before": [point.as_dict() for point in self.before],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A line of a list.

    Attributes:
        value: what the rows are sorted by, as it is stored; ``""`` for none.
        label: how it is shown. It may come from strangers, and is no HTML.
        figure: the number.
        share: how much of the whole that is, 0 to 1; ``None`` if there is no whole.
        filter_key: the parameter of a query string that narrows a page down to it, or ``""``.
        filter_value: its value.
        numbers: further numbers of it, by name.
    """

    value: str
    label: str
    figure: int
    share: float | None
    filter_key: str = ""
    filter_value: str = ""
    numbers: Mapping[str, int]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "value": self.value,
            "label": self.label,
            "figure": self.figure,
            "share": self.share,
            "filter_key": self.filter_key,
            "filter_value": self.filter_value,
            **self.numbers,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """A part of a list, the largest first.

    Attributes:
        name: what it is called in code, such as ``"pages"``.
        title: what it is called by people.
        column: what is counted, for the head of the column of figures.
        rows: the lines.
        total: how many lines there are in all.
        offset: how many lines are before these.
        whole: what the shares are parts of.
    """

    name: str
    title: Text
    column: Text
    rows: tuple[Row, ...]
    total: int
    offset: int = 0
    whole: int

    @property
    def has_more(self) -> bool:
        """Whether lines follow."""
        return self.offset + len(self.rows) < self.total

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "name": self.name,
            "title": str(self.title),
            "column": str(self.column),
            "rows": [row.as_dict() for row in self.rows],
            "total": self.total,
            "offset": self.offset,
            "whole": self.whole,
        }

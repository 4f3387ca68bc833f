"""Parts of reports: figures, series and lists."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from tracking.reports.periods import Bucket

#: A title or an explanation, translated when it is shown.
Text = str | Promise

#: The label of all values that are not among the largest of their days, and what it means.
OTHER_VALUES = gettext_lazy("Other")
OTHER_HINT = gettext_lazy(
    "Each day counts its largest values one by one. “Other” is the sum of all the rest."
)


def share(part: float | None, whole: float | None) -> float | None:
    """Return a part divided by the whole, or ``None`` if one is unknown or the whole is 0."""
    return None if part is None or not whole else part / whole


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A number, and that of the previous period.

    Attributes:
        name: its name in code, such as ``"visits"``.
        title: the translated title.
        explanation: what is counted, in one or two sentences.
        unit: ``"count"``, ``"rate"`` (0 to 1) or ``"seconds"``.
        value: the number, or ``None`` if it is unknown.
        before: the number of the previous period, or ``None`` if it is unknown.
    """

    name: str
    title: Text
    explanation: Text
    unit: str
    value: float | None
    before: float | None

    @property
    def change(self) -> float | None:
        """The relative change: 0.12 is 12% more.

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


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """The value of a figure in one bucket. Reports have hundreds of them.

    Attributes:
        bucket: the bucket.
        value: the number, or ``None`` if it is unknown or the bucket has not begun.
    """

    bucket: Bucket
    value: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**self.bucket.as_dict(), "value": self.value}


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """A figure over time.

    Attributes:
        name: the name of the figure.
        title: its title.
        unit: its unit.
        points: one for each bucket of the period.
        before: the points of the previous period. There may be one more or less for months.
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
        value: the stored value, ``""`` for rows without one.
        label: the value as it is shown. It may come from strangers: escape it.
        figure: the number.
        share: its share of the whole, 0 to 1, or ``None`` if the whole is 0.
        filter_key: the query parameter that filters by the value, or ``""``.
        filter_value: the value of that parameter.
        numbers: further numbers, by name.
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
        name: its name in code, such as ``"pages"``.
        title: the translated title.
        column: the title of the column of figures.
        rows: the lines.
        total: the number of lines of the whole list.
        offset: the number of lines before these.
        whole: the sum of all figures, with that of ``other``.
        other: the line of all values that are not among the largest of their days, or ``None``.
    """

    name: str
    title: Text
    column: Text
    rows: tuple[Row, ...]
    total: int
    offset: int = 0
    whole: int
    other: Row | None = None

    @property
    def lines(self) -> tuple[Row, ...]:
        """The lines, and that of all other values if there are any."""
        return self.rows if self.other is None else (*self.rows, self.other)

    @property
    def has_more(self) -> bool:
        """Whether more lines follow."""
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
            "other": self.other and self.other.as_dict(),
        }

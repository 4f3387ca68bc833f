"""Counts of the whole site for reports, with and without filters."""

from datetime import date
from typing import Any, NamedTuple

from tracking.reports.filters import Filters
from tracking.rollups import read
from tracking.rollups.filtered_counts import FilteredDays
from tracking.rollups.read import Days, SiteCounts


def read_site(days: Days, filters: Filters, *, lists_from: date, **wanted: Any) -> SiteCounts:
    """Return counts of some days.

    Args:
        days: the days. With filters, only the first and the last matter.
        filters: the filters.
        lists_from: the first day of the lists.
        wanted: further arguments of :func:`tracking.rollups.read.site`.
    """
    if filters:
        condition = filters.condition()
        return FilteredDays.read(condition, days.first, days.last, lists_from).site(**wanted)
    return read.site(days, lists_from=lists_from, **wanted)


class Progress(NamedTuple):
    """How many days of a report are counted.

    Attributes:
        done: number of days that are counted.
        all: number of days to count.
    """

    done: int
    all: int


def count_days(
    first: date,
    last: date,
    filters: Filters,
    seconds: float | None = None,
    lists_from: date | None = None,
) -> Progress | None:
    """Count days with filters, so that the next report is quick.

    Args:
        first: the first day.
        last: the last day, included.
        filters: the filters.
        seconds: no further days are begun after this time; by default all are counted.
        lists_from: the first day of lists; by default that of the figures.

    Returns:
        How far it is, or ``None`` if nothing is left to do.
    """
    if not filters:
        return None
    days = FilteredDays.read(filters.condition(), first, last, lists_from)
    if days.is_mostly_open:
        return None
    days.make(seconds)
    if not days.missing or not days.can_keep:
        return None
    return Progress(len(days.kept), len(days.kept) + len(days.missing))

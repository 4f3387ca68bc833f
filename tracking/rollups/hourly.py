"""Counts by the hour, for the chart of one day.

They are stored among the counts of the day. Their values begin with the hour, as in
``"2026-03-29T10:00:00+00:00 open human"``.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime

from tracking.rollups import table_counts
from tracking.rollups.days import DAY, Intervals, hours_of, start_of
from tracking.rollups.site_counts import IntervalCounts
from tracking.rollups.table_counts import Run

_PREFIX = "hourly_"


def hourly_facet(name: str) -> str:
    """Return the facet of the hours of another facet.

    Args:
        name: one of :data:`tracking.rollups.site_counts.HOURLY`.
    """
    return _PREFIX + name


def is_hourly(facet: str) -> bool:
    """Return whether a facet is one of :func:`hourly_facet`."""
    return facet.startswith(_PREFIX)


def count(
    names: Collection[str], days: Sequence[date], using: str | None = None
) -> dict[str, IntervalCounts]:
    """Count the hours of some days, in one statement for each table.

    Args:
        names: some of :data:`tracking.rollups.site_counts.HOURLY`.
        days: consecutive days.
        using: the database alias; by default that of reads.

    Returns:
        For each name the counts by the index of the day and the stored value.
    """
    index_of = {start: number for number, day in enumerate(days) for start in hours_of(day).starts}
    starts = list(index_of)
    intervals = Intervals(starts, start_of(days[-1] + DAY))
    found: dict[str, IntervalCounts] = {name: {} for name in names}
    for cell in table_counts.cells(names, [Run(0, intervals)], using=using):
        start = starts[cell.interval]
        stored = f"{start.isoformat()} {cell.value}"
        found[cell.facet][index_of[start], stored] = cell.counts
    return found


def parse(value: str) -> tuple[datetime, str]:
    """Return the hour (aware) and the value of a stored value."""
    start, _space, rest = value.partition(" ")
    return datetime.fromisoformat(start), rest

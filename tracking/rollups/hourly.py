"""Hours of the days that are counted: the chart of one day tells them.

The counts of an hour are those of a day whose value begins with the hour, as in
``"2026-03-29T10:00:00+00:00 open human"``.
"""

from collections.abc import Sequence
from datetime import date, datetime

from tracking.rollups import site_counts
from tracking.rollups.days import DAY, Intervals, hours_of, start_of
from tracking.rollups.site_counts import IntervalCounts


def facet(name: str) -> str:
    """Return the facet of hours of another one, of :data:`counting.HOURLY`."""
    return f"hourly_{name}"


def count(name: str, days: Sequence[date], using: str | None = None) -> IntervalCounts:
    """Count the hours of some days, as they are stored.

    Args:
        name: one of :data:`counting.HOURLY`.
        days: days that follow each other.
        using: the alias of the database; by default that of reads.

    Returns:
        The numbers by the number of the day and the value.
    """
    index_of = {start: number for number, day in enumerate(days) for start in hours_of(day).starts}
    starts = list(index_of)
    intervals = Intervals(starts, start_of(days[-1] + DAY))
    return {
        (index_of[starts[interval]], f"{starts[interval].isoformat()} {value}"): numbers
        for (interval, value), numbers in site_counts.count(name, intervals, using=using).items()
    }


def read(value: str) -> tuple[datetime, str]:
    """Return the hour and the value of what is stored."""
    start, _space, rest = value.partition(" ")
    return datetime.fromisoformat(start), rest

"""Noting which days get rows after they could be counted, so that they are counted again.

A day is counted an hour after its end at the earliest (:mod:`tracking.rollups.build`), and
noted from half an hour on: what is written meanwhile has half an hour to be committed.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from tracking.db.column_values import storable_time
from tracking.models import LateDay
from tracking.rollups.days import day_of, start_of

#: How long after a day its rows are no news. A visit goes on for as long.
NOT_YET = timedelta(minutes=30)


def days_of(times: Iterable[datetime]) -> set[date]:
    """Return the days that are to be noted.

    Args:
        times: when something was observed, of which there is a row now.
    """
    limit = storable_time(start_of(day_of(datetime.now(UTC) - NOT_YET)))
    return {day_of(time) for time in map(storable_time, times) if time < limit}


def note(late: Iterable[date], using: str) -> None:
    """Note days, by one statement, in the transaction that writes their rows.

    Args:
        late: the days.
        using: the alias of the database.
    """
    LateDay.objects.using(using).bulk_create([LateDay(day=day) for day in sorted(late)])

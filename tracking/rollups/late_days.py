"""Note days that get late rows, so that they are counted again.

A day is counted an hour after its end at the earliest (:mod:`tracking.rollups.build`), and noted
from half an hour after its end on. So every row has half an hour to be committed.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from tracking.db.column_values import storable_time
from tracking.models import LateDay
from tracking.rollups.days import day_of, start_of

#: How long after the end of a day its rows are not late. A visit continues for as long.
GRACE = timedelta(minutes=30)


def days_of(times: Iterable[datetime]) -> set[date]:
    """Return the days of late rows.

    Args:
        times: the times of the rows written.
    """
    limit = storable_time(start_of(day_of(datetime.now(UTC) - GRACE)))
    return {day_of(time) for time in map(storable_time, times) if time < limit}


def note(late: Iterable[date], using: str) -> None:
    """Note days in one statement. Call it in the transaction that writes their rows.

    Args:
        late: the days.
        using: the database alias.
    """
    LateDay.objects.using(using).bulk_create([LateDay(day=day) for day in sorted(late)])

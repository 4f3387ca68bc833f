"""Days of the site's time zone, and intervals of time.

A day is a day in ``TIME_ZONE``, whatever zone is activated for a user: counts are the same for
everybody. On clock changes it has 23 or 25 hours.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple, Self

from django.db.models import F, Func, IntegerField, Q
from django.db.models.expressions import Combinable
from django.utils.timezone import get_default_timezone, get_default_timezone_name

from tracking.db.column_values import storable_time

DAY = timedelta(days=1)

#: The first day that is counted and can be asked for. An earlier time comes from a wrong clock.
EARLIEST = date(1990, 1, 1)


def zone_name() -> str:
    """Return the time zone whose days are counted, such as ``"Europe/Berlin"``."""
    return get_default_timezone_name()


def start_of(day: date) -> datetime:
    """Return when a day begins (aware, UTC).

    Args:
        day: a day of the site. If clocks are put forward at midnight, it begins right after
            the gap.
    """
    local = datetime(day.year, day.month, day.day, tzinfo=get_default_timezone())
    return local.astimezone(UTC)


def day_of(time: datetime) -> date:
    """Return the day of a time.

    Args:
        time: an aware time, or a naive one as columns have it with ``USE_TZ = False``.
    """
    if time.tzinfo is None:
        return time.date()
    try:
        return time.astimezone(get_default_timezone()).date()
    except OverflowError:  # the first or last hours of the calendar
        return time.date()


def today() -> date:
    """Return the current day of the site."""
    return day_of(datetime.now(UTC))


def span(first: date, last: date) -> list[date]:
    """Return the days from ``first`` to ``last``, both included."""
    return [first + DAY * number for number in range((last - first).days + 1)]


class Intervals(NamedTuple):
    """Consecutive intervals of time, without gaps.

    Attributes:
        starts: the start of each (aware).
        end: the end of the last one (aware).
    """

    starts: Sequence[datetime]
    end: datetime

    @classmethod
    def of_days(cls, first: date, last: date) -> Self:
        """Return the days from ``first`` to ``last``, both included."""
        return cls([start_of(day) for day in span(first, last)], start_of(last + DAY))

    @classmethod
    def steps(cls, start: datetime, end: datetime, step: timedelta) -> Self:
        """Return intervals of the length ``step`` from ``start`` to ``end``.

        The last one may be shorter.
        """
        number = max(-((start - end) // step), 1)
        return cls([start + step * position for position in range(number)], end)

    def within(self, field: str) -> Q:
        """Return the condition that a column is in one of the intervals.

        Args:
            field: the name of the column.
        """
        return Q(
            **{
                f"{field}__gte": storable_time(self.starts[0]),
                f"{field}__lt": storable_time(self.end),
            }
        )

    def index_of(self, time: datetime) -> int:
        """Return the index of the interval that contains a time.

        Args:
            time: aware or naive, as columns have it.
        """
        return bisect_right(self.starts, time, 1, key=storable_time) - 1

    def index_expression(self, field: str) -> Combinable:
        """Return the expression of the index of the interval that contains a column.

        Args:
            field: the name of the column.
        """
        return IntervalIndex(field, starts=tuple(self.starts))


def hours_of(day: date) -> Intervals:
    """Return the hours of a day: 23 to 25."""
    return Intervals.steps(start_of(day), start_of(day + DAY), timedelta(hours=1))


class IntervalIndex(Func):
    """The index of the interval that contains a column, as a tree of comparisons.

    Databases have no common way to cut time into days of a zone, and some need tables of time
    zones that are rarely installed. The SQL is built directly: hundreds of Django's ``When`` would
    take longer than the query.

    Args:
        field: the name of the column.
        starts: the start of each interval (aware). Earlier times belong to the first one.
    """

    output_field = IntegerField()

    def __init__(self, field: str, *, starts: tuple[datetime, ...]) -> None:
        super().__init__(F(field))
        self._starts = starts

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **context: Any) -> Any:
        """Return the tree as SQL."""
        (column,) = self.get_source_expressions()
        time, of_time = compiler.compile(column)
        adapted = [connection.ops.adapt_datetimefield_value(storable_time(s)) for s in self._starts]
        values: list[Any] = []

        def tree(low: int, high: int) -> str:
            if high - low == 1:
                return str(low)
            middle = (low + high) // 2
            values.extend([*of_time, adapted[middle]])
            before, after = tree(low, middle), tree(middle, high)
            return f"CASE WHEN {time} < %s THEN {before} ELSE {after} END"

        # Some databases do not group by a constant.
        sql = tree(0, len(adapted))
        return (sql if values else f"COALESCE(NULL, {sql})"), values

"""What is stored of one source, read by two short statements.

They are run for each report about a mailing, so they are written in SQL: Django's compiler would
take longer than the database.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import NamedTuple

from django.db import connections

from tracking.db.inserts import placeholders
from tracking.db.selects import select
from tracking.models import Beacon, DailyCount
from tracking.rollups.counts import OTHER, Counts
from tracking.rollups.source_counts import SourceKey

_TIME = Beacon._meta.get_field("time")
_DAY = DailyCount._meta.get_field("day")


class Ends(NamedTuple):
    """The ends of what is known of a source. ``None`` where nothing is known.

    Attributes:
        first: the time of its first beacon.
        last: the time of its last beacon.
        first_day: the first day with a stored count.
        last_day: the last day with a stored count.
    """

    first: datetime | None
    last: datetime | None
    first_day: date | None
    last_day: date | None

    @property
    def times(self) -> tuple[datetime, datetime] | None:
        """The times of its first and last beacon, or ``None`` if there is none."""
        return None if self.first is None or self.last is None else (self.first, self.last)


#: Read from the ends of two indexes. SQLite would read all rows for both ends at once.
_ENDS = ", ".join(
    f"(SELECT {column} FROM {table} WHERE {condition} ORDER BY {column}{direction} LIMIT 1)"  # noqa: S608
    for table, column, condition in (
        (Beacon._meta.db_table, "time", "source_type_id = %s AND source_id = %s"),
        (DailyCount._meta.db_table, "day", "scope = %s AND facet = 'times'"),
    )
    for direction in ("", " DESC")
)


def ends(source_key: SourceKey, using: str) -> Ends:
    """Return the ends of what is known of a source.

    Args:
        source_key: the source.
        using: the database alias.
    """
    parameters = [*source_key, *source_key, source_key.scope, source_key.scope]
    (row,) = select(f"SELECT {_ENDS}", parameters, (_TIME, _TIME, _DAY, _DAY), using)
    return Ends(*row)


def counts(
    source_key: SourceKey,
    by_day: Sequence[str],
    summed: Sequence[str],
    between: tuple[date, date],
    using: str,
) -> Iterator[tuple[str, date | None, str, Counts]]:
    """Yield facet, day, value and counts of some days. The day of sums is ``None``.

    The value of all others is :data:`tracking.rollups.counts.OTHER`.

    Args:
        source_key: the source.
        by_day: the facets to read by day.
        summed: the facets of which all days are added up.
        between: the first and last day, both included.
        using: the database alias.
    """
    ops = connections[using].ops
    table, key = DailyCount._meta.db_table, ops.quote_name("key")
    chosen = f"FROM {table} WHERE scope = %s AND day BETWEEN %s AND %s AND facet IN"
    sql = (
        f"SELECT facet, day, value, is_other, total, uniques {chosen} {placeholders(len(by_day))} "
        "UNION ALL "
        f"SELECT facet, NULL, value, is_other, SUM(total), SUM(uniques) {chosen} "
        # By the key, too: MariaDB does not group by all letters of a long value.
        f"{placeholders(len(summed))} GROUP BY {key}, facet, value, is_other"
    )
    common = [source_key.scope, *map(ops.adapt_datefield_value, between)]
    parameters = [*common, *by_day, *common, *summed]
    for facet, day, value, is_other, total, uniques in select(
        sql, parameters, (None, _DAY, None, None, None, None), using
    ):
        yield facet, day, OTHER if is_other else value, Counts(int(total), int(uniques))

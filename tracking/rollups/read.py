"""Read stored counts, and count all other days from their rows.

Counted days are read from their counts. Today, a day that ended less than an hour ago, days with
late rows and uncounted days are read from their rows. So the numbers are right whether or not
``tracking_rollup`` ever runs.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import date, datetime
from typing import Any, NamedTuple, Self
from uuid import UUID

from django.db import connections, router
from django.db.models import Case, F, IntegerField, QuerySet, TextField, Value, When

from tracking.db.planning import without_jit
from tracking.db.selects import select
from tracking.models import CountedDay, DailyCount
from tracking.rollups import (
    completeness,
    hourly,
    metric_definitions,
    site_counts,
    source_counts,
    stored_lists,
    stored_source,
    table_counts,
)
from tracking.rollups.build import first_day
from tracking.rollups.counts import Counts
from tracking.rollups.days import DAY, EARLIEST, Intervals, day_of, span, start_of
from tracking.rollups.largest_values import ListRow, Statement
from tracking.rollups.lock import ROLLUP
from tracking.rollups.months import MONTHS, stored_day
from tracking.rollups.site_counts import NO_FILTER, Where
from tracking.rollups.source_counts import SourceKey
from tracking.rollups.sql_text import WholeText
from tracking.rollups.stored_lists import StoredLists
from tracking.rollups.table_counts import Cell, CountedTable, ListKind, Run

#: More days that are not counted are added up by the database, not in memory.
MOST_OPEN_DAYS = 14

#: Counts by facet, day and value.
ByDay = dict[str, dict[tuple[date, str], Counts]]
#: Counts by facet and value.
ByValue = dict[str, dict[str, Counts]]


class Days(NamedTuple):
    """Consecutive days, and which of them are not counted.

    Attributes:
        first: the first day.
        last: the last day.
        open: the days to read from their rows, in order. None of a month that is stored as one:
            :mod:`tracking.rollups.months`.
        single: the first day that is counted one by one.
    """

    first: date
    last: date
    open: Sequence[date]
    single: date = EARLIEST

    @classmethod
    def between(cls, first: date, last: date, begin: date | None = None) -> Self:
        """Return the days from ``first`` to ``last``, both included, in one query or a few.

        Args:
            first: the first day.
            last: the last day.
            begin: the first day with any row, if it is known.
        """
        using = router.db_for_read(DailyCount)
        counted, single = valid_days(first, last, using)
        days = [day for day in span(first, last) if day not in counted]
        if days and (not counted or days[0] < min(counted)):
            # Days before the first row are empty.
            begin = begin or first_day(using)
            days = [day for day in days if begin is not None and day >= begin]
        return cls(first, last, [day for day in days if day >= single], single)

    @classmethod
    def uncounted(cls, first: date, last: date) -> Self:
        """Return the days from ``first`` to ``last``, both included, to be read from their rows."""
        return cls(first, last, span(first, last))

    def within(self, first: date, last: date) -> "Days":
        """Return the part of the days from ``first`` to ``last``, both included."""
        return Days(first, last, [day for day in self.open if first <= day <= last], self.single)

    def dated_runs(self) -> Iterator[tuple[date, Intervals]]:
        """Yield the runs, each after its first day."""
        for intervals in self.runs():
            yield day_of(intervals.starts[0]), intervals

    def runs(self) -> Iterator[Intervals]:
        """Yield the uncounted days in runs without a gap."""
        run: list[date] = []
        for day in self.open:
            if run and day != run[-1] + DAY:
                yield Intervals.of_days(run[0], run[-1])
                run = []
            run.append(day)
        if run:
            yield Intervals.of_days(run[0], run[-1])


def valid_days(first: date, last: date, using: str) -> tuple[Collection[date], date]:
    """Return the days whose counts are complete, and the first day that is counted one by one.

    They are mostly consecutive, so their number and ends are read first.

    Args:
        first: the first day.
        last: the last day, included.
        using: the database alias.
    """
    day, adapt = CountedDay._meta.pk, connections[using].ops.adapt_datefield_value
    parameters = [*map(adapt, (first, last)), ROLLUP, metric_definitions.VERSION]
    ((number, begin, end, months),) = select(
        f"SELECT COUNT(*), MIN(day), MAX(day), ({_MONTHS}) {_VALID}",
        [MONTHS, *parameters],
        (None, day, day, None),
        using,
    )
    single = date.fromisoformat(months) if months else EARLIEST
    days = span(begin, end) if number else []
    if number == len(days):
        return set(days), single
    return {one for (one,) in select(f"SELECT day {_VALID}", parameters, [day], using)}, single


_MONTHS = "SELECT value FROM tracking_agreed WHERE name = %s"


def valid_versions(first: date, last: date, using: str) -> dict[date, UUID]:
    """Return the versions of the days of :func:`valid_days`.

    Args:
        first: the first day.
        last: the last day, included.
        using: the database alias.
    """
    day, adapt = CountedDay._meta.pk, connections[using].ops.adapt_datefield_value
    parameters = [*map(adapt, (first, last)), ROLLUP, metric_definitions.VERSION]
    version = CountedDay._meta.get_field("version")
    return dict(select(f"SELECT day, version {_VALID}", parameters, [day, version], using))


#: Counted days without late rows, by the current definitions.
_VALID = """
FROM tracking_countedday AS counted
WHERE day BETWEEN %s AND %s
AND EXISTS (SELECT 1 FROM tracking_agreed WHERE name = %s AND value = %s)
AND NOT EXISTS (SELECT 1 FROM tracking_lateday AS late WHERE late.day = counted.day)"""


def by_hour(days: Days) -> dict[str, dict[tuple[datetime, str], Counts]]:
    """Return the counts of the whole site by hour.

    The facets are those of :data:`tracking.rollups.site_counts.HOURLY`.

    Args:
        days: the days.
    """
    found: dict[str, dict[tuple[datetime, str], Counts]] = {name: {} for name in site_counts.HOURLY}
    names = {hourly.hourly_facet(name): name for name in found}
    for facet, _day, value, numbers in _stored_days(
        "", names, days.first, days.last, without=days.open
    ):
        found[names[facet]][hourly.parse(value)] = numbers
    for first, intervals in days.dated_runs():
        run = span(first, first + DAY * (len(intervals.starts) - 1))
        for name, counted in hourly.count(list(found), run).items():
            for (_number, value), numbers in counted.items():
                found[name][hourly.parse(value)] = numbers
    return found


class SiteCounts(NamedTuple):
    """Counts of the whole site.

    Attributes:
        by_day: the counts by facet, day and value.
        lines: lines of lists.
    """

    by_day: ByDay
    lines: list[ListRow]


def site(
    days: Days,
    *,
    facets: Collection[str] = (),
    lists: Mapping[str, ListKind],
    lists_from: date,
    where: Where = NO_FILTER,
    limit: int | None = None,
    offset: int = 0,
) -> SiteCounts:
    """Return counts of the whole site. Rows are read in one statement for each table.

    Args:
        days: the days. None of them may be counted if there are conditions.
        facets: some of :data:`tracking.rollups.site_counts.FACETS` that are no lists.
        lists: lists by name: see :func:`tracking.rollups.largest_values.lists`.
        lists_from: the first day of the lists.
        where: conditions on the rows.
        limit: the maximum number of lines of a page, or ``None`` for all.
        offset: the number of lines before the page.
    """
    using = router.db_for_read(DailyCount)
    found = SiteCounts({name: {} for name in facets}, [])
    if facets and len(days.open) <= (days.last - days.first).days:
        stored = _stored_days("", facets, days.first, days.last, without=days.open)
        for facet, day, value, numbers in stored:
            found.by_day[facet][day, value] = numbers
    of_lists = days.within(lists_from, days.last)
    runs = [Run((first - days.first).days, intervals) for first, intervals in days.dated_runs()]
    from_index = (lists_from - days.first).days
    rows: Iterable[ListRow | Cell]
    if (counted := _stored_lists(lists, of_lists, using)) is not None:
        names = [*facets, *(name for kind in lists.values() for name in kind.facets)]
        cells = table_counts.cells(names, runs, where, using, from_index)
        rows = counted.with_cells(lists, cells, limit, offset)
    else:
        tables = table_counts.tables(facets, lists, from_index)
        page: dict[str, Any] = {"limit": limit, "offset": offset, "using": using}
        rows = _lines(tables if runs else (), lists, of_lists, runs, where, page)
    with without_jit(using) if runs else nullcontext():
        for row in rows:
            if isinstance(row, ListRow):
                found.lines.append(row)
            else:
                found.by_day[row.facet][days.first + DAY * row.interval, row.value] = row.counts
    return found


def _lines(
    tables: Iterable[CountedTable],
    lists: Mapping[str, ListKind],
    days: Days,
    runs: Sequence[Run],
    where: Where,
    page: Mapping[str, Any],
) -> Iterator[ListRow | Cell]:
    """Yield the lines of lists, added up by the database, and counts of other facets."""
    using = page["using"]
    if not runs:
        yield from table_counts.list_lines(lists, list(_stored_parts(lists, days, using)), **page)
    for counted in tables:
        parts = list(_stored_parts(counted.lists, days, using))
        yield from counted.lines(parts, runs, where, **page)


def _stored_lists(kinds: Mapping[str, ListKind], days: Days, using: str) -> StoredLists | None:
    """Return the lists of counted days, or ``None`` if the database must add them up."""
    number = len(days.open)
    if not kinds or number > MOST_OPEN_DAYS or number > (days.last - days.first).days:
        return None
    # A month that is stored as one can change while its days keep their versions.
    if days.first < days.single:
        return None
    versions = valid_versions(days.first, days.last, using)
    for day in days.open:
        versions.pop(day, None)
    # Days before the first are empty. If there is another gap, a day has changed meanwhile.
    known = [*versions, *days.open]
    if not versions or len(known) <= (days.last - min(known)).days:
        return None
    return stored_lists.read(kinds, days.first, versions, using)


def _stored_parts(kinds: Mapping[str, ListKind], days: Days, using: str) -> Iterator[Statement]:
    if not kinds or len(days.open) > (days.last - days.first).days:
        return
    place_of = {
        facet: (name, part)
        for name, kind in kinds.items()
        for part, facet in enumerate(kind.facets)
    }
    rows = _counts("", place_of, days.first, days.last).using(using)
    if days.open:
        rows = rows.exclude(day__in=days.open)
    columns = {
        "list": Case(
            *(When(facet=facet, then=Value(name)) for facet, (name, _part) in place_of.items()),
            output_field=TextField(),
        ),
        "part": Case(
            *(When(facet=facet, then=1) for facet, (_name, part) in place_of.items() if part),
            default=0,
            output_field=IntegerField(),
        ),
        "text": WholeText(F("value")),
        "other": Case(When(is_other=True, then=1), default=0, output_field=IntegerField()),
    }
    names = (*columns, "total", "uniques")
    statement = Statement.of(rows.annotate(**columns).order_by().values_list(*names), using)
    if statement is not None:
        yield statement


class SourceCounts(NamedTuple):
    """The counts of one source.

    Attributes:
        first: the first day with a beacon of it.
        last: the last day: today, or tomorrow if a clock is ahead.
        single: the first day that is counted one by one. Earlier months are stored as one, each on
            its first day.
        times: the times of the first and last beacon and of the first sent message, by the
            names ``first``, ``last`` and ``sent``, as far as there are any.
        by_day: the facets ``kinds`` and, as far as stored, ``quarters``.
        by_value: the other facets, with all days added up.
    """

    first: date
    last: date
    single: date
    times: dict[str, datetime]
    by_day: ByDay
    by_value: ByValue


#: The facets of a source that are read by day.
DAILY = ("kinds", source_counts.QUARTERS)

#: The facets of a source that are added up.
SUMMED = tuple(name for name in source_counts.FACETS if name not in {*DAILY, "times"})


def read_source(source_key: SourceKey, today: date, longest: int) -> SourceCounts:
    """Return the counts of one source.

    From the first uncounted day on, all days are counted from their rows: late rows may have
    changed who is new on each of them.

    Args:
        source_key: the source.
        today: the current day.
        longest: the maximum number of days; earlier ones are left out.
    """
    using = router.db_for_read(DailyCount)
    ends = stored_source.ends(source_key, using)
    known = [day_of(time) for time in ends.times or ()]
    known += [day for day in (ends.first_day, ends.last_day) if day is not None]
    # A clock that is far ahead must not make a report of centuries.
    last = min(max([today, *known]), today + DAY)
    first = max(min([last, *known]), last - DAY * (longest - 1))
    days = Days.between(first, last)
    first = stored_day(first, days.single)
    counted_until = days.open[0] - DAY if days.open else last
    found = SourceCounts(
        first, last, days.single, {}, {name: {} for name in DAILY}, {name: {} for name in SUMMED}
    )
    if ends.first_day is not None:
        for facet, day, value, numbers in stored_source.counts(
            source_key, (*DAILY, "times"), SUMMED, (first, counted_until), using
        ):
            if day is None:
                found.by_value[facet][value] = numbers
            else:
                _note(found, facet, day, value, numbers)
    if days.open and ends.times and day_of(ends.times[-1]) > counted_until:
        intervals = Intervals.of_days(days.open[0], last)
        for facet, counted in source_counts.count(source_key, intervals, using).items():
            for (interval, value), numbers in counted.items():
                _note(found, facet, days.open[0] + DAY * interval, value, numbers)
    return found


def has_counts(source_key: SourceKey) -> bool:
    """Return whether there is any stored count of a source."""
    rows = DailyCount.objects.using(router.db_for_read(DailyCount))
    return rows.filter(scope=source_key.scope).exists()


def _note(found: SourceCounts, facet: str, day: date, value: str, numbers: Counts) -> None:
    if facet == "times":
        name, _space, text = value.partition(" ")
        time = datetime.fromisoformat(text)
        latest = max if name == source_counts.LAST else min
        found.times[name] = latest(time, found.times.get(name, time))
    elif facet in found.by_day:
        found.by_day[facet][day, value] = numbers
    else:
        sums = found.by_value[facet]
        sums[value] = sums.get(value, Counts()).plus(numbers)


def quarters(
    source_key: SourceKey, intervals: Intervals, known: SourceCounts
) -> dict[tuple[int, str], int]:
    """Return opens and clicks by quarter of an hour, by index and kind.

    Args:
        source_key: the source.
        intervals: quarters of an hour.
        known: the counts of the source.
    """
    # Months that are stored as one have the quarters of their days, and cannot be compared.
    first, last = max(day_of(intervals.starts[0]), known.single), day_of(intervals.end)
    numbers = {start.isoformat(): number for number, start in enumerate(intervals.starts)}
    found: dict[tuple[int, str], int] = {}
    counted: Counter[date] = Counter()
    for (day, value), of_quarter in known.by_day[source_counts.QUARTERS].items():
        kind, _space, start = value.partition(" ")
        if first <= day <= last:
            counted[day] += of_quarter.total
        if start in numbers:
            found[numbers[start], kind] = of_quarter.total
    expected: Counter[date] = Counter()
    for (day, value), of_kind in known.by_day["kinds"].items():
        if first <= day <= last and value in metric_definitions.OPEN_OR_CLICK:
            expected[day] += of_kind.total
    if counted == expected:
        return found
    # A day is not counted, or its quarters were not stored, or they were without mail proxies.
    rows = source_counts.count_hits(source_key, intervals)
    return max(found, rows, key=lambda some: sum(some.values()))  # rows may have been deleted


def stage_totals(
    source_key: SourceKey, ends: tuple[datetime, datetime]
) -> Mapping[str, int] | None:
    """Return the number of entities by state and group, from stored counts.

    Of a state of :data:`tracking.rollups.metric_definitions.STATES`, those in stronger states are
    among them.

    Returns ``None`` if the counts are not complete: a day with beacons of the source is not
    counted, or counted rows may have been deleted.

    Args:
        source_key: the source.
        ends: the times of its first and last beacon.
    """
    counted = list(_stored_days(source_key.scope, ["stages"]))
    if not counted:
        return None
    using = router.db_for_read(DailyCount)
    first, last = map(day_of, ends)
    days = Days.between(first, last)
    first = stored_day(first, days.single)
    if min(day for _facet, day, *_rest in counted) < first or days.open:
        return None
    limit = completeness.deleted_until(using).get("beacon")
    if limit is not None and limit >= start_of(first):
        return None
    sums: Counter[str] = Counter()
    for _facet, _day, name, numbers in counted:
        sums[name] += numbers.uniques
    return sums


def _columns(scope: str) -> tuple[str, ...]:
    """Return the columns of counts in use: sources have no visits."""
    return Counts._fields[:2] if scope else Counts._fields


def _counts(scope: str, facets: Iterable[str], *between: date) -> QuerySet[DailyCount]:
    rows = DailyCount.objects.using(router.db_for_read(DailyCount))
    rows = rows.filter(scope=scope, facet__in=list(facets))
    return rows.filter(day__range=between) if between else rows


def _stored_days(
    scope: str, facets: Iterable[str], *between: date, without: Sequence[date] = ()
) -> Iterator[tuple[str, date, str, Counts]]:
    left_out = set(without)
    columns = ("facet", "day", "value", *_columns(scope))
    rows = _counts(scope, facets, *between).values_list(*columns)
    for facet, day, value, *numbers in rows:
        if day not in left_out:
            yield facet, day, value, Counts(*numbers)

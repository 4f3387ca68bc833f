"""What was counted, and what is still to be counted, as one.

Days that are counted are read from their counts, all others from their rows: today, one that
is over for less than an hour, those of which rows came late, and all that nobody has
counted. So the numbers are right whether or not days are ever counted.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date
from typing import NamedTuple, Self

from django.db import router
from django.db.models import Min, Q, QuerySet, Sum

from tracking.models import CountedDay, DailyCount, LateDay
from tracking.rollups import counting, sources
from tracking.rollups.closing import first_day
from tracking.rollups.days import DAY, Cells, day_of, span
from tracking.rollups.numbers import Numbers
from tracking.rollups.sources import Tie

#: Numbers by facet, day and value.
ByDay = dict[str, dict[tuple[date, str], Numbers]]
#: Numbers by facet and value.
ByValue = dict[str, dict[str, Numbers]]


class Days(NamedTuple):
    """Some days in a row, and which of them are to be counted from their rows.

    Attributes:
        first: the first day.
        last: the last day.
        open: those that are not counted, in order.
    """

    first: date
    last: date
    open: Sequence[date]

    @classmethod
    def between(cls, first: date, last: date) -> Self:
        """Return the days from ``first`` to ``last``, both included, by two or three queries."""
        using = router.db_for_read(DailyCount)
        within = Q(day__range=(first, last))
        counted = set(CountedDay.objects.using(using).filter(within).values_list("day", flat=True))
        late = LateDay.objects.using(using).filter(within)
        counted -= set(late.values_list("day", flat=True).distinct())
        days = [day for day in span(first, last) if day not in counted]
        if days and (not counted or days[0] < min(counted)):
            # What is before the first row has nothing to be counted.
            begin = first_day(using)
            days = [day for day in days if begin is not None and day >= begin]
        return cls(first, last, days)

    def within(self, first: date, last: date) -> "Days":
        """Return some of these days."""
        return Days(first, last, [day for day in self.open if first <= day <= last])

    def runs(self) -> Iterator[Cells]:
        """Return the days that are not counted, in runs without a gap."""
        run: list[date] = []
        for day in self.open:
            if run and day != run[-1] + DAY:
                yield Cells.of_days(run[0], run[-1])
                run = []
            run.append(day)
        if run:
            yield Cells.of_days(run[0], run[-1])


def by_day(facets: Collection[str], days: Days) -> ByDay:
    """Return the numbers of the whole site, day by day.

    Args:
        facets: some of :data:`tracking.rollups.counting.FACETS`.
        days: the days.
    """
    found: ByDay = {name: {} for name in facets}
    for facet, day, value, numbers in _stored_days("", facets, days.first, days.last, days.open):
        found[facet][day, value] = numbers
    for cells, first in _open_runs(days):
        for name in facets:
            for (cell, value), numbers in counting.count(name, cells).items():
                found[name][first + DAY * cell, value] = numbers
    return found


def by_value(facets: Collection[str], days: Days) -> ByValue:
    """Return the numbers of the whole site, those of all days added up.

    Args:
        facets: some of :data:`tracking.rollups.counting.FACETS`.
        days: the days.
    """
    found: ByValue = {name: defaultdict(Numbers) for name in facets}
    for facet, value, numbers in _stored_sums("", facets, days.first, days.last, days.open):
        found[facet][value] = numbers
    for cells, _first in _open_runs(days):
        for name in facets:
            for (_cell, value), numbers in counting.count(name, cells).items():
                found[name][value] = found[name][value].plus(numbers)
    return found


def _open_runs(days: Days) -> Iterator[tuple[Cells, date]]:
    for cells in days.runs():
        yield cells, day_of(cells.starts[0])


class OfSource(NamedTuple):
    """What is known of one source over some days.

    Attributes:
        by_day: the facets that are told day by day: ``deeds`` and ``kinds``, and ``quarters``
            as far as they are counted.
        by_value: the others, those of all days added up.
    """

    by_day: ByDay
    by_value: ByValue


#: What is told of a source day by day.
DAILY = ("deeds", "kinds")


def of_source(tie: Tie, first: date, last: date) -> OfSource:
    """Return the numbers of one source.

    From the first day on that is not counted, all are counted from their rows: who was first
    may have changed on each of them.

    Args:
        tie: the source.
        first: the first day of which it has any beacon.
        last: the last day to be told.
    """
    days = Days.between(first, last)
    counted_until = days.open[0] - DAY if days.open else last
    all_days: ByDay = {name: {} for name in DAILY}
    sums: ByValue = {name: defaultdict(Numbers) for name in sources.FACETS if name not in DAILY}
    for facet, day, value, numbers in _stored_days(tie.scope, DAILY, first, counted_until):
        all_days[facet][day, value] = numbers
    for facet, value, numbers in _stored_sums(tie.scope, sums, first, counted_until):
        sums[facet][value] = numbers
    if days.open:
        cells = Cells.of_days(days.open[0], last)
        for name, counted in sources.count(tie, cells).items():
            for (cell, value), numbers in counted.items():
                if name in DAILY:
                    all_days[name][days.open[0] + DAY * cell, value] = numbers
                else:
                    sums[name][value] = sums[name][value].plus(numbers)
    return OfSource(all_days, sums)


def first_day_of(tie: Tie) -> date | None:
    """Return the first day that is counted of a source, or ``None``."""
    rows = DailyCount.objects.using(router.db_for_read(DailyCount))
    found: date | None
    found = rows.filter(scope=tie.scope, facet="kinds").aggregate(first=Min("day"))["first"]
    return found


def quarters(tie: Tie, cells: Cells, known: OfSource) -> dict[tuple[int, str], int]:
    """Return the opens and clicks of people by cell and kind, soon after something began.

    Args:
        tie: the source.
        cells: quarters of an hour.
        known: its numbers.
    """
    first, last = day_of(cells.starts[0]), day_of(cells.end)
    numbers = {start.isoformat(): number for number, start in enumerate(cells.starts)}
    found: dict[tuple[int, str], int] = {}
    counted: Counter[date] = Counter()
    for _facet, day, value, of_quarter in _stored_days(tie.scope, [sources.QUARTERS], first, last):
        kind, _space, start = value.partition(" ")
        counted[day] += of_quarter.total
        if start in numbers:
            found[numbers[start], kind] = of_quarter.total
    expected: Counter[date] = Counter()
    for (day, value), of_kind in known.by_day["kinds"].items():
        if first <= day <= last and value in {"open human", "click human"}:
            expected[day] += of_kind.total
    if counted == expected:
        return found
    # A day is not counted, or began nothing when it was.
    return sources.count_people(tie, cells)


_COLUMNS = Numbers._fields


def _counts(scope: str, facets: Iterable[str], first: date, last: date) -> QuerySet[DailyCount]:
    rows = DailyCount.objects.using(router.db_for_read(DailyCount))
    return rows.filter(scope=scope, facet__in=list(facets), day__range=(first, last))


def _stored_days(
    scope: str, facets: Iterable[str], first: date, last: date, without: Sequence[date] = ()
) -> Iterator[tuple[str, date, str, Numbers]]:
    left_out = set(without)
    rows = _counts(scope, facets, first, last).values_list("facet", "day", "value", *_COLUMNS)
    for facet, day, value, *numbers in rows:
        if day not in left_out:
            yield facet, day, value, Numbers(*numbers)


def _stored_sums(
    scope: str, facets: Iterable[str], first: date, last: date, without: Sequence[date] = ()
) -> Iterator[tuple[str, str, Numbers]]:
    rows = _counts(scope, facets, first, last)
    if without:
        rows = rows.exclude(day__in=without)
    sums = (
        rows.order_by()
        .values("facet", "value")
        .annotate(**{f"sum_{name}": Sum(name) for name in _COLUMNS})
    )
    columns = [f"sum_{name}" for name in _COLUMNS]
    for facet, value, *numbers in sums.values_list("facet", "value", *columns):
        yield facet, value, Numbers(*map(int, numbers))

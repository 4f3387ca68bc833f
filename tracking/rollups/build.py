"""Count past days, and count them again after late rows.

    roll_up()                   # what the command and the Celery task do

Rows are read without a lock, and counts are replaced in one short transaction. The order makes
that safe: first the notes of late rows are read, then the rows, and only the notes that were read
are deleted. A late row is written in the same transaction as the note of its day, so either the
row is counted or its note stays.

Of a month that is stored as one (:mod:`.months`), all days are counted together.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID, uuid4

from django.db import router, transaction
from django.db.models import Min, Model
from django.utils import timezone

from tracking.db.column_values import storable_time
from tracking.db.retry import retry_transaction
from tracking.models import Beacon, CountedDay, DailyCount, LateDay, PageView, SharedValue, Visit
from tracking.rollups import (
    completeness,
    folding,
    hourly,
    metric_definitions,
    site_counts,
    source_counts,
    table_counts,
)
from tracking.rollups.days import DAY, EARLIEST, Intervals, day_of, span, start_of, zone_name
from tracking.rollups.lock import ROLLUP, lock_counts
from tracking.rollups.months import first_single_day, in_whole_months, stored_day
from tracking.rollups.pending_counts import DayCount, PendingCounts
from tracking.rollups.site_counts import IntervalCounts
from tracking.rollups.source_counts import SourceKey

logger = logging.getLogger(__name__)

#: A day is counted this long after its end at the earliest: then visits that began on it have
#: ended, and rows written at midnight are committed.
SETTLED = timedelta(hours=1)

#: Days counted in one query for each facet.
DAYS_AT_ONCE = 14

#: Notes of late rows that one statement deletes.
_BATCH = 500

#: The counted tables: their models and the columns with the time.
TIMES: Mapping[str, tuple[type[Model], str]] = {
    "visit": (Visit, "started_at"),
    "pageview": (PageView, "time"),
    "beacon": (Beacon, "time"),
}

#: The facets of the site and of sources, by the table they are counted from.
FACETS_OF = {
    table: [name for name, facet in site_counts.FACETS.items() if facet.table == table]
    for table in TIMES
}
FACETS_OF["beacon"] += [*source_counts.FACETS, source_counts.QUARTERS]
for _name in site_counts.HOURLY:
    FACETS_OF[site_counts.FACETS[_name].table].append(hourly.hourly_facet(_name))


class RollUpResult(NamedTuple):
    """The result of :func:`roll_up`.

    Attributes:
        days: number of days counted.
        rows: number of counts written.
        other_zones: other time zones than ``TIME_ZONE`` in which days were counted. If there
            are any, ``rebuild`` is needed.
    """

    days: int
    rows: int
    other_zones: tuple[str, ...]


def roll_up(
    *,
    since: date | None = None,
    rebuild: bool = False,
    progress: Callable[[date, int, int], object] | None = None,
    now: datetime | None = None,
) -> RollUpResult:
    """Count all past days that are not counted yet or got late rows.

    It can be stopped at any time, and several processes can run it at once. After a change of
    :data:`tracking.rollups.metric_definitions.VERSION` it counts all days again.

    Args:
        since: the first day to count.
        rebuild: whether to count days again whose rows are still there.
        progress: called after some days, with the last of them, the number of days done and
            the number of all.
        now: the current time (aware).

    Raises:
        RuntimeError: if it is called within a transaction.
        django.db.DatabaseError: if a query fails; days counted before stay counted.
    """
    using = router.db_for_write(DailyCount)
    with transaction.atomic(using=using, durable=True):
        pass
    last = day_of((now or datetime.now(UTC)) - SETTLED) - DAY
    is_current = _is_current(using)
    if is_current:
        _note_version(using)
    else:
        logger.warning("The definitions of counts have changed: all days are counted again.")
        since, rebuild = None, True
    work = _plan(since, last, using, rebuild=rebuild)
    days = rows = 0
    number = len(work.days)
    for some in _consecutive_runs(work.days, first_single_day(using)):
        rows += _count(some, using)
        days += len(some)
        if progress is not None:
            progress(some[-1], days, number)
    for day in sorted(work.late):
        rows += _recount_later_days(day, last, using)
    if not is_current:
        _note_version(using)
    return RollUpResult(days, rows, work.other_zones)


def _is_current(using: str) -> bool:
    version = SharedValue.objects.using(using).filter(name=ROLLUP, value=metric_definitions.VERSION)
    return version.exists() or not CountedDay.objects.using(using).exists()


def _note_version(using: str) -> None:
    rows, now = SharedValue.objects.using(using).filter(name=ROLLUP), timezone.now()
    if not rows.update(value=metric_definitions.VERSION):
        defaults = {"changed_at": now, "value": metric_definitions.VERSION}
        rows.get_or_create(name=ROLLUP, defaults=defaults)


class _Plan(NamedTuple):
    """The days to count, those of them with late rows, and other time zones."""

    days: list[date]
    late: set[date]
    other_zones: tuple[str, ...]


def _plan(since: date | None, last: date, using: str, *, rebuild: bool) -> _Plan:
    zones = dict(CountedDay.objects.using(using).values_list("day", "zone"))
    noted = LateDay.objects.using(using).filter(day__lte=last)
    late = set(noted.values_list("day", flat=True).distinct())
    first = first_day(using)
    all_days = set(span(first, last)) if first is not None and first <= last else set()
    days = (all_days | late | set(zones)) if rebuild else ((all_days - set(zones)) | late)
    other = {zone for zone in zones.values() if zone != zone_name()}
    if other and not rebuild:
        logger.warning(
            "Days were counted in %s, and TIME_ZONE is %s: run tracking_rollup --rebuild.",
            ", ".join(sorted(other)),
            zone_name(),
        )
    days = {day for day in days if (since or EARLIEST) <= day <= last}
    return _Plan(
        sorted(days),
        # A late row can make a recipient of a later, counted day no longer new. A rebuild counts
        # those days anyway.
        set() if rebuild else {day for day in late & set(days) if zones and day <= max(zones)},
        () if rebuild else tuple(sorted(other)),
    )


def first_day(using: str) -> date | None:
    """Return the first day with any row, from :data:`EARLIEST` on.

    Args:
        using: the database alias.
    """
    since = storable_time(start_of(EARLIEST))
    times = [
        model._base_manager.using(using)
        .filter(**{f"{column}__gte": since})
        .aggregate(first=Min(column))["first"]
        for model, column in TIMES.values()
    ]
    return min((day_of(time) for time in times if time is not None), default=None)


def _consecutive_runs(days: Sequence[date], single: date) -> Iterator[list[date]]:
    """Yield the days in runs without a gap, of ``DAYS_AT_ONCE`` at most or some whole months."""
    run: list[date] = []
    for day in days:
        is_full = len(run) >= DAYS_AT_ONCE and (day >= single or day.day == 1)
        if run and (day != run[-1] + DAY or is_full):
            yield run
            run = []
        run.append(day)
    if run:
        yield run


def _count(days: Sequence[date], using: str) -> int:
    """Count consecutive days, and return how many counts were written."""
    while True:
        single = first_single_day(using)
        days = in_whole_months(days, single)
        versions = _versions(days, using)
        notes = list(
            LateDay.objects.using(using)
            .filter(day__range=(days[0], days[-1]))
            .values_list("pk", flat=True)
        )
        complete = _complete(days, versions, single, using)
        with PendingCounts(_rows(days, complete, using)) as rows:
            replacement = _Replacement(days, single, complete, rows, versions, notes)
            if retry_transaction(using, partial(replacement.write, using)):
                return len(rows)


def _versions(days: Sequence[date], using: str) -> dict[date, UUID]:
    found = CountedDay.objects.using(using).filter(day__range=(days[0], days[-1]))
    return dict(found.values_list("day", "version"))


def _complete(
    days: Sequence[date], versions: Mapping[date, UUID], single: date, using: str
) -> dict[str, set[date]]:
    """Return the days to count by table, without counted days whose rows were deleted.

    Of a month that is stored as one, the numbers of a counted day are not known. So all its days
    are left out if rows of any were deleted.
    """
    limits = completeness.deleted_until(using)
    return {
        table: {
            day
            for day in days
            if day not in versions
            or table not in limits
            or start_of(stored_day(day, single)) > limits[table]
        }
        for table in FACETS_OF
    }


def _replaced(complete: Iterable[date], versions: Collection[date], single: date) -> list[date]:
    """Return the days whose stored counts are replaced.

    To a month that is stored as one, days that were not counted are only added.

    Args:
        complete: the days that are counted now.
        versions: the days that were counted before.
        single: the first day that is not stored by month.
    """
    in_full = {stored_day(day, single) for day in complete if day in versions}
    return [day for day in complete if day >= single or stored_day(day, single) in in_full]


def _rows(
    days: Sequence[date], complete: Mapping[str, set[date]], using: str
) -> Iterator[DayCount]:
    intervals = Intervals.of_days(days[0], days[-1])
    filled = {
        table for table in complete if complete[table] and _is_filled(table, intervals, using)
    }
    for name, facet in site_counts.FACETS.items():
        if facet.table in filled:
            counted = table_counts.count(name, intervals, using=using)
            yield from _as_rows("", name, counted, days, complete[facet.table])
    hours = [name for name in site_counts.HOURLY if site_counts.FACETS[name].table in filled]
    for name, counted in hourly.count(hours, days, using).items():
        wanted = complete[site_counts.FACETS[name].table]
        yield from _as_rows("", hourly.hourly_facet(name), counted, days, wanted)
    if "beacon" in filled:
        for source_key in active_sources(intervals, using):
            yield from _rows_of(source_key, days, complete["beacon"], using)


def _is_filled(table: str, intervals: Intervals, using: str) -> bool:
    model, column = TIMES[table]
    return model._base_manager.using(using).filter(intervals.within(column)).exists()


def active_sources(intervals: Intervals, using: str) -> list[SourceKey]:
    """Return all sources with beacons in some intervals.

    Args:
        intervals: the intervals.
        using: the database alias.
    """
    rows = Beacon.objects.using(using).filter(intervals.within("time"))
    rows = rows.filter(source_type__isnull=False, source_id__isnull=False).order_by()
    pairs = rows.values_list("source_type_id", "source_id").distinct()
    return [SourceKey(type_id, str(pk)) for type_id, pk in pairs]


def _rows_of(
    source_key: SourceKey, days: Sequence[date], wanted: set[date], using: str
) -> Iterator[DayCount]:
    intervals = Intervals.of_days(days[0], days[-1])
    for name, counted in source_counts.count(source_key, intervals, using).items():
        yield from _as_rows(source_key.scope, name, counted, days, wanted)
    quarters = source_counts.quarters(source_key, intervals, using)
    yield from _as_rows(source_key.scope, source_counts.QUARTERS, quarters, days, wanted)


def _as_rows(
    scope: str, facet: str, counted: IntervalCounts, days: Sequence[date], wanted: set[date]
) -> Iterator[DayCount]:
    for (interval, value), numbers in counted.items():
        if days[interval] in wanted:
            yield DayCount(days[interval], scope, facet, value, numbers)


class _Replacement(NamedTuple):
    """New counts of some days."""

    days: Sequence[date]
    single: date
    complete: Mapping[str, set[date]]
    rows: PendingCounts
    versions: Mapping[date, UUID]
    notes: Sequence[int]

    def write(self, using: str) -> bool:
        """Replace the counts, unless another process has counted one of the days meanwhile.

        Returns:
            Whether they were replaced.
        """
        with transaction.atomic(using=using):
            lock_counts(using)
            if _have_changed(self.days, self.single, self.versions, using):
                return False
            counts = DailyCount.objects.using(using)
            for table, days in self.complete.items():
                replaced = _replaced(days, self.versions, self.single)
                counts.filter(day__in=replaced, facet__in=FACETS_OF[table]).delete()
            _save(self.rows, self.days, self.single, using)
            days_counted = CountedDay.objects.using(using)
            days_counted.filter(day__in=self.days).delete()
            zone = zone_name()
            days_counted.bulk_create(
                [CountedDay(day=day, zone=zone, version=uuid4()) for day in self.days]
            )
            for start in range(0, len(self.notes), _BATCH):
                some = self.notes[start : start + _BATCH]
                LateDay.objects.using(using).filter(pk__in=some).delete()
        return True


def _have_changed(
    days: Sequence[date], single: date, versions: Mapping[date, UUID], using: str
) -> bool:
    """Return whether another process has counted one of the days, or folded its month."""
    return first_single_day(using) != single or _versions(days, using) != versions


def _save(rows: PendingCounts, days: Sequence[date], single: date, using: str) -> None:
    rows.save(using, single)
    for month in {stored_day(day, single) for day in days if day < single}:
        folding.fold_overfull(month, using)


def _recount_later_days(day: date, last: date, using: str) -> int:
    """Count the days after one again, for the sources that had beacons on it.

    A recipient who was new on a later day may have a late beacon on this one.
    """
    late = active_sources(Intervals.of_days(day, day), using)
    written = 0
    if day >= last or not late:
        return written
    for days in _consecutive_runs(span(day + DAY, last), first_single_day(using)):
        intervals = Intervals.of_days(days[0], days[-1])
        active = set(active_sources(intervals, using))
        some = [source_key for source_key in late if source_key in active]
        if some:
            written += _count_sources(some, days, using)
    return written


def _count_sources(some: Sequence[SourceKey], days: Sequence[date], using: str) -> int:
    while True:
        single = first_single_day(using)
        days = in_whole_months(days, single)
        versions = _versions(days, using)
        complete = _complete(days, versions, single, using)["beacon"]
        wanted = complete & set(versions)
        if not wanted:
            return 0
        counted = (
            count for source_key in some for count in _rows_of(source_key, days, wanted, using)
        )
        with PendingCounts(counted) as rows, transaction.atomic(using=using):
            lock_counts(using)
            if _have_changed(days, single, versions, using):
                continue
            counts = DailyCount.objects.using(using)
            replaced = _replaced(complete, versions, single)
            for source_key in some:
                counts.filter(scope=source_key.scope, day__in=replaced).delete()
            _save(rows, days, single, using)
            CountedDay.objects.using(using).filter(day__in=wanted).update(version=uuid4())
            return len(rows)

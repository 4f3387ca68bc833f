"""Counts of the whole site with filters. Those of counted days are made once, and kept.

    condition = Condition("country=DE", Where(visit=Q(country="DE"), ...))
    days = FilteredDays.read(condition, first, last)
    days.make(seconds=0.5)      # count some of the days that are not kept yet
    days.missing                # the others

Kept counts belong to a version of a counted day (:class:`tracking.models.CountedDay`). Late rows
give the day another version, so that it is counted again. Where rows were deleted, the rows that
are left are counted.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from time import monotonic
from typing import Any, NamedTuple, Self
from uuid import UUID

from django.db import router
from django.db.models import BinaryField, Case, F, Q, Value, When
from django.utils import timezone

from tracking.conf import conf
from tracking.db.planning import without_jit
from tracking.models import FilteredCount
from tracking.rollups import completeness, kept_counts, list_sums, read, table_counts
from tracking.rollups.build import first_day
from tracking.rollups.counts import Counts
from tracking.rollups.days import DAY, span, start_of, zone_name
from tracking.rollups.list_sums import Sums
from tracking.rollups.packed_counts import PackedCounts, pack
from tracking.rollups.read import Days, SiteCounts
from tracking.rollups.site_counts import FACETS, TIMES, Where
from tracking.rollups.table_counts import Cell, ListKind, Run

#: Raised when counts are packed in another way.
_FORMAT = "1"

#: Days counted in one statement for each table. PostgreSQL reads a month at once in less time
#: than in parts; more would take too much memory.
_DAYS_AT_ONCE = 31

#: How often it is noted that counts are used.
_USE_INTERVAL = timedelta(hours=1)

_FIGURES = [name for name, facet in FACETS.items() if not facet.is_list]


class Condition(NamedTuple):
    """Filters.

    Attributes:
        text: all that the conditions depend on, as one text.
        where: the conditions.
    """

    text: str
    where: Where

    @property
    def key(self) -> str:
        """The key of their kept counts: 32 characters."""
        text = "\0".join((_FORMAT, zone_name(), self.text))
        return hashlib.blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()


class _Day(NamedTuple):
    """The kept counts of a day. ``lists`` is ``None`` or empty where they were not asked for."""

    figures: PackedCounts
    lists: PackedCounts | None


class FilteredDays:
    """Days with filters, and what is kept of them.

    Attributes:
        kept: the kept counts by day.
        missing: counted days that are not kept yet, with their versions.
        open: days that are not counted, in order.
        can_keep: whether counts can be written.
    """

    def __init__(self, condition: Condition, first: date, last: date, lists_from: date) -> None:
        self._condition = condition
        self._first, self._last, self._lists_from = first, last, lists_from
        self._using = router.db_for_read(FilteredCount)
        self.kept: dict[date, _Day] = {}
        self.missing: dict[date, UUID] = {}
        self.open: list[date] = []
        self.can_keep = conf.filtered_days >= (last - first).days + 1

    @classmethod
    def read(
        cls, condition: Condition, first: date, last: date, lists_from: date | None = None
    ) -> Self:
        """Return the days from ``first`` to ``last``, both included.

        Args:
            condition: the filters.
            first: the first day.
            last: the last day.
            lists_from: the first day of the lists; by default that of the figures.
        """
        found = cls(condition, first, last, lists_from or first)
        found._read()
        return found

    def _read(self) -> None:
        versions = read.valid_versions(self._first, self._last, self._using)
        self.open = [day for day in span(self._first, self._last) if day not in versions]
        if self.open and self.open[0] < min(versions, default=self._last + DAY):
            # Days before the first row are empty.
            begin = first_day(self._using)
            self.open = [day for day in self.open if begin is not None and day >= begin]
        is_used_before = timezone.now() - _USE_INTERVAL
        is_old = False
        kept = FilteredCount.objects.using(self._using).filter(self._is_kept)
        columns = ("day", "version", "figures", self._lists(), "used_at")
        for day, version, figures, lists, used_at in kept.values_list(*columns):
            if versions.get(day) != version or (figures and lists == b""):
                continue
            del versions[day]
            is_old |= used_at < is_used_before
            if figures:
                packed = None if lists is None else PackedCounts(lists)
                self.kept[day] = _Day(PackedCounts(figures), packed)
            else:  # too large to be kept
                self.open.append(day)
        self.open.sort()
        self.missing = versions
        if is_old:
            now = timezone.now()
            self._write(lambda kept: kept.filter(self._is_kept).update(used_at=now))

    @property
    def _is_kept(self) -> Q:
        return Q(filter_key=self._condition.key, day__range=(self._first, self._last))

    def _write(self, work: Callable[[Any], object]) -> None:
        if self.can_keep:
            self.can_keep = kept_counts.change(work)

    def _lists(self) -> Case:
        nothing = Value(None, output_field=BinaryField())
        return Case(When(day__gte=self._lists_from, then=F("lists")), default=nothing)

    @property
    def is_mostly_open(self) -> bool:
        """Whether too many days are not counted to add them up in memory."""
        return len(self.open) > read.MOST_OPEN_DAYS

    def make(self, seconds: float | None = None) -> None:
        """Count days that are missing, and keep their counts.

        Args:
            seconds: no further days are begun after this time; by default all are counted.
        """
        if not self.missing:
            return
        began, size = monotonic(), _DAYS_AT_ONCE if seconds is None else 1
        while self.missing:
            before = monotonic()
            self._count(sorted(self.missing)[-size:])
            if seconds is not None:
                now = monotonic()
                left = seconds - (now - began)
                if left <= 0:
                    break
                size = max(min(int(size * left / max(now - before, 1e-3)), _DAYS_AT_ONCE), 1)
        self._write(kept_counts.evict)

    def _count(self, days: Sequence[date]) -> None:
        """Count some missing days."""
        runs = [*_runs(Days(self._first, self._last, days))]
        found: dict[date, dict[str, dict[str, Counts]]] = {day: defaultdict(dict) for day in days}
        lists_from = (self._lists_from - self._first).days
        where, using = self._condition.where, self._using
        with without_jit(using):
            for cell in table_counts.cells(FACETS, runs, where, using, lists_from):
                day = self._first + DAY * cell.interval
                found[day][cell.facet][cell.value] = cell.counts
        rows = []
        for day, counted in found.items():
            figures = pack({name: counted[name] for name in _FIGURES if name in counted})
            lists = pack({name: counted[name] for name in counted if name not in _FIGURES})
            self.kept[day] = _Day(PackedCounts(figures), PackedCounts(lists))
            if day < self._lists_from:  # a previous period shows none
                lists = b""
            if len(figures) + len(lists) > kept_counts.MAX_BYTES:
                figures = lists = b""
            rows.append(
                FilteredCount(
                    filter_key=self._condition.key,
                    day=day,
                    version=self.missing.pop(day),
                    figures=figures,
                    lists=lists,
                )
            )
        self._write(lambda kept: kept_counts.replace(kept, rows))

    def site(
        self,
        *,
        facets: Collection[str] = (),
        lists: Mapping[str, ListKind],
        limit: int | None = None,
        offset: int = 0,
    ) -> SiteCounts:
        """Return counts of all days, as :func:`tracking.rollups.read.site`.

        Args:
            facets: some of :data:`tracking.rollups.site_counts.FACETS` that are no lists.
            lists: lists by name.
            limit: the maximum number of lines of a page, or ``None`` for all.
            offset: the number of lines before the page.
        """
        if self.is_mostly_open:
            return read.site(
                Days.uncounted(self._first, self._last),
                facets=facets,
                lists=lists,
                lists_from=self._lists_from,
                where=self._condition.where,
                limit=limit,
                offset=offset,
            )
        self.make()
        found = SiteCounts({name: {} for name in facets}, [])
        cells: dict[str, list[Cell]] = defaultdict(list)
        names = [*facets, *(name for kind in lists.values() for name in kind.facets)]
        limits = _limits(self._using)
        with without_jit(self._using):
            for cell in self._open_cells(names, limits):
                cells[cell.facet].append(cell)
        for name in facets:
            for cell in [*self._kept_cells(name, limits), *cells[name]]:
                found.by_day[name][self._first + DAY * cell.interval, cell.value] = cell.counts
        for name, kind in lists.items():
            sums: Sums = {}
            for part, facet in enumerate(kind.facets):
                list_sums.add(sums, part, self._kept_cells(facet, limits))
                list_sums.add(sums, part, cells[facet])
            found.lines.extend(list_sums.lines(name, kind, sums, limit, offset))
        return found

    def _open_cells(self, names: Collection[str], limits: Mapping[str, datetime]) -> Iterator[Cell]:
        """Count the days whose counts are not kept, or whose rows were deleted."""
        lists_from = (self._lists_from - self._first).days
        for table in TIMES:
            gone = [day for day in self.kept if start_of(day) <= limits[table]]
            runs = [*_runs(Days(self._first, self._last, sorted([*self.open, *gone])))]
            of_table = [name for name in names if FACETS[name].table == table]
            if runs:
                yield from table_counts.cells(
                    of_table, runs, self._condition.where, self._using, lists_from
                )

    def _kept_cells(self, name: str, limits: Mapping[str, datetime]) -> Iterator[Cell]:
        facet = FACETS[name]
        limit = limits[facet.table]
        for day, packed in self.kept.items():
            if start_of(day) <= limit or (facet.is_list and day < self._lists_from):
                continue
            some = packed.lists if facet.is_list else packed.figures
            if some is not None:
                interval = (day - self._first).days
                for value, counts in some.facet(name).items():
                    yield Cell(name, interval, value, counts)


def _runs(days: Days) -> Iterator[Run]:
    for first, intervals in days.dated_runs():
        yield Run((first - days.first).days, intervals)


def _limits(using: str) -> dict[str, datetime]:
    """Return by table up to when kept counts say nothing, because rows may have been deleted."""
    limits = completeness.deleted_until(using)
    never = datetime.min.replace(tzinfo=UTC)
    # Filters of pages read visits, and filters of visits read pages.
    of_visits = max(limits.get("visit", never), limits.get("pageview", never))
    return {
        "visit": of_visits,
        "pageview": of_visits,
        "beacon": limits.get("beacon", never),
    }

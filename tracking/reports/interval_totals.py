"""Totals by interval, from which figures and series are made."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from tracking.conf import conf
from tracking.enrichment.verdict_rules import Label
from tracking.hits import Kind
from tracking.reports.figures import Text
from tracking.rollups import read, site_counts, table_counts
from tracking.rollups.counts import Counts, sum_counts
from tracking.rollups.days import Intervals
from tracking.rollups.metric_definitions import OPEN_OR_CLICK, OpenedParts
from tracking.rollups.read import ByDay, Days
from tracking.rollups.site_counts import NO_FILTER, IntervalCounts, Where
from tracking.rollups.table_counts import Run


@dataclass(frozen=True, kw_only=True, slots=True)
class NonHuman:
    """Opens and clicks that count as nobody's.

    Attributes:
        label: the verdict: ``"proxy"``, ``"prefetch"`` or ``"bot"``.
        title: the translated title.
        opens: images loaded. Those of mail proxies do count, so they have none here.
        clicks: links followed.
    """

    label: str
    title: Text
    opens: int
    clicks: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "label": self.label,
            "title": str(self.title),
            "opens": self.opens,
            "clicks": self.clicks,
        }


class Totals(NamedTuple):
    """Totals of a period or bucket. ``None`` if the filters do not apply.

    Attributes:
        visits: visits.
        pages: page views.
        opens: images loaded by people, or by mail proxies for them.
        opened: recipients by how they opened.
        clicks: clicks by people.
    """

    visits: Counts | None
    pages: Counts | None
    opens: int | None
    opened: OpenedParts | None
    clicks: Counts | None


class IntervalTotals(NamedTuple):
    """Counts of each facet by interval and value. ``None`` if the filters do not apply."""

    intervals: Intervals
    visits: IntervalCounts | None
    page_views: IntervalCounts | None
    hits: IntervalCounts
    opened: IntervalCounts
    has_opens: bool
    has_clicks: bool

    def between(self, first: int, end: int) -> Totals:
        """Return the totals of the intervals from index ``first`` to before ``end``."""
        intervals = range(first, end)

        def add(counted: IntervalCounts | None, value: str = "") -> Counts | None:
            if counted is None:
                return None
            return sum_counts(
                counted[interval, value] for interval in intervals if (interval, value) in counted
            )

        visits = add(self.visits)
        pages = add(self.page_views)
        if not conf.page_views and visits is not None:  # pages are no rows then
            pages = Counts(total=visits.pages)
        return Totals(
            visits=visits,
            pages=pages,
            opens=self._opens(intervals) if self.has_opens else None,
            opened=self._opened(intervals) if self.has_opens and self.has_clicks else None,
            clicks=add(self.hits, f"{Kind.CLICK.value} {_HUMAN}") if self.has_clicks else None,
        )

    def _opens(self, intervals: range) -> int:
        return sum(
            self.hits[interval, value].total
            for interval in intervals
            for value in _OPENS
            if (interval, value) in self.hits
        )

    def _opened(self, intervals: range) -> OpenedParts:
        found: Counter[str] = Counter()
        for interval in intervals:
            # The confirmed ones are known of all days: see has_all_opened.
            if numbers := self.hits.get((interval, _CONFIRMED)):
                found["confirmed"] += numbers.uniques
            for name in ("proxied", "without_image", "machine"):
                if numbers := self.opened.get((interval, name)):
                    found[name] += numbers.uniques
        return OpenedParts(**found)

    def has_all_opened(self, first: int, end: int) -> bool:
        """Return whether all who opened are counted in these intervals.

        Days that were counted by an older version, and whose rows have been deleted since, know
        the confirmed ones only. Their opens and clicks are more than those of all states.
        """

        def total(counted: IntervalCounts, *prefixes: str) -> int:
            return sum(
                numbers.total
                for (interval, value), numbers in counted.items()
                if first <= interval < end and value.startswith(prefixes)
            )

        return total(self.opened, "") == total(self.hits, *_ANY_HIT)

    def non_human(self, first: int, end: int) -> tuple[NonHuman, ...]:
        """Return opens and clicks of proxies and machines in these intervals."""
        if not (self.has_opens and self.has_clicks):
            return ()
        totals: Counter[str] = Counter()
        for (interval, value), numbers in self.hits.items():
            if first <= interval < end and value not in OPEN_OR_CLICK:
                totals[value] += numbers.total
        return tuple(
            NonHuman(
                label=label.value,
                title=label.label,
                opens=totals[f"{Kind.OPEN.value} {label.value}"],
                clicks=totals[f"{Kind.CLICK.value} {label.value}"],
            )
            for label in Label
            if label is not Label.HUMAN
        )


_HUMAN = Label.HUMAN.value

#: Values of the facet ``hits``.
_CONFIRMED = f"{Kind.OPEN.value} {_HUMAN}"
_OPENS = (_CONFIRMED, f"{Kind.OPEN.value} {Label.PROXY.value}")
_ANY_HIT = (f"{Kind.OPEN.value} ", f"{Kind.CLICK.value} ")


def count_rows(intervals: Intervals, where: Where) -> IntervalTotals:
    """Return the totals, counted from rows.

    Args:
        intervals: the intervals.
        where: conditions on the rows.
    """
    counted: dict[str, IntervalCounts] = {name: {} for name in site_counts.HOURLY}
    for cell in table_counts.cells(site_counts.HOURLY, [Run(0, intervals)], where):
        counted[cell.facet][cell.interval, cell.value] = cell.counts
    return _read(intervals, counted, where)


def of_days(intervals: Intervals, first: date, by_day: ByDay, where: Where) -> IntervalTotals:
    """Return the totals by day.

    Args:
        intervals: the days.
        first: the first of them.
        by_day: their counts.
        where: the conditions by which they were counted.
    """
    return _read(
        intervals,
        {
            name: {((day - first).days, value): n for (day, value), n in by_day[name].items()}
            for name in site_counts.HOURLY
        },
        where,
    )


def read_hours(intervals: Intervals, days: Days) -> IntervalTotals:
    """Return the totals by hour, from stored counts where there are any.

    Args:
        intervals: the hours.
        days: their days, and which of them are counted.
    """
    numbers = {start: number for number, start in enumerate(intervals.starts)}
    return _read(
        intervals,
        {
            # Days counted in another time zone have hours of the neighboring days.
            name: {
                (numbers[start], value): n
                for (start, value), n in counted.items()
                if start in numbers
            }
            for name, counted in read.by_hour(days).items()
        },
        NO_FILTER,
    )


def _read(
    intervals: Intervals, counted: Mapping[str, IntervalCounts], where: Where
) -> IntervalTotals:
    return IntervalTotals(
        intervals=intervals,
        visits=None if where.visit is None else counted["visits"],
        page_views=None if where.pageview is None else counted["page_views"],
        hits=counted["hits"],
        opened=counted["opened"],
        has_opens=where.opens is not None,
        has_clicks=where.clicks is not None,
    )

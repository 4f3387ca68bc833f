"""Totals by interval, from which figures and series are made."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tracking.conf import conf
from tracking.enrichment.verdict_rules import Label
from tracking.hits import Kind
from tracking.reports.figures import Text
from tracking.rollups import read, site_counts
from tracking.rollups.counts import Counts, sum_counts
from tracking.rollups.days import Intervals
from tracking.rollups.read import Days
from tracking.rollups.site_counts import IntervalCounts, Where


@dataclass(frozen=True, kw_only=True, slots=True)
class NonHuman:
    """Opens and clicks that are not by people.

    Attributes:
        label: the verdict: ``"proxy"``, ``"prefetch"`` or ``"bot"``.
        title: the translated title.
        opens: images loaded.
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
        opens: opens by people.
        clicks: clicks by people.
    """

    visits: Counts | None
    pages: Counts | None
    opens: Counts | None
    clicks: Counts | None


class IntervalTotals(NamedTuple):
    """Counts of each facet by interval and value. ``None`` if the filters do not apply."""

    intervals: Intervals
    visits: IntervalCounts | None
    page_views: IntervalCounts | None
    hits: IntervalCounts
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
            opens=add(self.hits, f"{Kind.OPEN.value} {_HUMAN}") if self.has_opens else None,
            clicks=add(self.hits, f"{Kind.CLICK.value} {_HUMAN}") if self.has_clicks else None,
        )

    def non_human(self, first: int, end: int) -> tuple[NonHuman, ...]:
        """Return opens and clicks of proxies and machines in these intervals."""
        if not (self.has_opens and self.has_clicks):
            return ()
        totals: Counter[str] = Counter()
        for (interval, value), numbers in self.hits.items():
            if first <= interval < end:
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


def count_rows(intervals: Intervals, where: Where) -> IntervalTotals:
    """Return the totals, counted from rows.

    Args:
        intervals: the intervals.
        where: conditions on the rows.
    """
    return IntervalTotals(
        intervals=intervals,
        visits=None if where.visit is None else site_counts.count("visits", intervals, where),
        page_views=(
            None if where.pageview is None else site_counts.count("page_views", intervals, where)
        ),
        hits=site_counts.count("hits", intervals, where),
        has_opens=where.opens is not None,
        has_clicks=where.clicks is not None,
    )


def read_days(intervals: Intervals, days: Days) -> IntervalTotals:
    """Return the totals by day, from stored counts where there are any.

    Args:
        intervals: the days.
        days: the same days, and which of them are counted.
    """
    found = read.by_day(site_counts.HOURLY, days)
    return _read(
        intervals,
        {
            name: {((day - days.first).days, value): n for (day, value), n in counted.items()}
            for name, counted in found.items()
        },
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
    )


def _read(intervals: Intervals, counted: Mapping[str, IntervalCounts]) -> IntervalTotals:
    return IntervalTotals(intervals=intervals, has_opens=True, has_clicks=True, **counted)

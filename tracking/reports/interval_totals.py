"""What was counted in pieces of time, from which figures and charts are made."""

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
    """What was not done by a person who can be told.

    Attributes:
        label: the verdict: ``"proxy"``, ``"prefetch"`` or ``"bot"``.
        title: what it is called by people.
        opens: images that were loaded.
        clicks: links that were followed.
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
    """What figures are made of; ``None`` where the filters say nothing about it.

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
    """What was counted in pieces of time: each facet by interval and value, or ``None``."""

    intervals: Intervals
    visits: IntervalCounts | None
    page_views: IntervalCounts | None
    hits: IntervalCounts
    has_opens: bool
    has_clicks: bool

    def between(self, first: int, end: int) -> Totals:
        """Return the sums of the intervals from ``first`` on and before ``end``."""
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
        """Return what proxies and machines did in these intervals."""
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
    """Return what the rows say.

    Args:
        intervals: the pieces of time.
        where: which rows are counted.
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
    """Return the same of days that are counted already.

    Args:
        intervals: the days, one each.
        days: what is known of them.
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
    """Return the same of hours of days that are counted already.

    Args:
        intervals: the hours.
        days: what is known of their days.
    """
    numbers = {start: number for number, start in enumerate(intervals.starts)}
    return _read(
        intervals,
        {
            # Days that were counted in another time zone have hours of the days beside them.
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

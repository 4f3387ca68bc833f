"""The report about the whole site in a period.

    report = overview(Period.from_query({"period": "7"}))
    report.figures["visitors"].value
    report.series["visits"].points[0].value
    report.lists["pages"].rows[0].label

Only people are counted. Proxies and machines are shown separately.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from tracking.active_visitors import online_count
from tracking.reports.figures import Figure, Listing, Point, Series
from tracking.reports.filters import Filters
from tracking.reports.interval_totals import (
    IntervalTotals,
    NonHuman,
    Totals,
    count_rows,
    of_days,
    read_hours,
)
from tracking.reports.measures import MEASURES, Measure
from tracking.reports.periods import Bucket, Period, as_stored, notes
from tracking.reports.site_totals import read_site
from tracking.reports.top_lists import LISTS, Page, days_of, kinds, listings
from tracking.rollups import site_counts
from tracking.rollups.days import Intervals
from tracking.rollups.metric_definitions import OpenedParts
from tracking.rollups.read import Days


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """A report about the whole site, or a part of it.

    Attributes:
        period: its days: whole months if the days of some are no longer counted one by one.
        before: the previous period of as many days or months, or ``None`` if its days are no
            longer counted one by one. Then nothing is known of it.
        filters: its filters.
        figures: by name, in this order: ``visitors``, ``visits``, ``page_views``,
            ``bounce_rate``, ``visit_length``, ``opens``, ``daily_unique_opens`` and its parts
            ``confirmed``, ``proxied``, ``without_image``, ``machine`` (which is not among them),
            ``clicks``, ``daily_unique_clicks``.
        series: the figures over time, by the same names.
        lists: the ten largest, by name: ``pages``, ``referrers``, ``sources``, ``mediums``,
            ``campaigns``, ``mailings``, ``countries``, ``devices``, ``browsers``,
            ``systems``, ``links``.
        has_all_opened: whether the proxied and those without image are counted on all days.
            On days that an older version counted, and whose rows have been deleted since, only
            the confirmed ones are known.
        non_human: opens and clicks by machines. Empty if a filter does not apply to them.
        on_site: the number of visitors on the site now, regardless of the filters.
    """

    period: Period
    before: Period | None
    filters: Filters
    figures: Mapping[str, Figure]
    series: Mapping[str, Series]
    lists: Mapping[str, Listing]
    has_all_opened: bool
    non_human: tuple[NonHuman, ...]
    on_site: int

    @property
    def opened(self) -> OpenedParts | None:
        """Recipients by how they opened, daily unique; ``None`` if a filter does not apply."""
        parts = {name: self.figures[name].value for name in OpenedParts._fields}
        if None in parts.values():
            return None
        return OpenedParts(**{name: round(value or 0) for name, value in parts.items()})

    def notes(self) -> Iterator[str]:
        """Yield sentences about what is not known any more."""
        yield from notes(self.period, self.before)
        if not self.has_all_opened:
            yield gettext(
                "On some days only confirmed opens are counted by recipient: an older version "
                "counted them, and their rows have been deleted. There, more have opened."
            )

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "period": self.period.as_dict(),
            "before": self.before and self.before.as_dict(),
            "filters": self.filters.active(),
            "figures": {name: figure.as_dict() for name, figure in self.figures.items()},
            "series": {name: series.as_dict() for name, series in self.series.items()},
            "lists": {name: listing.as_dict() for name, listing in self.lists.items()},
            "opened": self.opened
            and {
                "unique": self.opened.unique,
                "at_least": self.opened.at_least,
                "at_most": self.opened.at_most,
                **self.opened._asdict(),
            },
            "has_all_opened": self.has_all_opened,
            "non_human": [non_human.as_dict() for non_human in self.non_human],
            "on_site": self.on_site,
        }


def overview(period: Period, filters: Filters | None = None) -> Overview:
    """Return the report about a period.

    Args:
        period: its days; see :mod:`tracking.reports.periods`.
        filters: its filters; by default none.
    """
    filters = filters or Filters()
    where = filters.where()
    period, before, days = _known_days(period, filters)
    found = read_site(
        days,
        filters,
        facets=site_counts.HOURLY,
        lists=kinds(LISTS),
        lists_from=period.first,
        **Page()._asdict(),
    )
    intervals = Intervals.of_days(days.first, period.last)
    by_day = of_days(intervals, days.first, found.by_day, where)
    totals = by_day
    if period.unit == "hour":
        starts = [*(before.hours().starts if before else ()), *period.hours().starts]
        hours = Intervals(starts, period.end)
        totals = count_rows(hours, where) if filters else read_hours(hours, days)
    figures, series = _figures(period, before, by_day, totals)
    shown = (period.first - days.first).days, len(intervals.starts)
    return Overview(
        period=period,
        before=before,
        filters=filters,
        figures=figures,
        series=series,
        lists=listings(LISTS, found.lines, Page()),
        has_all_opened=by_day.has_all_opened(
            (period.first - days.first).days, len(intervals.starts)
        ),
        non_human=by_day.non_human(*shown),
        on_site=online_count.on_site(),
    )


def _known_days(period: Period, filters: Filters) -> tuple[Period, Period | None, Days]:
    """Return a period and the previous one as they can be shown, and the days of both.

    Filters read rows, so they need no stored counts.
    """
    days = days_of(period.before().first, period.last, filters)
    shown, before = as_stored(period, days.single)
    if shown.by_month or before is None:
        days = days_of((before or shown).first, shown.last, filters)
    return shown, before, days


def _figures(
    period: Period, before: Period | None, days: IntervalTotals, totals: IntervalTotals
) -> tuple[dict[str, Figure], dict[str, Series]]:
    """Return figures and series.

    Args:
        period: the period.
        before: the previous period, if it is known.
        days: the totals by day, of the previous period and this one.
        totals: the totals by day or hour, of the same.
    """
    middle = before.days if before else 0
    now = days.between(middle, middle + period.days)
    then = days.between(0, middle) if before else _UNKNOWN
    if not days.has_all_opened(0, middle + period.days):
        then = then._replace(opened=None)  # a change of what is counted is no change of readers
    figures = {
        name: Figure(
            name=name,
            title=measure.title,
            explanation=measure.explanation,
            unit=measure.unit,
            value=measure.value(now),
            before=measure.value(then),
        )
        for name, measure in MEASURES.items()
    }
    of_period = _by_bucket(period, totals)
    of_before = _by_bucket(before, totals) if before else []
    series = {
        name: Series(
            name=name,
            title=measure.title,
            unit=measure.unit,
            points=_points(measure, of_period),
            before=_points(measure, of_before),
        )
        for name, measure in MEASURES.items()
    }
    return figures, series


#: The totals of a period that cannot be known.
_UNKNOWN = Totals(None, None, None, None, None)


def _points(measure: Measure, sums: Iterable[tuple[Bucket, Totals]]) -> tuple[Point, ...]:
    return tuple(
        Point(bucket=bucket, value=None if bucket.is_future else measure.value(of_bucket))
        for bucket, of_bucket in sums
    )


def _by_bucket(period: Period, totals: IntervalTotals) -> list[tuple[Bucket, Totals]]:
    return [
        (
            bucket,
            totals.between(
                bisect_left(totals.intervals.starts, bucket.start),
                bisect_left(totals.intervals.starts, bucket.end),
            ),
        )
        for bucket in period.buckets()
    ]

"""Visits, pages and beacons of the whole site, counted from their rows.

A facet groups rows by a value, such as the country. Only people are counted, unless a facet says
otherwise. A visit counts on the day it began, a page view and a beacon on the day it happened.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from django.db.models import (
    Count,
    DurationField,
    ExpressionWrapper,
    F,
    Q,
    QuerySet,
    Sum,
    TextField,
    Value,
)
from django.db.models.functions import Cast

from tracking.db.column_values import storable_time
from tracking.enrichment.referrers import Channel
from tracking.hits import Kind
from tracking.models import Beacon, PageView, Visit
from tracking.rollups import largest_values
from tracking.rollups.counts import OTHER, Counts
from tracking.rollups.days import Intervals
from tracking.rollups.metric_definitions import HUMAN, recipient
from tracking.rollups.sql_text import WholeText, joined

#: Counts by the index of the interval and the value of the facet.
IntervalCounts = dict[tuple[int, str], Counts]


class Facet(NamedTuple):
    """A way to group rows.

    Attributes:
        table: ``"visit"``, ``"pageview"`` or ``"beacon"``.
        by: the column or expression of the value, ``None`` for a single group.
        only: a further condition on the rows.
        with_machines: whether machines are counted, too.
        is_list: whether it may have any number of values. Then each interval counts only the
            largest one by one, and all others as one.
    """

    table: str
    by: Any = None
    only: Q = Q()
    with_machines: bool = False
    is_list: bool = True

    @property
    def figure(self) -> str:
        """The count by which the largest values are found: that by which lists are sorted."""
        return "uniques" if self.table == "visit" else "total"


_MAILING = joined(Cast("source_type_id", TextField()), ":", F("source_id"))
_HAS_SOURCE = Q(source_type__isnull=False, source_id__isnull=False)

#: All facets of the whole site, by name.
FACETS: Mapping[str, Facet] = {
    "visits": Facet("visit", is_list=False),
    "referrers": Facet("visit", F("referrer_site"), ~Q(channel=Channel.INTERNAL)),
    "sources": Facet("visit", F("source")),
    "mediums": Facet("visit", F("medium")),
    "campaigns": Facet("visit", F("campaign")),
    "countries": Facet("visit", F("country")),
    "devices": Facet("visit", F("device")),
    "browsers": Facet("visit", F("browser")),
    "systems": Facet("visit", F("os")),
    "page_views": Facet("pageview", is_list=False),
    "pages": Facet("pageview", F("url")),
    # The values are kind and verdict, as in "open human".
    "hits": Facet(
        "beacon",
        joined(F("kind"), " ", F("verdict")),
        with_machines=True,
        is_list=False,
    ),
    "links": Facet("beacon", F("url"), Q(kind=Kind.CLICK)),
    "opened_mailings": Facet("beacon", _MAILING, _HAS_SOURCE & Q(kind=Kind.OPEN)),
    "clicked_mailings": Facet("beacon", _MAILING, _HAS_SOURCE & Q(kind=Kind.CLICK)),
}


#: Facets that are also counted by the hour, for the chart of one day.
HOURLY = ("visits", "page_views", "hits")


class Where(NamedTuple):
    """Conditions on the rows to count. ``None`` if the filters do not apply to a table.

    Attributes:
        visit: the condition on visits.
        pageview: the condition on page views.
        opens: the condition on beacons other than clicks.
        clicks: the condition on clicks.
    """

    visit: Q | None = Q()
    pageview: Q | None = Q()
    opens: Q | None = Q()
    clicks: Q | None = Q()


NO_FILTER = Where()


def count(
    name: str, intervals: Intervals, where: Where = NO_FILTER, using: str | None = None
) -> IntervalCounts:
    """Count rows in one query.

    Args:
        name: one of :data:`FACETS`.
        intervals: the intervals to count; rows outside are not read.
        where: conditions on the rows.
        using: the database alias; by default that of reads.

    Returns:
        The counts by the index of the interval and the value of the facet, which is
        :data:`tracking.rollups.counts.OTHER` for all values of a list but the largest. Uniques
        are those of one interval and value.
    """
    facet = FACETS[name]
    rows = _TABLES[facet.table](intervals, facet, where)
    if rows is None:
        return {}
    if using is not None:
        rows = rows.using(using)
    if facet.is_list:
        grouped = _by_value_and_person(rows, facet, intervals)
        return {
            (one.interval, OTHER if one.is_other else one.value): Counts(one.total, one.uniques)
            for one in largest_values.by_interval(grouped, facet.figure, rows.db)
        }
    value = Value("", output_field=TextField()) if facet.by is None else facet.by
    rows = rows.annotate(interval=intervals.index_expression(_TIMES[facet.table]), value=value)
    measures = {"n": Count("pk"), "people": Count(_PEOPLE[facet.table], distinct=True)}
    if facet.table == "visit":
        measures |= _OF_VISITS
    grouped = rows.order_by().values("interval", "value").annotate(**measures)
    return {
        (interval, text or ""): _numbers(numbers)
        for interval, text, *numbers in grouped.values_list("interval", "value", *measures)
        if numbers[0]  # without GROUP BY there is always a row
    }


def list_statement(
    name: str, intervals: Intervals, where: Where, using: str
) -> largest_values.Statement | None:
    """Return the statement that counts a list by interval: :func:`.largest_values.cut`.

    Args:
        name: one of :data:`FACETS` that is a list.
        intervals: the intervals to count; rows outside are not read.
        where: conditions on the rows.
        using: the database alias.

    Returns:
        The statement, or ``None`` if there cannot be any rows.
    """
    facet = FACETS[name]
    rows = _TABLES[facet.table](intervals, facet, where)
    if rows is None:
        return None
    grouped = _by_value_and_person(rows.using(using), facet, intervals)
    return largest_values.cut(grouped, facet.figure, using)


def _by_value_and_person(rows: QuerySet[Any], facet: Facet, intervals: Intervals) -> QuerySet[Any]:
    columns = {
        "interval": intervals.index_expression(_TIMES[facet.table]),
        "value": WholeText(facet.by),
        "who": _PEOPLE[facet.table],
    }
    groups = rows.annotate(**columns).order_by().values(*columns)
    found: QuerySet[Any, Any] = groups.annotate(n=Count("pk"))
    return found


def _numbers(values: list[Any]) -> Counts:
    total, uniques, *of_visits = values
    if not of_visits:
        return Counts(total, uniques)
    bounces, length, pages = of_visits
    microseconds = length // timedelta(microseconds=1) if length else 0
    return Counts(total, uniques, bounces, microseconds, pages)


_TIMES = {"visit": "started_at", "pageview": "time", "beacon": "time"}

#: The expressions of the distinct visitors or recipients.
_PEOPLE: Mapping[str, Any] = {
    "visit": F("visitor_id"),
    "pageview": F("visit__visitor_id"),
    "beacon": recipient(),
}

#: Further measures of visits, shown for all of them only.
_OF_VISITS: Mapping[str, Any] = {
    "bounces": Count("pk", filter=Q(page_views=1)),
    "length": Sum(ExpressionWrapper(F("ended_at") - F("started_at"), output_field=DurationField())),
    "pages": Sum("page_views"),
}


def _visits(intervals: Intervals, facet: Facet, where: Where) -> QuerySet[Any] | None:
    if where.visit is None:
        return None
    during = intervals.within("started_at")
    return Visit.objects.filter(during, where.visit, facet.only, verdict=HUMAN)


def _page_views(intervals: Intervals, facet: Facet, where: Where) -> QuerySet[Any] | None:
    if where.pageview is None:
        return None
    # A visit ends with its last page. Without this, PostgreSQL reads all visits.
    begin = storable_time(intervals.starts[0])
    return PageView.objects.filter(
        intervals.within("time"),
        where.pageview,
        visit__verdict=HUMAN,
        visit__ended_at__gte=begin,
    )


def _beacons(intervals: Intervals, facet: Facet, where: Where) -> QuerySet[Any] | None:
    if where.opens is None and where.clicks is None:
        return None
    clicks = Q(kind=Kind.CLICK)
    chosen = Q(pk__in=[])
    if where.opens is not None:
        chosen |= ~clicks & where.opens
    if where.clicks is not None:
        chosen |= clicks & where.clicks
    if where.opens == where.clicks and where.opens is not None:
        chosen = where.opens
    rows = Beacon.objects.filter(intervals.within("time"), chosen, facet.only)
    return rows if facet.with_machines else rows.filter(verdict=HUMAN)


_TABLES = {"visit": _visits, "pageview": _page_views, "beacon": _beacons}

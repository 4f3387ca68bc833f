"""Visits, pages and beacons of the whole site, counted from their rows.

A facet is one way to sort them, such as by country; its values are counted apart. Unless
said otherwise only people are counted.

A visit is counted when it began, a page when it was seen, a beacon when it was observed.
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
from tracking.hits import Kind
from tracking.models import Beacon, PageView, Visit
from tracking.rollups.counts import Counts
from tracking.rollups.days import Intervals
from tracking.rollups.definitions import HUMAN, recipient
from tracking.rollups.sql_text import host, joined

#: What was counted: numbers by interval and value.
IntervalCounts = dict[tuple[int, str], Counts]


class Facet(NamedTuple):
    """One way to sort rows.

    Attributes:
        table: ``"visit"``, ``"pageview"`` or ``"beacon"``.
        by: the column or expression of the value, ``None`` where there is only one.
        only: which rows of people are counted, apart from that.
        with_machines: whether machines are counted too.
    """

    table: str
    by: Any = None
    only: Q = Q()
    with_machines: bool = False


_MAILING = joined(Cast("source_type_id", TextField()), ":", F("source_id"))
_TIED = Q(source_type__isnull=False, source_id__isnull=False)

#: All facets of the whole site, by name.
FACETS: Mapping[str, Facet] = {
    "visits": Facet("visit"),
    "referrers": Facet("visit", host("referrer")),
    "sources": Facet("visit", F("source")),
    "mediums": Facet("visit", F("medium")),
    "campaigns": Facet("visit", F("campaign")),
    "countries": Facet("visit", F("country")),
    "devices": Facet("visit", F("device")),
    "browsers": Facet("visit", F("browser")),
    "systems": Facet("visit", F("os")),
    "page_views": Facet("pageview"),
    "pages": Facet("pageview", F("url")),
    # Its values are kind and verdict, as in "open human".
    "hits": Facet(
        "beacon",
        joined(F("kind"), " ", F("verdict")),
        with_machines=True,
    ),
    "links": Facet("beacon", F("url"), Q(kind=Kind.CLICK)),
    "opened_mailings": Facet("beacon", _MAILING, _TIED & Q(kind=Kind.OPEN)),
    "clicked_mailings": Facet("beacon", _MAILING, _TIED & Q(kind=Kind.CLICK)),
}


#: Facets that are told by the hour, too, for the chart of one day.
HOURLY = ("visits", "page_views", "hits")


class Where(NamedTuple):
    """Which rows are counted, by table; ``None`` where the question makes no sense.

    Attributes:
        visit: a condition on visits; expressions that it needs are made by ``annotated``.
        pageview: one on page views.
        opens: one on beacons that are no clicks.
        clicks: one on clicks.
    """

    visit: Q | None = Q()
    pageview: Q | None = Q()
    opens: Q | None = Q()
    clicks: Q | None = Q()


NO_FILTER = Where()


def count(
    name: str, intervals: Intervals, where: Where = NO_FILTER, using: str | None = None
) -> IntervalCounts:
    """Count rows by one query.

    Args:
        name: one of :data:`FACETS`.
        intervals: the pieces of time, counted apart; what is outside of them is not read.
        where: which rows are counted.
        using: the alias of the database; by default that of reads.

    Returns:
        The numbers by the number of the interval and the value of the facet. Uniques are those
        of one interval and value.
    """
    facet = FACETS[name]
    rows = _TABLES[facet.table](intervals, facet, where)
    if rows is None:
        return {}
    if using is not None:
        rows = rows.using(using)
    value = Value("", output_field=TextField()) if facet.by is None else facet.by
    grouped = rows.annotate(interval=intervals.number(_TIMES[facet.table]), value=value)
    measures = _MEASURES[facet.table]
    if facet.by is not None:  # how long visits took is told of all of them only
        measures = {column: measures[column] for column in ("n", "who")}
    grouped = grouped.order_by().values("interval", "value").annotate(**measures)
    found: IntervalCounts = {}
    for interval, text, *numbers in grouped.values_list("interval", "value", *measures):
        if not numbers[0]:  # of one interval and one value there is a row in any case
            continue
        key = (interval, text or "")
        # A database that does not tell capitals from small letters has done so already.
        found[key] = found.get(key, Counts()).plus(_numbers(numbers))
    return found


def _numbers(values: list[Any]) -> Counts:
    total, uniques, *of_visits = values
    if not of_visits:
        return Counts(total, uniques)
    bounces, length, pages = of_visits
    microseconds = length // timedelta(microseconds=1) if length else 0
    return Counts(total, uniques, bounces, microseconds, pages)


_TIMES = {"visit": "started_at", "pageview": "time", "beacon": "time"}

_MEASURES: Mapping[str, Mapping[str, Any]] = {
    "visit": {
        "n": Count("pk"),
        "who": Count("visitor_id", distinct=True),
        "bounces": Count("pk", filter=Q(page_views=1)),
        "length": Sum(
            ExpressionWrapper(F("ended_at") - F("started_at"), output_field=DurationField())
        ),
        "pages": Sum("page_views"),
    },
    "pageview": {"n": Count("pk"), "who": Count("visit__visitor_id", distinct=True)},
    "beacon": {"n": Count("pk"), "who": Count(recipient(), distinct=True)},
}


def _visits(intervals: Intervals, facet: Facet, where: Where) -> QuerySet[Any] | None:
    if where.visit is None:
        return None
    rows = Visit.objects.annotate(referrer_host=host("referrer"))
    return rows.filter(intervals.within("started_at"), where.visit, verdict=HUMAN)


def _page_views(intervals: Intervals, facet: Facet, where: Where) -> QuerySet[Any] | None:
    if where.pageview is None:
        return None
    rows = PageView.objects.annotate(referrer_host=host("visit__referrer"))
    # A visit lasts from its first page to its last. PostgreSQL would read all visits without.
    begin = storable_time(intervals.starts[0])
    return rows.filter(
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

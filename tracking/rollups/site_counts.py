"""Facets of visits, pages and beacons of the whole site, and the rows that are counted.

A facet groups rows by a value, such as the country. Only people are counted, unless a facet says
otherwise. A visit counts on the day it began, a page view and a beacon on the day it happened.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db.models import F, Q, QuerySet, TextField
from django.db.models.functions import Cast

from tracking.db.column_values import storable_time
from tracking.enrichment.referrers import Channel
from tracking.hits import Kind
from tracking.models import Beacon, PageView, Visit
from tracking.rollups.counts import Counts
from tracking.rollups.days import Intervals
from tracking.rollups.metric_definitions import HUMAN, OPENS, recipient_columns, state_rank
from tracking.rollups.sql_text import joined

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
        of_states: whether the value is the state of the recipient, the strongest that any of its
            rows in the interval shows. Then ``by`` is the rank of the state that one row shows.
    """

    table: str
    by: Any = None
    only: Q = Q()
    with_machines: bool = False
    is_list: bool = True
    of_states: bool = False

    @property
    def condition(self) -> Q:
        """The condition on the rows of :func:`rows_of`."""
        is_all = self.table != "beacon" or self.with_machines
        return self.only if is_all else self.only & Q(verdict=HUMAN)

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
    "opened": Facet(
        "beacon",
        state_rank(),
        Q(kind__in=[Kind.OPEN, Kind.CLICK]),
        with_machines=True,
        is_list=False,
        of_states=True,
    ),
    "links": Facet("beacon", F("url"), Q(kind=Kind.CLICK)),
    # Those of mail proxies are among them.
    "opened_mailings": Facet("beacon", _MAILING, _HAS_SOURCE & OPENS, with_machines=True),
    "clicked_mailings": Facet("beacon", _MAILING, _HAS_SOURCE & Q(kind=Kind.CLICK)),
}


#: Facets that are also counted by the hour, for the chart of one day.
HOURLY = ("visits", "page_views", "hits", "opened")


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


#: The columns of the time, by table.
TIMES = {"visit": "started_at", "pageview": "time", "beacon": "time"}

#: The columns of the distinct visitors or recipients, by table. If the last is ``NULL``, it is
#: nobody.
PEOPLE: Mapping[str, Mapping[str, Any]] = {
    "visit": {"who": F("visitor_id")},
    "pageview": {"who": F("visit__visitor_id")},
    "beacon": recipient_columns(),
}


def rows_of(table: str, intervals: Intervals, where: Where) -> QuerySet[Any] | None:
    """Return the rows of a table in some intervals, or ``None`` if the filters do not apply.

    Args:
        table: ``"visit"``, ``"pageview"`` or ``"beacon"``, whose machines are among them.
        intervals: the intervals.
        where: conditions on the rows.
    """
    return _TABLES[table](intervals, where)


def _visits(intervals: Intervals, where: Where) -> QuerySet[Any] | None:
    if where.visit is None:
        return None
    during = intervals.within("started_at")
    return Visit.objects.filter(during, where.visit, verdict=HUMAN)


def _page_views(intervals: Intervals, where: Where) -> QuerySet[Any] | None:
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


def _beacons(intervals: Intervals, where: Where) -> QuerySet[Any] | None:
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
    return Beacon.objects.filter(intervals.within("time"), chosen)


_TABLES = {"visit": _visits, "pageview": _page_views, "beacon": _beacons}

"""Beacons of one source, counted from rows.

A recipient counts on the day of the first beacon only, so days can be added up without counting
anybody twice. A late hit may change which day that is: then the days after it are counted again.
"""

from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Count, F, Max, Min, QuerySet, TextField, Value

from tracking.db.column_values import storable_time
from tracking.hits import Kind
from tracking.models import Beacon
from tracking.rollups import event_counts, largest_values, new_recipients
from tracking.rollups.counts import OTHER, Counts
from tracking.rollups.days import DAY, Intervals, day_of
from tracking.rollups.event_counts import EVENTS, VALUES
from tracking.rollups.metric_definitions import HUMAN, HUMAN_HITS, MAIL_KINDS, OPENS_AND_CLICKS
from tracking.rollups.site_counts import IntervalCounts
from tracking.rollups.sql_text import WholeText, joined


class SourceKey(NamedTuple):
    """A source as beacons store it.

    Attributes:
        type_id: the key of its content type.
        pk: its own key, as text.
    """

    type_id: int
    pk: str

    @property
    def scope(self) -> str:
        """The scope of its :class:`tracking.models.DailyCount` rows."""
        return f"{self.type_id}:{self.pk}"


#: Facets of one source. ``actions``: recipients by action. ``stages``: entities by group and
#: by state or a stronger one. ``kinds``: beacons by kind and verdict, as in "open human".
#: ``times``: the times of the first and last beacon and of the first sent message, as in
#: "sent 2026-03-29T10:15:00+00:00". ``clicked_links``: clicks of people by link, and recipients new
#: to that link. ``countries`` and ``clients``: opens and clicks of people, without mail proxies.
#: ``delivery``: recipients by outcome and mailbox provider. The last two: :mod:`.event_counts`.
FACETS = (
    *("actions", "stages", "kinds", "times", "clicked_links", "countries", "clients"),
    *("delivery", EVENTS, VALUES),
)

#: Those of them that count the largest values only, by totals, and all others as one.
LISTS = ("clicked_links", "countries", "clients", EVENTS)


def count(
    source_key: SourceKey, intervals: Intervals, using: str | None = None
) -> dict[str, IntervalCounts]:
    """Count the beacons of one source by all of :data:`FACETS`.

    Args:
        source_key: the source.
        intervals: the days. Recipients who did the same before them are not unique on them.
        using: the database alias; by default that of reads.

    Returns:
        For each facet the counts by index of the interval and value.
    """
    rows = source_beacons(source_key, using)
    now = rows.filter(intervals.within("time"))
    if not now.exists():
        return {name: {} for name in FACETS}
    known = _earlier_beacons(rows, intervals)
    interval = intervals.index_expression("time")
    actions, stages = new_recipients.count_actions(now, intervals, known)
    kinds, times = _kinds_and_times(now, interval)
    return {
        "actions": actions,
        "delivery": _deliveries(now, intervals, known, kinds),
        "stages": stages,
        "kinds": kinds,
        "times": times,
        "clicked_links": _links(now, intervals, known),
        "countries": _largest(now.filter(HUMAN_HITS), interval, F("country")),
        "clients": _largest(now.filter(HUMAN_HITS), interval, CLIENT),
        **_events(now, intervals, known, kinds),
    }


def count_hits(source_key: SourceKey, intervals: Intervals) -> dict[tuple[int, str], int]:
    """Return opens and clicks by index of the interval and kind, in one query.

    Args:
        source_key: the source.
        intervals: any intervals.
    """
    rows = source_beacons(source_key).filter(OPENS_AND_CLICKS, intervals.within("time"))
    counted = _totals(rows, intervals.index_expression("time"), F("kind"))
    return {key: numbers.total for key, numbers in counted.items()}


#: The facet of opens and clicks by quarter of an hour. Its values are kind and quarter,
#: as in "open 2026-03-29T10:15:00+00:00".
QUARTERS = "quarters"

QUARTER = timedelta(minutes=15)


def quarters(
    source_key: SourceKey, intervals: Intervals, using: str | None = None
) -> IntervalCounts:
    """Count opens and clicks by quarter of an hour, on the first days only.

    Those are the days on which messages were sent, the first day of the source, and the day after
    each of them.

    Args:
        source_key: the source.
        intervals: consecutive days.
        using: the database alias; by default that of reads.

    Returns:
        The counts by index of the day and value.
    """
    rows = source_beacons(source_key, using)
    start_days = _start_days(rows, intervals)
    counted: IntervalCounts = {}
    for number, start in enumerate(intervals.starts):
        day = day_of(storable_time(start))
        if not start_days.isdisjoint({day, day - DAY}):
            end = (
                intervals.starts[number + 1]
                if number + 1 < len(intervals.starts)
                else intervals.end
            )
            parts = Intervals.steps(start, end, QUARTER)
            found = rows.filter(OPENS_AND_CLICKS, parts.within("time"))
            for (part, kind), numbers in _totals(
                found, parts.index_expression("time"), F("kind")
            ).items():
                counted[number, f"{kind} {parts.starts[part].isoformat()}"] = numbers
    return counted


def _start_days(rows: QuerySet[Beacon], intervals: Intervals) -> set[date]:
    first_day, last_day = (
        day_of(storable_time(intervals.starts[0])) - DAY,
        day_of(storable_time(intervals.starts[-1])),
    )
    days = Intervals.of_days(first_day, last_day)
    sent = rows.filter(days.within("time"), kind=Kind.SENT).annotate(
        interval=days.index_expression("time")
    )
    found = {
        first_day + DAY * interval
        for interval in sent.values_list("interval", flat=True).distinct()
    }
    first = rows.order_by("time").values_list("time", flat=True).first()
    return found if first is None else found | {day_of(first)}


def source_beacons(source_key: SourceKey, using: str | None = None) -> QuerySet[Beacon]:
    """Return all beacons of a source.

    Args:
        source_key: the source.
        using: the database alias; by default that of reads.
    """
    rows = Beacon.objects.filter(
        source_type_id=source_key.type_id, source_id=source_key.pk
    ).order_by()
    return rows if using is None else rows.using(using)


#: The expression of the program with which a mail or page was read.
CLIENT = joined(F("browser"), " / ", F("os"))


def _totals(rows: QuerySet[Beacon], interval: Any, value: Any) -> IntervalCounts:
    grouped = (
        rows.annotate(interval=interval, value=value)
        .values("interval", "value")
        .annotate(n=Count("pk"))
    )
    return {
        (interval, value): Counts(total)
        for interval, value, total in grouped.values_list("interval", "value", "n")
    }


def _links(
    now: QuerySet[Beacon], intervals: Intervals, known: QuerySet[Beacon] | None
) -> IntervalCounts:
    clicks = now.filter(kind=Kind.CLICK, verdict=HUMAN)
    counted = _largest(clicks, intervals.index_expression("time"), F("url"))
    if known is not None:
        known = known.filter(kind=Kind.CLICK, verdict=HUMAN)
    new = new_recipients.count_links(clicks, intervals, known, counted)
    return {key: numbers.plus(Counts(uniques=new[key])) for key, numbers in counted.items()}


def _events(
    now: QuerySet[Beacon],
    intervals: Intervals,
    known: QuerySet[Beacon] | None,
    kinds: IntervalCounts,
) -> dict[str, IntervalCounts]:
    """Return the facets of events. Sources without any cost no query."""
    if not any(kind == f"{Kind.EVENT.value} {HUMAN}" for _interval, kind in kinds):
        return {EVENTS: {}, VALUES: {}}
    events, interval = event_counts.named_events(now), intervals.index_expression("time")
    totals = _largest(events, interval, F("event_name"))
    return {
        EVENTS: event_counts.add_uniques(events, intervals, known, totals),
        VALUES: event_counts.values(events, interval, totals),
    }


def _largest(rows: QuerySet[Beacon], interval: Any, value: Any) -> IntervalCounts:
    """Return the totals of the largest values, and of all others as one."""
    nobody = Value(None, output_field=TextField())
    columns = {"interval": interval, "value": WholeText(value), "who": nobody}
    grouped = rows.annotate(**columns).values(*columns).annotate(n=Count("pk"))
    return {
        (one.interval, OTHER if one.is_other else one.value): Counts(one.total)
        for one in largest_values.by_interval(grouped, "total", rows.db)
    }


def _deliveries(
    now: QuerySet[Beacon],
    intervals: Intervals,
    known: QuerySet[Beacon] | None,
    kinds: IntervalCounts,
) -> IntervalCounts:
    """Return the facet ``delivery``. Makes no query if no beacon says anything about a message."""
    if {kind for _interval, value in kinds for kind in value.split()[:1]}.isdisjoint(MAIL_KINDS):
        return {}
    return new_recipients.count_deliveries(now, intervals, known)


#: The names in the facet ``times``.
FIRST, LAST, SENT = "first", "last", "sent"


def _kinds_and_times(
    rows: QuerySet[Beacon], interval: Any
) -> tuple[IntervalCounts, IntervalCounts]:
    """Return the facets ``kinds`` and ``times``, in one query."""
    grouped = rows.annotate(interval=interval).values("interval", "kind", "verdict")
    grouped = grouped.annotate(n=Count("pk"), first=Min("time"), last=Max("time"))
    kinds: IntervalCounts = {}
    all_times: dict[tuple[int, str], list[datetime]] = defaultdict(list)
    for interval_, kind, verdict, total, first, last in grouped.values_list(
        "interval", "kind", "verdict", "n", "first", "last"
    ):
        kinds[interval_, f"{kind} {verdict}"] = Counts(total)
        all_times[interval_, FIRST].append(first)
        all_times[interval_, LAST].append(last)
        if kind == Kind.SENT:
            all_times[interval_, SENT].append(first)
    times: IntervalCounts = {
        (interval_, f"{name} {(max if name == LAST else min)(some).isoformat()}"): Counts(1)
        for (interval_, name), some in all_times.items()
    }
    return kinds, times


def _earlier_beacons(rows: QuerySet[Beacon], intervals: Intervals) -> QuerySet[Beacon] | None:
    """Return the beacons before the first interval, or ``None`` if there are none."""
    start = storable_time(intervals.starts[0])
    before = rows.filter(time__lt=start)
    began = before.order_by("time").values_list("time", flat=True).first()
    # Without this, the index over entities leads to all beacons of other sources.
    return None if began is None else before.filter(time__gte=began)

"""Beacons of one source, counted from rows.

A recipient counts on the day of the first beacon only, so days can be added up without counting
anybody twice. A late hit may change which day that is: then the days after it are counted again.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Count, F, Max, Min, Q, QuerySet

from tracking.db.column_values import storable_time
from tracking.hits import Kind
from tracking.models import Beacon
from tracking.rollups.counts import Counts
from tracking.rollups.days import DAY, Intervals, day_of
from tracking.rollups.metric_definitions import (
    ACTIONS,
    FUNNEL_STAGES,
    HAS_ENTITY,
    HUMAN,
    HUMAN_HITS,
    IS_RECOGNIZED,
    Sign,
    recipient,
    recognized_recipient,
)
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


#: Facets of one source. ``actions``: recipients by action. ``stages``: entities by funnel stage.
#: ``kinds``: beacons by kind and verdict, as in "open human". ``times``: the times of the first and
#: last beacon and of the first sent message, as in "sent 2026-03-29T10:15:00+00:00".
#: ``clicked_links``: clicks of people by link, and recipients new to that link. ``countries`` and
#: ``clients``: opens and clicks of people.
FACETS = ("actions", "stages", "kinds", "times", "clicked_links", "countries", "clients")


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
    people = now.filter(HUMAN_HITS)
    actions, stages = _actions(now, intervals, known)
    kinds, times = _kinds_and_times(now, interval)
    return {
        "actions": actions,
        "stages": stages,
        "kinds": kinds,
        "times": times,
        "clicked_links": _links(now, intervals, known),
        "countries": _totals(people, interval, F("country")),
        "clients": _totals(people, interval, CLIENT),
    }


def count_human_hits(source_key: SourceKey, intervals: Intervals) -> dict[tuple[int, str], int]:
    """Return the opens and clicks of people by index of the interval and kind, in one query.

    Args:
        source_key: the source.
        intervals: any intervals.
    """
    rows = source_beacons(source_key).filter(HUMAN_HITS, intervals.within("time"))
    counted = _totals(rows, intervals.index_expression("time"), F("kind"))
    return {key: numbers.total for key, numbers in counted.items()}


#: The facet of opens and clicks of people by quarter of an hour. Its values are kind and quarter,
#: as in "open 2026-03-29T10:15:00+00:00".
QUARTERS = "quarters"

QUARTER = timedelta(minutes=15)


def quarters(
    source_key: SourceKey, intervals: Intervals, using: str | None = None
) -> IntervalCounts:
    """Count the opens and clicks of people by quarter of an hour, on the first days only.

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
            found = rows.filter(HUMAN_HITS, parts.within("time"))
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


class _FirstBeacon(NamedTuple):
    """The first of all beacons with the same recipient and the same values of some columns.

    Attributes:
        entity_type: the content type of the entity, or ``None`` without an entity.
        who: the recipient: "e…" for an entity, "v…" for a visitor, "a…" for an address.
        what: the values of the columns.
        time: the time of the beacon.
    """

    entity_type: int | None
    who: str
    what: tuple[str, ...]
    time: datetime

    @property
    def is_visitor(self) -> bool:
        """Whether the recipient is a visitor without an entity."""
        return self.entity_type is None and self.who.startswith("v")


#: The columns that identify a recipient.
_RECIPIENT_COLUMNS = ("entity_type_id", "entity_id", "visitor_id")


def _first_beacons(rows: QuerySet[Beacon], day: Any, *what: str) -> Iterator[_FirstBeacon]:
    """Yield the first beacon of each recipient for all values of the columns ``what``."""
    columns = (*_RECIPIENT_COLUMNS, *what)
    recognized = rows.filter(IS_RECOGNIZED).values(*columns).annotate(first=Min("time"))
    found = recognized.values_list(*columns, "first")
    for entity_type, entity_id, visitor, *rest in found.iterator():
        who = recognized_recipient(entity_type, entity_id, visitor)
        yield _FirstBeacon(entity_type if who[0] == "e" else None, who, tuple(rest[:-1]), rest[-1])
    who_is = WholeText(recipient(day))
    others = rows.exclude(IS_RECOGNIZED).annotate(who=who_is).values("who", *what)
    for who, *rest in (
        others.annotate(first=Min("time")).values_list("who", *what, "first").iterator()
    ):
        yield _FirstBeacon(None, f"a{who}", tuple(rest[:-1]), rest[-1])


def _actions(
    rows: QuerySet[Beacon], intervals: Intervals, known: QuerySet[Beacon] | None
) -> tuple[IntervalCounts, IntervalCounts]:
    """Return the facets ``actions`` and ``stages``."""
    firsts = list(_first_beacons(rows, intervals.index_expression("time"), "kind", "verdict"))
    before = _earlier_actions(rows, firsts, known, "kind", "verdict")
    done: dict[str, dict[tuple[str, ...], datetime]] = defaultdict(dict)
    for first in firsts:
        _note(done[first.who], first.what, first.time)
    entities = {first.who for first in firsts if first.entity_type is not None}
    actions = _count_new_recipients(done, before, intervals, ACTIONS)
    of_entities = {who: times for who, times in done.items() if who in entities}
    return actions, _count_new_recipients(of_entities, before, intervals, FUNNEL_STAGES)


def _count_new_recipients(
    done: Mapping[str, Mapping[tuple[str, ...], datetime]],
    before: Mapping[str, set[tuple[str, ...]]],
    intervals: Intervals,
    signs_of: Mapping[str, frozenset[Sign] | None],
) -> IntervalCounts:
    """Count the recipients who do something for the first time, by interval and action or stage."""
    counted: Counter[tuple[int, str]] = Counter()
    # Most recipients do the same as others, so the result is kept.
    fresh: dict[tuple[frozenset[Any], frozenset[Any]], list[tuple[str, list[Any]]]] = {}
    for who, times in done.items():
        did_before = frozenset(before.get(who, ()))
        key = (frozenset(times), did_before)
        if key not in fresh:
            fresh[key] = list(_new_actions(*key, signs_of))
        for name, signs in fresh[key]:
            counted[intervals.index_of(min(times[what] for what in signs)), name] += 1
    return {key: Counts(uniques=number) for key, number in counted.items()}


def _new_actions(
    now: Iterable[Any],
    before: frozenset[Any],
    signs_of: Mapping[str, frozenset[Sign] | None],
) -> Iterator[tuple[str, list[Any]]]:
    """Yield the actions that a recipient does for the first time, with the signs of each."""
    for name, signs in signs_of.items():
        is_new = not before if signs is None else signs.isdisjoint(before)
        found = list(now) if signs is None else [what for what in now if what in signs]
        if is_new and found:
            yield name, found


def _links(
    rows: QuerySet[Beacon], intervals: Intervals, known: QuerySet[Beacon] | None
) -> IntervalCounts:
    clicks = rows.filter(kind=Kind.CLICK, verdict=HUMAN).annotate(link=WholeText("url"))
    if known is not None:
        known = known.filter(kind=Kind.CLICK, verdict=HUMAN).annotate(link=WholeText("url"))
    interval = intervals.index_expression("time")
    counted = _totals(clicks, interval, F("link"))
    firsts = list(_first_beacons(clicks, interval, "link"))
    before = _earlier_actions(clicks, firsts, known, "link")
    done: dict[tuple[str, tuple[str, ...]], datetime] = {}
    for first in firsts:
        _note(done, (first.who, first.what), first.time)
    for (who, what), time in done.items():
        if what not in before.get(who, ()):
            key = (intervals.index_of(time), what[0])
            counted[key] = counted[key].plus(Counts(uniques=1))
    return counted


def _note(times: dict[Any, datetime], key: Any, time: datetime) -> None:
    times[key] = min(time, times.get(key, time))


def _earlier_beacons(rows: QuerySet[Beacon], intervals: Intervals) -> QuerySet[Beacon] | None:
    """Return the beacons before the first interval, or ``None`` if there are none."""
    start = storable_time(intervals.starts[0])
    before = rows.filter(time__lt=start)
    began = before.order_by("time").values_list("time", flat=True).first()
    # Without this, the index over entities leads to all beacons of other sources.
    return None if began is None else before.filter(time__gte=began)


def _earlier_actions(
    now: QuerySet[Beacon],
    firsts: Iterable[_FirstBeacon],
    known: QuerySet[Beacon] | None,
    *what: str,
) -> dict[str, set[tuple[str, ...]]]:
    """Return the earlier actions of recipients, as far as they are recognized.

    Args:
        now: their beacons in the intervals.
        firsts: the first beacons of each of them, of the same.
        known: all earlier beacons, or ``None`` if there are none.
        what: the columns that identify an action.
    """
    done: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    if known is None:
        return done
    types: set[int] = set()
    are_visitors = False
    for first in firsts:
        are_visitors |= first.is_visitor
        if first.entity_type is not None:
            types.add(first.entity_type)
    # The database decides whether to look up each recipient or to read all earlier beacons.
    conditions = [
        Q(entity_type=one, entity_id__in=now.filter(entity_type=one).values("entity_id"))
        for one in sorted(types)
    ]
    if are_visitors:
        visitors = now.exclude(HAS_ENTITY).filter(visitor_id__isnull=False)
        conditions.append(~HAS_ENTITY & Q(visitor_id__in=visitors.values("visitor_id")))
    for condition in conditions:
        found = known.filter(condition).values_list(*_RECIPIENT_COLUMNS, *what).distinct()
        for entity_type, entity_id, visitor, *did in found:
            done[recognized_recipient(entity_type, entity_id, visitor)].add(tuple(did))
    return done

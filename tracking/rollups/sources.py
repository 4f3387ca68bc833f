"""Beacons of one source, each recipient counted on the day of its first.

So days add up: however many days are taken together, nobody is counted twice. Who has come
first may change when a hit arrives late; then the days from there on are counted again.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Count, F, Max, Min, Q, QuerySet

from tracking.db.column_values import storable_time
from tracking.hits import Kind
from tracking.models import Beacon
from tracking.rollups.counts import Numbers
from tracking.rollups.days import DAY, Cells, day_of
from tracking.rollups.definitions import (
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
from tracking.rollups.site_counts import Counted
from tracking.rollups.sql_text import ExactText, joined


class Tie(NamedTuple):
    """A source, as the columns of beacons name it.

    Attributes:
        type_id: the key of its content type.
        pk: its own key, as text.
    """

    type_id: int
    pk: str

    @property
    def scope(self) -> str:
        """How counts name it."""
        return f"{self.type_id}:{self.pk}"


#: Facets of one source. ``actions``: recipients by what they have done. ``stages``: entities by how
#: far they have come. ``kinds``: beacons by kind and verdict, as in "open human". ``moments``: when
#: the first and the last beacon were, and the first that was sent, as in
#: "sent 2026-03-29T10:15:00+00:00".
#: ``clicked_links``: clicks of people by link, with those whose first of that link it was.
#: ``places`` (countries) and ``clients``: opens and clicks of people.
FACETS = ("actions", "stages", "kinds", "moments", "clicked_links", "places", "clients")


def count(tie: Tie, cells: Cells, using: str | None = None) -> dict[str, Counted]:
    """Count the beacons of one source by all of :data:`FACETS`.

    Args:
        tie: the source.
        cells: the days; who has come first before them is not counted as unique.
        using: the alias of the database; by default that of reads.

    Returns:
        For each facet the numbers by cell and value.
    """
    rows = beacons_of(tie, using)
    now = rows.filter(cells.within("time"))
    if not now.exists():
        return {name: {} for name in FACETS}
    known = _earlier(rows, cells)
    cell = cells.number("time")
    people = now.filter(HUMAN_HITS)
    actions, stages = _actions(now, cells, known)
    kinds, moments = _kinds(now, cell)
    return {
        "actions": actions,
        "stages": stages,
        "kinds": kinds,
        "moments": moments,
        "clicked_links": _links(now, cells, known),
        "places": _totals(people, cell, F("country")),
        "clients": _totals(people, cell, CLIENT),
    }


def count_people(tie: Tie, cells: Cells, using: str | None = None) -> dict[tuple[int, str], int]:
    """Return the opens and clicks of people by cell and kind, by one query.

    Args:
        tie: the source.
        cells: any pieces of time.
        using: the alias of the database; by default that of reads.
    """
    rows = beacons_of(tie, using).filter(HUMAN_HITS, cells.within("time"))
    counted = _totals(rows, cells.number("time"), F("kind"))
    return {key: numbers.total for key, numbers in counted.items()}


#: The facet of opens and clicks of people in the first days of a source; its values are kind
#: and quarter of an hour, as in "open 2026-03-29T10:15:00+00:00".
QUARTERS = "quarters"

QUARTER = timedelta(minutes=15)


def quarters(tie: Tie, cells: Cells, using: str | None = None) -> Counted:
    """Count the opens and clicks of people by quarter of an hour, on days that begin something.

    Those are the days on which messages went out, and the first of the source; and the day
    after each, because 24 hours touch two.

    Args:
        tie: the source.
        cells: days that follow each other.
        using: the alias of the database; by default that of reads.

    Returns:
        The numbers by the number of the day and the value.
    """
    rows = beacons_of(tie, using)
    beginnings = _beginnings(rows, cells)
    counted: Counted = {}
    for number, start in enumerate(cells.starts):
        day = day_of(storable_time(start))
        if not beginnings.isdisjoint({day, day - DAY}):
            end = cells.starts[number + 1] if number + 1 < len(cells.starts) else cells.end
            parts = Cells.steps(start, end, QUARTER)
            found = rows.filter(HUMAN_HITS, parts.within("time"))
            for (part, kind), numbers in _totals(found, parts.number("time"), F("kind")).items():
                counted[number, f"{kind} {parts.starts[part].isoformat()}"] = numbers
    return counted


def _beginnings(rows: QuerySet[Beacon], cells: Cells) -> set[date]:
    first_day, last_day = (
        day_of(storable_time(cells.starts[0])) - DAY,
        day_of(storable_time(cells.starts[-1])),
    )
    days = Cells.of_days(first_day, last_day)
    sent = rows.filter(days.within("time"), kind=Kind.SENT).annotate(cell=days.number("time"))
    found = {first_day + DAY * cell for cell in sent.values_list("cell", flat=True).distinct()}
    first = rows.order_by("time").values_list("time", flat=True).first()
    return found if first is None else found | {day_of(first)}


def beacons_of(tie: Tie, using: str | None = None) -> QuerySet[Beacon]:
    """Return all beacons of a source.

    Args:
        tie: the source.
        using: the alias of the database; by default that of reads.
    """
    rows = Beacon.objects.filter(source_type_id=tie.type_id, source_id=tie.pk).order_by()
    return rows if using is None else rows.using(using)


def ends_of(tie: Tie, using: str | None = None) -> tuple[datetime, datetime] | None:
    """Return the times of the first and the last beacon of a source, ``None`` if it has none.

    By two queries: SQLite reads all of them for both at once.

    Args:
        tie: the source.
        using: the alias of the database; by default that of reads.
    """
    times = beacons_of(tie, using).values_list("time", flat=True)
    first, last = times.order_by("time").first(), times.order_by("-time").first()
    return None if first is None or last is None else (first, last)


#: What a mail or page was read with.
CLIENT = joined(F("browser"), " / ", F("os"))


def _totals(rows: QuerySet[Beacon], cell: Any, value: Any) -> Counted:
    grouped = rows.annotate(cell=cell, value=value).values("cell", "value").annotate(n=Count("pk"))
    return {
        (cell, value): Numbers(total)
        for cell, value, total in grouped.values_list("cell", "value", "n")
    }


#: What the facet ``moments`` tells.
FIRST, LAST, SENT = "first", "last", "sent"


def _kinds(rows: QuerySet[Beacon], cell: Any) -> tuple[Counted, Counted]:
    """Return the facets ``kinds`` and ``moments``, by one query."""
    grouped = rows.annotate(cell=cell).values("cell", "kind", "verdict")
    grouped = grouped.annotate(n=Count("pk"), first=Min("time"), last=Max("time"))
    kinds: Counted = {}
    times: dict[tuple[int, str], list[datetime]] = defaultdict(list)
    for cell_, kind, verdict, total, first, last in grouped.values_list(
        "cell", "kind", "verdict", "n", "first", "last"
    ):
        kinds[cell_, f"{kind} {verdict}"] = Numbers(total)
        times[cell_, FIRST].append(first)
        times[cell_, LAST].append(last)
        if kind == Kind.SENT:
            times[cell_, SENT].append(first)
    moments = {
        (cell_, f"{name} {(max if name == LAST else min)(some).isoformat()}"): Numbers(1)
        for (cell_, name), some in times.items()
    }
    return kinds, moments


class _First(NamedTuple):
    """The first beacon of a recipient, of those that are alike.

    Attributes:
        entity_type: the content type of the entity, ``None`` if it is not tied to one.
        who: the recipient: "e…" for an entity, "v…" for a visitor, "a…" for an address.
        what: what these beacons have in common.
        time: when it was.
    """

    entity_type: int | None
    who: str
    what: tuple[str, ...]
    time: datetime

    @property
    def is_visitor(self) -> bool:
        """Whether the recipient is known by the key of a visitor only."""
        return self.entity_type is None and self.who.startswith("v")


#: What tells a recipient; letter by letter, also where the database would not.
_NAMES = ("entity_type_id", "entity_id", "visitor_id")
_EXACTLY = {"exact_entity": ExactText("entity_id"), "exact_visitor": ExactText("visitor_id")}


def _firsts(rows: QuerySet[Beacon], day: Any, *what: str) -> Iterator[_First]:
    """Return the first beacons of all recipients, for each value of the columns ``what``."""
    named = rows.filter(IS_RECOGNIZED).annotate(**_EXACTLY).values(*_NAMES, *_EXACTLY, *what)
    columns = (*_NAMES, *what, "first")
    for entity_type, entity_id, visitor, *rest in (
        named.annotate(first=Min("time")).values_list(*columns).iterator()
    ):
        who = recognized_recipient(entity_type, entity_id, visitor)
        yield _First(entity_type if who[0] == "e" else None, who, tuple(rest[:-1]), rest[-1])
    nameless = rows.exclude(IS_RECOGNIZED).annotate(who=recipient(day)).values("who", *what)
    for who, *rest in (
        nameless.annotate(first=Min("time")).values_list("who", *what, "first").iterator()
    ):
        # MariaDB gives bytes for what is compared letter by letter.
        yield _First(None, f"a{who}", tuple(rest[:-1]), rest[-1])


def _actions(
    rows: QuerySet[Beacon], cells: Cells, known: QuerySet[Beacon] | None
) -> tuple[Counted, Counted]:
    """Return the facets ``actions`` and ``stages``."""
    firsts = list(_firsts(rows, cells.number("time"), "kind", "verdict"))
    before = _done_before(rows, firsts, known, "kind", "verdict")
    done: dict[str, dict[tuple[str, ...], datetime]] = defaultdict(dict)
    for first in firsts:
        _note(done[first.who], first.what, first.time)
    entities = {first.who for first in firsts if first.entity_type is not None}
    actions = _new(done, before, cells, ACTIONS)
    of_entities = {who: times for who, times in done.items() if who in entities}
    return actions, _new(of_entities, before, cells, FUNNEL_STAGES)


def _new(
    done: Mapping[str, Mapping[tuple[str, ...], datetime]],
    before: Mapping[str, set[tuple[str, ...]]],
    cells: Cells,
    signs_of: Mapping[str, frozenset[Sign] | None],
) -> Counted:
    """Return by cell and name how many recipients have done something for the first time."""
    counted: Counter[tuple[int, str]] = Counter()
    # Many recipients have done the same before, and the same now.
    fresh: dict[tuple[frozenset[Any], frozenset[Any]], list[tuple[str, list[Any]]]] = {}
    for who, times in done.items():
        did_before = frozenset(before.get(who, ()))
        key = (frozenset(times), did_before)
        if key not in fresh:
            fresh[key] = list(_fresh(*key, signs_of))
        for name, signs in fresh[key]:
            counted[cells.number_of(min(times[what] for what in signs)), name] += 1
    return {key: Numbers(uniques=number) for key, number in counted.items()}


def _fresh(
    now: Iterable[Any],
    before: frozenset[Any],
    signs_of: Mapping[str, frozenset[Sign] | None],
) -> Iterator[tuple[str, list[Any]]]:
    """Return what somebody does for the first time, with the signs of it."""
    for name, signs in signs_of.items():
        is_new = not before if signs is None else signs.isdisjoint(before)
        found = list(now) if signs is None else [what for what in now if what in signs]
        if is_new and found:
            yield name, found


def _links(rows: QuerySet[Beacon], cells: Cells, known: QuerySet[Beacon] | None) -> Counted:
    clicks = rows.filter(kind=Kind.CLICK, verdict=HUMAN)
    if known is not None:
        known = known.filter(kind=Kind.CLICK, verdict=HUMAN)
    counted = _totals(clicks, cells.number("time"), F("url"))
    firsts = list(_firsts(clicks, cells.number("time"), "url"))
    before = _done_before(clicks, firsts, known, "url")
    done: dict[tuple[str, tuple[str, ...]], datetime] = {}
    for first in firsts:
        _note(done, (first.who, first.what), first.time)
    for (who, what), time in done.items():
        if what not in before.get(who, ()):
            key = (cells.number_of(time), what[0])
            counted[key] = counted[key].plus(Numbers(uniques=1))
    return counted


def _note(times: dict[Any, datetime], key: Any, time: datetime) -> None:
    times[key] = min(time, times.get(key, time))


def _earlier(rows: QuerySet[Beacon], cells: Cells) -> QuerySet[Beacon] | None:
    """Return the beacons of a source before the first cell, ``None`` if there are none."""
    start = storable_time(cells.starts[0])
    before = rows.filter(time__lt=start)
    began = before.order_by("time").values_list("time", flat=True).first()
    # Without it the index over entities would lead to all that they ever did with others.
    return None if began is None else before.filter(time__gte=began)


def _done_before(
    now: QuerySet[Beacon],
    firsts: Iterable[_First],
    known: QuerySet[Beacon] | None,
    *what: str,
) -> dict[str, set[tuple[str, ...]]]:
    """Return what the recipients have done before, as far as they can be known again.

    Args:
        now: what they do now.
        firsts: the same.
        known: what all have done before, ``None`` if nobody did anything.
        what: the columns that say what it was.
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
    # The database knows best whether to look at them one by one, or at all that was done.
    conditions = [
        Q(entity_type=one, entity_id__in=now.filter(entity_type=one).values("entity_id"))
        for one in sorted(types)
    ]
    if are_visitors:
        visitors = now.exclude(HAS_ENTITY).filter(visitor_id__isnull=False)
        conditions.append(~HAS_ENTITY & Q(visitor_id__in=visitors.values("visitor_id")))
    for condition in conditions:
        exactly = known.filter(condition).annotate(**_EXACTLY)
        found = exactly.values_list(*_NAMES, *what, *_EXACTLY).distinct()
        for entity_type, entity_id, visitor, *did in found:
            done[recognized_recipient(entity_type, entity_id, visitor)].add(tuple(did[: len(what)]))
    return done

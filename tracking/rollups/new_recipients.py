"""Recipients of a source who do something for the first time, counted one after the other.

A stranger can be many recipients: each opens a pixel that stands on a page. So they are sorted by
the database, and this process holds one of them at a time.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from django.db.models import F, Min, Q, QuerySet, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce

from tracking.db.column_values import storable_time
from tracking.models import Beacon
from tracking.rollups.counts import OTHER, Counts
from tracking.rollups.days import Intervals
from tracking.rollups.metric_definitions import (
    ACTIONS,
    GROUPS,
    HAS_ENTITY,
    MAIL_KINDS,
    OUTCOMES,
    STATES,
    Sign,
    is_entity,
    mail_recipient,
    recipient,
)
from tracking.rollups.site_counts import IntervalCounts
from tracking.rollups.sql_text import WholeText

#: Rows that are fetched at once.
_CHUNK = 2_000


def count_actions(
    now: QuerySet[Beacon], intervals: Intervals, known: QuerySet[Beacon] | None
) -> tuple[IntervalCounts, IntervalCounts]:
    """Count recipients by action, and entities by state and group, on the day of the first beacon.

    Args:
        now: the beacons of a source in the intervals.
        intervals: the days.
        known: its earlier beacons, or ``None`` if there are none.

    Returns:
        The facets ``actions`` and ``stages``.
    """
    actions, stages = _FirstTimes(ACTIONS, intervals), _FirstTimes({**STATES, **GROUPS}, intervals)
    for each in _each_recipient(now, intervals, known, "kind", "verdict"):
        actions.add(each)
        if is_entity(each.who):
            stages.add(each)
    return actions.counted(), stages.counted()


def count_links(
    clicks: QuerySet[Beacon],
    intervals: Intervals,
    known: QuerySet[Beacon] | None,
    largest: Collection[tuple[int, str]],
) -> Counter[tuple[int, str]]:
    """Count recipients by link, on the day of the first click on it: see :func:`count_by`."""
    return count_by(F("url"), clicks, intervals, known, largest)


def count_by(
    text: F,
    rows: QuerySet[Beacon],
    intervals: Intervals,
    known: QuerySet[Beacon] | None,
    largest: Collection[tuple[int, str]],
) -> Counter[tuple[int, str]]:
    """Count recipients by a text, such as a link, on the day of the first beacon with it.

    Of all texts that are not among the largest of a day, the first beacon with any of them counts.

    Args:
        text: the column.
        rows: the beacons in the intervals.
        intervals: the days.
        known: earlier beacons, or ``None`` if there are none.
        largest: the index of the day and the text of all that are counted one by one.

    Returns:
        The recipients by index of the day and text.
    """
    counted: Counter[tuple[int, str]] = Counter()
    rows = rows.annotate(link=WholeText(text))
    known = None if known is None else known.annotate(link=WholeText(text))
    for each in _each_recipient(rows, intervals, known, "link"):
        days = {url: intervals.index_of(time) for (url,), time in each.first_times.items()}
        earlier = {url for (url,) in each.earlier}
        new = {url: day for url, day in days.items() if url not in earlier}
        for url, day in new.items():
            if (day, url) in largest:
                counted[day, url] += 1
        for day in {day for url, day in new.items() if (day, url) not in largest}:
            before = earlier.union(url for url, first in days.items() if first < day)
            # A click without a link is never one on another link.
            if all((day, url) in largest for url in before if url):
                counted[day, OTHER] += 1
    return counted


def count_deliveries(
    now: QuerySet[Beacon], intervals: Intervals, known: QuerySet[Beacon] | None
) -> IntervalCounts:
    """Count recipients by what became of their messages, on the day on which it did first.

    A message without a known recipient counts once a day.

    Args:
        now: the beacons of a source in the intervals.
        intervals: the days.
        known: its earlier beacons, or ``None`` if there are none.

    Returns:
        The recipients by index of the day and outcome, as in ``"hard gmail"``: one of
        :data:`tracking.rollups.metric_definitions.OUTCOMES` and the mailbox provider, ``""`` if
        that is not known.
    """
    now, known = _outcomes(now), None if known is None else _outcomes(known)
    counted: Counter[tuple[int, str]] = Counter()
    for each in _each_recipient(
        now, intervals, known, "kind", "bounce", "mailbox", who=mail_recipient
    ):
        mailboxes = {mailbox for *_outcome, mailbox in (*each.first_times, *each.earlier)}
        mailbox = min(mailboxes - {""}, default="")
        earlier = {name for kind, bounce, _mailbox in each.earlier for name in (kind, bounce)}
        first: dict[str, datetime] = {}
        for (kind, bounce, _mailbox), time in each.first_times.items():
            for name in {kind, bounce} - earlier - {""}:
                first[name] = min(time, first.get(name, time))
        counted.update(
            (intervals.index_of(time), f"{name} {mailbox}")
            for name, time in first.items()
            if name in OUTCOMES
        )
    return {key: Counts(uniques=number) for key, number in counted.items()}


def _outcomes(rows: QuerySet[Beacon]) -> QuerySet[Beacon]:
    """Return the beacons that say what became of messages, with two columns from their data."""
    nothing = Value("", output_field=TextField())
    columns = {name: Coalesce(KT(f"data__{name}"), nothing) for name in ("bounce", "mailbox")}
    return rows.filter(kind__in=MAIL_KINDS).annotate(**columns)


class _Recipient(NamedTuple):
    """What a recipient did.

    Attributes:
        who: the recipient, as :func:`tracking.rollups.metric_definitions.recipient` says.
        first_times: the time of the first beacon in the intervals, by what it shows.
        earlier: what earlier beacons show.
    """

    who: str
    first_times: Mapping[tuple[str, ...], datetime]
    earlier: frozenset[tuple[str, ...]]


def _each_recipient(
    now: QuerySet[Beacon],
    intervals: Intervals,
    known: QuerySet[Beacon] | None,
    *what: str,
    who: Callable[..., Combinable] = recipient,
) -> Iterator[_Recipient]:
    """Yield what each recipient with beacons in the intervals did, by the columns ``what``."""

    def grouped(rows: QuerySet[Beacon], one: Combinable) -> QuerySet[Any, Any]:
        columns = ("who", *what)
        groups: Any = rows.annotate(who=WholeText(one)).values(*columns).annotate(first=Min("time"))
        found: QuerySet[Any, Any] = groups.values_list(*columns, "first")
        return found

    found = grouped(now, who(intervals.index_expression("time")))
    if earlier := [grouped(rows, who()) for rows in _of_the_same(now, known)]:
        found = found.union(*earlier, all=True)
    start = storable_time(intervals.starts[0])
    rows = found.order_by("who").iterator(chunk_size=_CHUNK)
    for one, some in groupby(rows, key=itemgetter(0)):
        first_times, before = {}, set()
        for _who, *did, first in some:
            key = tuple(did)
            if first < start:
                before.add(key)
            else:
                first_times[key] = first
        if first_times:
            yield _Recipient(one, first_times, frozenset(before))


def _of_the_same(
    now: QuerySet[Beacon], known: QuerySet[Beacon] | None
) -> Iterator[QuerySet[Beacon]]:
    """Yield the earlier beacons of the same recipients, as far as they are recognized."""
    if known is None:
        return
    # The database decides whether to look up each recipient or to read all earlier beacons.
    types = now.filter(HAS_ENTITY).values_list("entity_type_id", flat=True).distinct()
    for one in sorted(types):
        entities = now.filter(entity_type=one).values("entity_id")
        yield known.filter(entity_type=one, entity_id__in=entities)
    visitors = now.filter(~HAS_ENTITY, visitor_id__isnull=False)
    if visitors.exists():
        yield known.filter(~HAS_ENTITY & Q(visitor_id__in=visitors.values("visitor_id")))


class _FirstTimes:
    """Counts recipients by the day on which they do something for the first time.

    Args:
        signs_of: the beacons that show an action or stage, by its name; ``None`` for any.
        intervals: the days.
    """

    def __init__(
        self, signs_of: Mapping[str, frozenset[Sign] | None], intervals: Intervals
    ) -> None:
        self._signs_of = signs_of
        self._intervals = intervals
        self._numbers: Counter[tuple[int, str]] = Counter()
        # Most recipients do the same as others, so the result is kept.
        self._fresh: dict[Any, list[tuple[str, list[Any]]]] = {}

    def add(self, each: _Recipient) -> None:
        """Count a recipient."""
        key = (frozenset(each.first_times), each.earlier)
        if key not in self._fresh:
            self._fresh[key] = list(self._new_actions(*key))
        for name, signs in self._fresh[key]:
            first = min(each.first_times[sign] for sign in signs)
            self._numbers[self._intervals.index_of(first), name] += 1

    def counted(self) -> IntervalCounts:
        """Return the counts."""
        return {key: Counts(uniques=number) for key, number in self._numbers.items()}

    def _new_actions(
        self, now: Iterable[Any], before: frozenset[Any]
    ) -> Iterator[tuple[str, list[Any]]]:
        """Yield the actions that are done for the first time, with the signs of each."""
        for name, signs in self._signs_of.items():
            is_new = not before if signs is None else signs.isdisjoint(before)
            found = list(now) if signs is None else [what for what in now if what in signs]
            if is_new and found:
                yield name, found

"""Moves what was just recorded to when it should have been.

A day is played in seconds. Of each request it is known who sent it, when, and when it was
meant to be; its rows are found by that, and only rows of the play are touched.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from shop.models import Subscriber
from tracking.models import Beacon, PageView, Visit, Visitor


class Move(NamedTuple):
    """One request that was played.

    Attributes:
        address: who sent it.
        began, ended: when.
        to: when it was meant to be.
    """

    address: str
    began: datetime
    ended: datetime
    to: datetime


@transaction.atomic
def spread(moves: Sequence[Move]) -> None:
    """Move the rows that these requests have made."""
    if not moves:
        return
    when = _clock(moves)
    since = min(move.began for move in moves)
    _move_beacons(since, when)
    visits = _move_page_views(since, when)
    _follow(visits)


#: Returns when a row of an address was meant to be, or ``None`` for a row of somebody else.
_Clock = Callable[[str | None, datetime], datetime | None]


def _clock(moves: Sequence[Move]) -> _Clock:
    by_address = defaultdict(list)
    for move in moves:
        by_address[move.address].append(move)

    def when(address: str | None, recorded: datetime) -> datetime | None:
        for move in by_address.get(address or "", ()):
            if move.began <= recorded <= move.ended:
                return move.to
        return None

    return when


def _move_beacons(since: datetime, when: _Clock) -> None:
    moved = []
    for beacon in Beacon.objects.since(since):
        if time := when(beacon.ip_address, beacon.time):
            beacon.time = time
            moved.append(beacon)
    Beacon.objects.bulk_update(moved, ["time"], batch_size=200)
    _move_subscribers(moved)


def _move_subscribers(beacons: Sequence[Beacon]) -> None:
    """Set when subscribers were last seen, which their ``beacon_update`` has set to now."""
    subscribers = ContentType.objects.get_for_model(Subscriber)
    seen = {
        beacon.entity_id: beacon.time
        for beacon in sorted(beacons, key=lambda beacon: beacon.time)
        if beacon.entity_type_id == subscribers.pk
    }
    found = list(Subscriber.objects.filter(pk__in=seen, last_seen__isnull=False))
    for subscriber in found:
        subscriber.last_seen = seen[str(subscriber.pk)]
    Subscriber.objects.bulk_update(found, ["last_seen"])


def _move_page_views(since: datetime, when: _Clock) -> list[Visit]:
    """Move page views and their visits; return these."""
    moved: list[PageView] = []
    visits: dict[Any, Visit] = {}
    for page in PageView.objects.filter(time__gte=since).select_related("visit").order_by("time"):
        if time := when(page.visit.ip_address, page.time):
            page.time = time
            moved.append(page)
            visit = visits.setdefault(page.visit_id, page.visit)
            if page.visit is visit:
                visit.started_at = time
            visit.ended_at = time
    PageView.objects.bulk_update(moved, ["time"], batch_size=200)
    Visit.objects.bulk_update(visits.values(), ["started_at", "ended_at"], batch_size=200)
    return list(visits.values())


def _follow(visits: Sequence[Visit]) -> None:
    """Set since when visitors are here, and when they were last seen, by their visit."""
    by_visitor = {visit.visitor_id: visit for visit in visits}
    visitors = Visitor.objects.in_bulk(list(by_visitor), field_name="key")
    for key, visitor in visitors.items():
        visit = by_visitor[key]
        visitor.session_start, visitor.last_update = visit.started_at, visit.ended_at
    fields = ["session_start", "last_update"]
    Visitor.objects.bulk_update(visitors.values(), fields, batch_size=200)

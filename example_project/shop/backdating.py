"""Backdate the rows that simulated requests have just created.

A day is simulated in seconds. For each request we know the address that sent it, when it was
sent and when it should have been sent. That identifies its rows; other rows are not touched.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from shop.models import Subscriber
from tracking.models import Beacon, PageView, Visit, Visitor


class Simulated(NamedTuple):
    """One simulated request.

    Attributes:
        address: the address that sent it.
        began, ended: when it was sent and answered.
        to: when it should have been sent.
    """

    address: str
    began: datetime
    ended: datetime
    to: datetime


@transaction.atomic
def backdate(simulated: Sequence[Simulated]) -> None:
    """Move the rows of these requests to the times they should have."""
    if not simulated:
        return
    when = _clock(simulated)
    since = min(move.began for move in simulated)
    _move_beacons(since, when)
    visits = _move_page_views(since, when)
    _move_visitors(visits)


#: Takes the address and time of a row. Returns its new time, or ``None`` if it was not simulated.
_Clock = Callable[[str | None, datetime], datetime | None]


def _clock(simulated: Sequence[Simulated]) -> _Clock:
    by_address = defaultdict(list)
    for move in simulated:
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
    """Correct ``last_seen``, which ``Subscriber.beacon_update`` has set to now."""
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
    """Move page views and their visits, and return the visits."""
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


def _move_visitors(visits: Sequence[Visit]) -> None:
    """Copy start and end of each visit to its visitor."""
    by_visitor = {visit.visitor_id: visit for visit in visits}
    visitors = Visitor.objects.in_bulk(list(by_visitor), field_name="key")
    for key, visitor in visitors.items():
        visit = by_visitor[key]
        visitor.session_start, visitor.last_update = visit.started_at, visit.ended_at
    fields = ["session_start", "last_update"]
    Visitor.objects.bulk_update(visitors.values(), fields, batch_size=200)

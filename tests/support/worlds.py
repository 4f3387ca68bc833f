"""Small random worlds of hits, and every figure counted by loops written from the words alone.

The words: :mod:`tracking.rollups.metric_definitions`. Nothing here asks the database to count, and
nothing reads that module: a mistake in it shows.
"""

import random
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.contrib.contenttypes.models import ContentType

from tests.site.models import Affiliate, Product, Subscriber
from tests.support.brute_force import AGENTS, CAMPAIGNS, LINKS, PAGES, REFERRERS
from tracking.hits import Hit, Kind, PageHit, Reference
from tracking.models import Beacon, PageView, Source, Visit

#: Time zones and a day in each: clocks go forward, back, forward at midnight, and never.
PLACES = [
    ("Europe/Berlin", date(2026, 3, 29)),
    ("America/New_York", date(2025, 11, 2)),
    ("Africa/Cairo", date(2025, 4, 25)),
    ("Asia/Kathmandu", date(2026, 1, 1)),
]

_KINDS = [Kind.OPEN] * 5 + [Kind.CLICK] * 3 + [Kind.SENT] * 2 + [Kind.EVENT, "delivered", "bounced"]


class World(NamedTuple):
    """Hits, and what they are about.

    Attributes:
        zone: the time zone of the site.
        first: the first day.
        last: the last day.
        mailings: rows of two models that are sources.
        products: targets.
        readers: entities.
        hits: in the order of their times.
    """

    zone: str
    first: date
    last: date
    mailings: list
    products: list
    readers: list
    hits: list


def world(seed, number=100):
    """Return a world; the site's time zone must be that of :func:`zone_of`."""
    chance = random.Random(seed)
    zone, middle = PLACES[seed % len(PLACES)]
    first, last = middle - timedelta(days=2), middle + timedelta(days=2)
    mailings = [
        Affiliate.objects.create(name=f"{seed} A"),
        Affiliate.objects.create(name=f"{seed} B"),
        Source.objects.create(name=f"{seed} C", slug=f"c{seed}"),
    ]
    products = [Product.objects.create(sku=f"tea {seed}"), Product.objects.create(sku=f"{seed}")]
    readers = [Subscriber.objects.create(email=f"{n}@{seed}.example") for n in range(3)]
    hits = [
        _hit(chance, _time(chance, first, last, zone), mailings, products, readers)
        for _ in range(number)
    ]
    return World(
        zone, first, last, mailings, products, readers, sorted(hits, key=lambda hit: hit.time)
    )


def zone_of(seed):
    return PLACES[seed % len(PLACES)][0]


def _time(chance, first, last, zone):
    """Return a moment; every other one is near a midnight."""
    days = (last - first).days
    day = first + timedelta(days=chance.randint(0, days))
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    if chance.random() < 0.5:
        return midnight + timedelta(minutes=chance.randint(-90, 90))
    return midnight + timedelta(seconds=chance.randint(0, 86_000))


def _hit(chance, time, mailings, products, readers):
    address = f"192.0.2.{chance.randrange(2)}"
    visitor = chance.choice(["anna", "bea", None])
    agent = chance.choice([*AGENTS, *AGENTS[:2]])
    if visitor and chance.random() < 0.25:
        return PageHit(
            visitor=visitor,
            url=chance.choice(PAGES),
            time=time,
            referrer=chance.choice(REFERRERS),
            campaign=chance.choice(CAMPAIGNS),
            ip_address=address,
            user_agent=agent,
        )
    kind = chance.choice(_KINDS)
    pick = lambda some, *others: chance.choice([*map(Reference.to, some), *others])  # noqa: E731
    return Hit(
        kind=kind,
        time=time,
        visitor=visitor,
        url=chance.choice(LINKS) if kind == Kind.CLICK else "",
        source=pick(mailings, None),
        target=pick(products, None),
        entity=pick(readers, None, None),
        ip_address=address,
        user_agent=agent if kind in {Kind.OPEN, Kind.CLICK} else "",
    )


# The words.


def day(time, zone):
    return time.astimezone(ZoneInfo(zone)).date()


def recipient(beacon, zone):
    """The entity; without one the visitor's key; without that address and agent, on one day."""
    if beacon.entity_type_id is not None and beacon.entity_id is not None:
        return ("entity", beacon.entity_type_id, beacon.entity_id)
    if beacon.visitor_id is not None:
        return ("visitor", beacon.visitor_id)
    return ("address", beacon.ip_address, beacon.user_agent, day(beacon.time, zone))


def is_open(beacon):
    return beacon.kind == "open" and beacon.verdict == "human"


def is_proxied_open(beacon):
    return beacon.kind == "open" and beacon.verdict == "proxy"


def is_click(beacon):
    return beacon.kind == "click" and beacon.verdict == "human"


def is_goal(beacon):
    return beacon.kind == "event" and beacon.verdict == "human"


def _of(beacons, zone, condition):
    return {recipient(beacon, zone) for beacon in beacons if condition(beacon)}


def of_object(role, instance, zone):
    """Return all figures about an object: a mailing, a target or an entity."""
    content_type = ContentType.objects.get_for_model(instance)
    beacons = [
        beacon
        for beacon in Beacon.objects.all()
        if getattr(beacon, f"{role}_type_id") == content_type.pk
        and getattr(beacon, f"{role}_id") == str(instance.pk)
    ]
    confirmed = _of(beacons, zone, is_open)
    proxied = _of(beacons, zone, is_proxied_open)
    clicked = _of(beacons, zone, is_click)
    opened = confirmed | proxied | clicked
    machine = _of(beacons, zone, lambda b: b.kind in {"open", "click"})
    states, groups = defaultdict(int), Counter()
    for who in {recipient(b, zone) for b in beacons}:
        if who[0] == "entity":
            groups["opened"] += who in opened
            groups["clicked"] += who in clicked
            state = (
                "confirmed" if who in confirmed else
                "proxied" if who in proxied else
                "without_image" if who in clicked else
                "machine" if who in machine else
                "nothing"
            )  # fmt: skip
            states[state] += 1
    return {
        "sent": len(_of(beacons, zone, lambda b: b.kind == "sent")) or None,
        "delivered": len(_of(beacons, zone, lambda b: b.kind == "delivered")) or None,
        "bounced": len(_of(beacons, zone, lambda b: b.kind == "bounced")) or None,
        "opened": len(opened),
        "confirmed": len(confirmed),
        "proxied": len(proxied - confirmed),
        "clicked without image": len(clicked - confirmed - proxied),
        "machine only": len(machine - opened),
        "clicked": len(clicked),
        "clicked by machines only": len(_of(beacons, zone, lambda b: b.kind == "click") - clicked),
        "goal": len(_of(beacons, zone, is_goal)),
        "opens": sum(is_open(b) or is_proxied_open(b) for b in beacons),
        "clicks": sum(map(is_click, beacons)),
        "goals": sum(map(is_goal, beacons)),
        "links": {
            url: (
                sum(is_click(b) and b.url == url for b in beacons),
                len(_of(beacons, zone, lambda b, url=url: is_click(b) and b.url == url)),
            )
            for url in {b.url for b in beacons if is_click(b)}
        },
        "states": dict(states),
        "groups": dict(+groups),
    }


def of_days(first, last, zone, keep=lambda beacon: True):
    """Return the figures of the whole site, those of each day added up."""
    is_within = lambda time: first <= day(time, zone) <= last  # noqa: E731
    beacons = [b for b in Beacon.objects.all() if is_within(b.time) and keep(b)]
    confirmed, clicks = _those(is_open, beacons), _those(is_click, beacons)
    proxied = _those(is_proxied_open, beacons)
    machines = [b for b in beacons if b.kind in {"open", "click"}]
    opened = [*confirmed, *proxied, *clicks]
    visits = Visit.objects.filter(verdict="human")
    visits = [visit for visit in visits if is_within(visit.started_at)]
    pages = PageView.objects.filter(visit__verdict="human")
    return {
        "opens": len(confirmed) + len(proxied),
        "daily unique opens": _daily(opened, zone),
        "confirmed": _daily(confirmed, zone),
        "proxied": _daily([*confirmed, *proxied], zone) - _daily(confirmed, zone),
        "clicked without image": _daily(opened, zone) - _daily([*confirmed, *proxied], zone),
        "machine only": _daily(machines, zone) - _daily(opened, zone),
        "clicks": len(clicks),
        "daily unique clicks": _daily(clicks, zone),
        "links": Counter(click.url for click in clicks),
        "daily links": {
            url: _daily([click for click in clicks if click.url == url], zone)
            for url in {click.url for click in clicks}
        },
        "visits": len(visits),
        "visitors": len({(v.visitor_id, day(v.started_at, zone)) for v in visits}),
        "page views": sum(is_within(page.time) for page in pages),
    }


def _those(condition, rows):
    return [row for row in rows if condition(row)]


def _daily(beacons, zone):
    """Return the recipients of each day, added up."""
    return len({(recipient(beacon, zone), day(beacon.time, zone)) for beacon in beacons})


def is_of(source):
    """Return the condition that a beacon is of a mailing."""
    type_id = ContentType.objects.get_for_model(source).pk
    return lambda beacon: (beacon.source_type_id, beacon.source_id) == (type_id, str(source.pk))


def opened(source, entity, days, visitor=None):
    """Return an open by a person at noon, some days after that of the first place."""
    noon = datetime.combine(PLACES[0][1], datetime.min.time(), UTC) + timedelta(hours=12)
    return Hit(
        kind=Kind.OPEN,
        time=noon + timedelta(days=days),
        source=Reference.to(source),
        entity=entity,
        visitor=visitor,
        user_agent=AGENTS[0],
    )

"""Days of traffic for reports, and what a plain loop over their rows counts.

Nothing here asks the database to count: rows are read and counted in Python.
"""

import random
import re
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.contrib.contenttypes.models import ContentType

from tests.site.models import Affiliate, Subscriber
from tracking.hits import Hit, Kind, PageHit, Reference
from tracking.models import Beacon, PageView, Visit
from tracking.reports import Period

AGENTS = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "Mozilla/5.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
]
REFERRERS = ["", "https://search.example/?q=tea", "http://blog.example/a", "https://blog.example/b"]
PAGES = ["/", "/tea/", "/tea/green/", "/cart/"]
LINKS = ["https://shop.example/tea", "https://shop.example/cups?a=1", "/news/"]
CAMPAIGNS = [{}, {"source": "letter", "medium": "email", "campaign": "spring"}, {"source": "ad"}]


#: When reports are read: after all days of the tests.
NOW = datetime(2026, 4, 2, 9, 30, tzinfo=UTC)


def custom_period(first, last, now=NOW):
    """Return the period from one day to another, both in ISO 8601."""
    return Period.custom(date.fromisoformat(first), date.fromisoformat(last), now)


def traffic(first, last, *, seed=1, number=150, zone="Europe/Berlin", sources=(), entities=()):
    """Return hits from the first to the last day, in the order in which they happened.

    More than chance would bring are near midnight.
    """
    chance = random.Random(seed)
    start = datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(zone))
    days = (last - first).days + 1
    hits = []
    for _ in range(number):
        time = start.astimezone(UTC) + timedelta(hours=chance.random() * 24 * days)
        if chance.random() < 0.4:
            midnight = datetime.combine(
                first + timedelta(days=chance.randrange(days)), datetime.min.time(), ZoneInfo(zone)
            )
            time = midnight.astimezone(UTC) + timedelta(minutes=chance.randint(-90, 90))
        hits.append(_hit(chance, time, sources, entities))
    return sorted(hits, key=lambda hit: hit.time)


def _hit(chance, time, sources, entities):
    address = f"192.0.2.{chance.randrange(3)}"
    visitor = chance.choice(["anna", "bea", "cleo", "dora", None])
    agent = chance.choice(AGENTS if chance.random() < 0.5 else AGENTS[:2])
    if visitor and chance.random() < 0.5:
        return PageHit(
            visitor=visitor,
            url=chance.choice(PAGES),
            time=time,
            referrer=chance.choice(REFERRERS),
            campaign=chance.choice(CAMPAIGNS),
            ip_address=address,
            user_agent=agent,
        )
    kind = chance.choice([Kind.OPEN, Kind.OPEN, Kind.CLICK, Kind.SENT, Kind.EVENT])
    return Hit(
        kind=kind,
        time=time,
        visitor=visitor,
        url=chance.choice(LINKS) if kind == Kind.CLICK else "",
        source=chance.choice([*sources, None]) if sources else None,
        entity=chance.choice([*entities, None]) if entities else None,
        ip_address=address,
        user_agent="" if kind in {Kind.SENT, Kind.EVENT} else agent,
    )


def mailings(number=2):
    """Return references to new source objects."""
    return [Reference.to(Affiliate.objects.create(name=f"mailing {n}")) for n in range(number)]


def readers(number=4):
    """Return references to new recipients."""
    return [
        Reference.to(Subscriber.objects.create(email=f"reader{n}@mail.example"))
        for n in range(number)
    ]


def at(day, zone="Europe/Berlin"):
    """Return when a day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def local_day(time, zone="Europe/Berlin"):
    return time.astimezone(ZoneInfo(zone)).date()


def who(beacon):
    """Return who a beacon came from, whoever counts as one on one day."""
    if beacon.entity_type_id is not None and beacon.entity_id is not None:
        return ("entity", beacon.entity_type_id, beacon.entity_id)
    if beacon.visitor_id is not None:
        return ("visitor", beacon.visitor_id)
    return ("address", beacon.ip_address, beacon.user_agent)


def ever(beacon, zone="Europe/Berlin"):
    """Return the same over all days."""
    key = who(beacon)
    return (*key, local_day(beacon.time, zone)) if key[0] == "address" else key


def host(url):
    """Return the host of one of ``REFERRERS``."""
    return re.sub(r"^https?://([^/]*).*", r"\1", url)


def first_day(zone="Europe/Berlin"):
    """Return the first day of which there is a row."""
    times = [visit.started_at for visit in Visit.objects.all()]
    return local_day(min(times + [beacon.time for beacon in Beacon.objects.all()]), zone)


def visits_between(start, end, keep=lambda visit: True):
    return [
        visit
        for visit in Visit.objects.all()
        if visit.verdict == "human" and start <= visit.started_at < end and keep(visit)
    ]


def pages_between(start, end, keep=lambda page: True):
    return [
        page
        for page in PageView.objects.select_related("visit")
        if page.visit.verdict == "human" and start <= page.time < end and keep(page)
    ]


def beacons_between(start, end, kind, verdict="human", keep=lambda beacon: True):
    return [
        beacon
        for beacon in Beacon.objects.all()
        if beacon.kind == kind
        and beacon.verdict == verdict
        and start <= beacon.time < end
        and keep(beacon)
    ]


def a_day(rows, key, time, zone="Europe/Berlin"):
    """Return how many distinct keys there are on each day, added up."""
    days = defaultdict(set)
    for row in rows:
        if key(row) is not None:
            days[local_day(time(row), zone)].add(key(row))
    return sum(map(len, days.values()))


#: The figures about beacons.
OF_BEACONS = (
    "opens", "daily_unique_opens", "confirmed", "proxied", "without_image", "machine",
    "clicks", "daily_unique_clicks",
)  # fmt: skip


def figures(start, end, *, zone="Europe/Berlin", visit=None, page=None, beacon=None):
    """Return all figures of the overview, counted by loops."""
    everything = lambda row: True  # noqa: E731
    visits = visits_between(start, end, visit or everything)
    pages = pages_between(start, end, page or everything)
    confirmed = beacons_between(start, end, "open", keep=beacon or everything)
    proxied = beacons_between(start, end, "open", "proxy", keep=beacon or everything)
    machines = [
        each
        for kind in ("open", "click")
        for verdict in ("human", "proxy", "prefetch", "bot")
        for each in beacons_between(start, end, kind, verdict, keep=beacon or everything)
    ]
    clicks = beacons_between(start, end, "click", keep=beacon or everything)
    recipients = lambda beacons: a_day(beacons, who, lambda b: b.time, zone)  # noqa: E731
    length = sum((v.ended_at - v.started_at for v in visits), timedelta()).total_seconds()
    return {
        "visitors": a_day(visits, lambda v: v.visitor_id, lambda v: v.started_at, zone),
        "visits": len(visits),
        "page_views": len(pages),
        "bounce_rate": sum(v.page_views == 1 for v in visits) / len(visits) if visits else None,
        "visit_length": length / len(visits) if visits else None,
        "opens": len(confirmed) + len(proxied),
        "daily_unique_opens": recipients([*confirmed, *proxied, *clicks]),
        "confirmed": recipients(confirmed),
        "proxied": recipients([*confirmed, *proxied]) - recipients(confirmed),
        "without_image": recipients([*confirmed, *proxied, *clicks])
        - recipients([*confirmed, *proxied]),
        "machine": recipients(machines) - recipients([*confirmed, *proxied, *clicks]),
        "clicks": len(clicks),
        "daily_unique_clicks": recipients(clicks),
    }


def content_type_of(label):
    """Return the content type of a model, such as ``"site.affiliate"``."""
    return ContentType.objects.get_by_natural_key(*label.split("."))


def campaign(reference, zone="Europe/Berlin"):
    """Return the counts of a campaign, counted by loops."""
    content_type = content_type_of(reference.label)
    rows = [
        beacon
        for beacon in Beacon.objects.all()
        if (beacon.source_type_id, beacon.source_id) == (content_type.pk, reference.pk)
    ]
    did = defaultdict(set)
    links = defaultdict(set)
    for row in rows:
        did[row.kind, row.verdict].add(ever(row, zone))
        if row.kind == "click" and row.verdict == "human":
            links[row.url].add(ever(row, zone))
    everybody = lambda kind: set().union(  # noqa: E731
        *(people for (its, _), people in did.items() if its == kind)
    )
    confirmed, proxied = did["open", "human"], did["open", "proxy"]
    clicked = did["click", "human"]
    opened = confirmed | proxied | clicked
    return {
        "sent": len(everybody("sent")) or None,
        "opened": len(opened),
        "confirmed": len(confirmed),
        "proxied": len(proxied - confirmed),
        "without image": len(clicked - proxied - confirmed),
        "machine": len((everybody("open") | everybody("click")) - opened),
        "clicked": len(clicked),
        "machine clicked": len(everybody("click") - clicked),
        "goal": len(did["event", "human"]) or None,
        "opens": sum(b.kind == "open" and b.verdict in {"human", "proxy"} for b in rows),
        "clicks": sum((b.kind, b.verdict) == ("click", "human") for b in rows),
        "links": {
            url: (sum(b.url == url and b.verdict == "human" for b in rows if b.kind == "click"), n)
            for url, n in ((url, len(people)) for url, people in links.items())
        },
    }


def reported(report):
    """Return the same of a report."""
    return {
        "sent": report.sent,
        "opened": report.opened.unique,
        "confirmed": report.opened.confirmed,
        "proxied": report.opened.proxied,
        "without image": report.opened.without_image,
        "machine": report.opened.machine,
        "clicked": report.clicked.unique,
        "machine clicked": report.clicked.machine,
        "goal": report.goal and report.goal.unique,
        "opens": report.opened.total,
        "clicks": report.clicked.total,
        "links": {row.value: (row.figure, row.numbers["clicked"]) for row in report.links.rows},
    }

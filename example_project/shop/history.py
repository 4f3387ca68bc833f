"""Sixty days of the shop before today: visits, mailings, opens, clicks and purchases.

    write_history(end=timezone.now() - timedelta(days=1))

Requests of sixty days would take minutes. So the hits that they would have made are written as the
backend writes them, with their own times, in the order of time: the app finds out by itself who was
a person, where they came from, and which mailing gets the credit for a purchase.

The same random numbers give the same history, relative to its end.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from shop import campaign
from shop.models import Product, Subscriber
from shop.places import Place
from shop.scenario import BROWSERS, BROWSERS_WEIGHTS, CURVE, Client, Scenario, Session
from tracking import recording
from tracking.enrichment.verdict_rules import Label
from tracking.hits import AnyHit, Hit, Kind, PageHit, Reference, uuid7_bytes
from tracking.models import Beacon, Source, Visit
from tracking.models.visitors import random_key
from tracking.rollups.build import roll_up
from tracking.verdicts.reclassification import reclassify

#: So that the report about thirty days has others to compare with.
DAYS = 61

#: Visits of an average day, and what share of it each weekday has, from Monday on.
VISITS = 66
WEEKDAYS = (1.05, 1.12, 1.1, 1.02, 0.97, 0.82, 0.92)

#: Hits that are written together.
BATCH = 1_000

#: Mailings before the spring letter: slug, name, days before the end, share of readers.
EARLIER = (
    ("new-year-teas", "Teas for the new year", 47, 0.31),
    ("winter-farewell", "Winter farewell", 26, 0.34),
    ("tea-of-the-month", "Tea of the month: Genmaicha", 12, 0.41),
)

#: The spring letter went out at this hour, on the day before the last one.
HOUR = 9

#: Shares of readers who open a message, by subject.
INTEREST = {"spring-letter-a": 0.38, "spring-letter-b": 0.56}

GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
APPLE = "Mozilla/5.0"
THUNDERBIRD = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.3.0"
OUTLOOK = "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)"
#: A gateway that follows each link before it delivers the message. It calls itself a browser, as
#: most do; the app finds it by its burst of clicks.
GATEWAY = BROWSERS[0]


class Reader(NamedTuple):
    """How a subscriber reads mail.

    Attributes:
        mailbox: the mailbox provider.
        agent: what loads images for them; ``""`` if images are switched off.
        is_guarded: whether a gateway looks into the mail first.
    """

    mailbox: str
    agent: str
    is_guarded: bool = False


READERS = (
    Reader("gmail", GMAIL),
    Reader("apple", APPLE),
    Reader("yahoo", YAHOO),
    Reader("outlook", OUTLOOK),
    Reader("other", THUNDERBIRD),
    Reader("other", OUTLOOK, is_guarded=True),
    Reader("other", ""),
)
READERS_WEIGHTS = (33, 22, 8, 12, 10, 9, 6)


def write_history(end: datetime) -> int:
    """Write the sixty days before ``end``, and count them.

    The spring letter must have been sent: its messages are dated back to the day before the last.

    Args:
        end: the end of the last day (aware).

    Returns:
        The number of hits.
    """
    hits = sorted(_History(end).hits(), key=lambda hit: hit.time)
    for start in range(0, len(hits), BATCH):
        recording.write(hits[start : start + BATCH])
    reclassify()  # as it does a few minutes after a burst of clicks
    roll_up()
    return len(hits)


def write_purchases(since: datetime) -> None:
    """Write the purchases of visits that requests have made, which buy nothing.

    Args:
        since: the beginning of the first visit (aware).
    """
    random, products = Random(32), list(Product.objects.all())
    visits = Visit.objects.filter(started_at__gte=since, verdict=Label.HUMAN).order_by("ended_at")
    buyers = [visit for visit in visits if random.random() < 0.05]  # noqa: PLR2004 - of a hundred
    recording.write(
        _purchase(
            Client(visit.ip_address or "", visit.user_agent),
            visit.visitor_id,
            random.choice(products),
            visit.ended_at,
        )
        for visit in buyers
    )


class _History:
    def __init__(self, end: datetime) -> None:
        self._end = end
        self._random = Random(30)
        self._scenario = Scenario(Random(31), mails=())
        self._products = list(Product.objects.all())
        self._people = list(Subscriber.objects.all())
        self._readers = dict(
            zip(
                (person.pk for person in self._people),
                self._random.choices(READERS, READERS_WEIGHTS, k=len(self._people)),
                strict=True,
            )
        )

    def hits(self) -> Iterator[AnyHit]:
        """Yield all hits, not in order of time, and none after the end."""
        for hit in self._all_hits():
            if hit.time < self._end:
                yield hit

    def _all_hits(self) -> Iterator[AnyHit]:
        for days in range(DAYS, 0, -1):
            yield from self._day(self._end - timedelta(days=days))
        for slug, name, days, interest in EARLIER:
            source, _made = Source.objects.get_or_create(
                slug=slug, defaults={"name": name, "medium": "email", "campaign": slug}
            )
            sent_at = self._morning(days)
            for person in self._people:
                time = sent_at + timedelta(seconds=self._random.random() * 90)
                yield self._mail(Kind.SENT, source, person, time)
                yield from self._message(source, person, time, interest)
        yield from self._spring_letter()

    def _spring_letter(self) -> Iterator[AnyHit]:
        """Date the messages that were sent back, and yield what came of them."""
        people = {str(person.pk): person for person in self._people}
        sent = list(Beacon.objects.sent().filter(source_id__in=_keys(campaign.sources())))
        start = self._morning(2)
        for number, beacon in enumerate(sorted(sent, key=lambda beacon: beacon.time)):
            beacon.time = start + timedelta(seconds=number * 0.3)
            beacon.data["mailbox"] = self._readers[UUID(beacon.entity_id)].mailbox
        Beacon.objects.bulk_update(sent, ["time", "data"], batch_size=100)
        for beacon in sent:
            person, source = people.get(beacon.entity_id or ""), beacon.source
            if person is not None and source is not None:
                yield from self._message(source, person, beacon.time, INTEREST[source.slug])

    def _morning(self, days: int) -> datetime:
        """Return the hour at which mail goes out, so many days before the end."""
        day = timezone.localtime(self._end) - timedelta(days=days - 1)
        return day.replace(hour=HOUR, minute=12, second=0, microsecond=0)

    # --- Mail ---------------------------------------------------------------------------

    def _message(
        self, source: Source, person: Subscriber, sent_at: datetime, interest: float
    ) -> Iterator[AnyHit]:
        """Yield what happens to one message."""
        reader, chance = self._readers[person.pk], self._random
        arrived = sent_at + timedelta(seconds=chance.uniform(1, 40))
        if chance.random() < 0.02:  # noqa: PLR2004 - two of a hundred addresses are gone
            yield self._mail(Kind.BOUNCED, source, person, arrived, bounce="hard")
            return
        yield from self._delivery(source, person, arrived)
        address = self._address()
        if reader.is_guarded:
            yield from self._gateway(source, person, sent_at)
        if reader.agent == APPLE and chance.random() < 0.9:  # noqa: PLR2004 - most phones are on
            later = timedelta(hours=chance.expovariate(1 / 3))
            yield self._mail(
                Kind.OPEN, source, person, arrived + later, user_agent=APPLE, ip_address=address
            )
        if chance.random() > interest:
            return
        opened = self._awake(sent_at + timedelta(hours=chance.lognormvariate(0.7, 1.2)))
        if reader.agent not in ("", APPLE):
            for _ in range(chance.choices((1, 2, 3), (70, 22, 8))[0]):
                yield self._mail(
                    Kind.OPEN, source, person, opened, user_agent=reader.agent, ip_address=address
                )
                opened = self._awake(opened + timedelta(hours=chance.expovariate(1 / 9)))
        yield from self._refusal(source, person, opened + timedelta(minutes=1))
        if chance.random() < 0.35:  # noqa: PLR2004 - a third of those who open it click
            yield from self._click(source, person, opened + timedelta(seconds=20))

    def _delivery(self, source: Source, person: Subscriber, time: datetime) -> Iterator[Hit]:
        """Yield that a message arrived, for three of a hundred after a delay."""
        if self._random.random() < 0.03:  # noqa: PLR2004
            yield self._mail(Kind.DEFERRED, source, person, time)
            time += timedelta(minutes=5)
        yield self._mail(Kind.DELIVERED, source, person, time)

    def _refusal(self, source: Source, person: Subscriber, time: datetime) -> Iterator[Hit]:
        """Yield that a reader wants no more: two of a hundred do."""
        if self._random.random() < 0.02:  # noqa: PLR2004
            kind = self._random.choices((Kind.UNSUBSCRIBED, Kind.COMPLAINED), (3, 1))[0]
            yield self._mail(kind, source, person, time)

    def _gateway(self, source: Source, person: Subscriber, sent_at: datetime) -> Iterator[Hit]:
        """Yield a burst: the image and all links within seconds, before anybody reads."""
        begins = sent_at + timedelta(seconds=self._random.uniform(20, 280))
        sender = {"user_agent": GATEWAY, "ip_address": self._address()}
        yield self._mail(Kind.OPEN, source, person, begins, **sender)
        for number, product in enumerate(self._products):
            time = begins + timedelta(seconds=0.7 * (number + 1))
            yield self._mail(Kind.CLICK, source, person, time, url=_url(source, product), **sender)

    def _click(self, source: Source, person: Subscriber, time: datetime) -> Iterator[AnyHit]:
        """Yield a click, the pages after it, and for some a purchase."""
        shares = [4 if product.slug == campaign.PRODUCT else 1 for product in self._products]
        product = self._random.choices(self._products, shares)[0]
        agent = self._random.choices(BROWSERS, BROWSERS_WEIGHTS)[0]
        client, key = Client(self._address(), agent), random_key()
        yield self._mail(
            Kind.CLICK,
            source,
            person,
            time,
            url=_url(source, product),
            user_agent=agent,
            ip_address=client.address,
            visitor=key,
        )
        utm = {name[4:]: value for name, value in campaign.utm(source).items()}
        yield from self._visit(client, key, [product.get_absolute_url(), "/"], time, utm=utm)
        if self._random.random() < 0.28:  # noqa: PLR2004 - of those who click
            yield _purchase(client, key, product, time + timedelta(minutes=4))

    def _mail(
        self, kind: Kind, source: Source, person: Subscriber, time: datetime, **values: str
    ) -> Hit:
        data: dict[str, object] = {}
        if kind not in (Kind.OPEN, Kind.CLICK):
            data["mailbox"] = self._readers[person.pk].mailbox
        if kind == Kind.SENT:
            data["links"] = len(self._products)
        if bounce := values.pop("bounce", None):
            data["bounce"] = bounce
        return Hit(
            kind=kind,
            id=_key(time),
            time=time,
            source=Reference.to(source),
            entity=Reference.to(person),
            data=data,
            **values,
        )

    def _awake(self, time: datetime) -> datetime:
        """Return a time at which people look at their mail: not at night."""
        hour = timezone.localtime(time).hour
        if self._random.random() * max(CURVE) < CURVE[hour]:
            return time
        return time + timedelta(hours=self._random.uniform(2, 9))

    # --- Visits -------------------------------------------------------------------------

    def _day(self, start: datetime) -> Iterator[AnyHit]:
        """Yield the visits of one day."""
        middle = timezone.localtime(start + timedelta(hours=12))
        growth = 1 - 0.003 * (self._end - start).days
        number = VISITS * WEEKDAYS[middle.weekday()] * growth * self._random.uniform(0.9, 1.1)
        for arrival in self._scenario.strangers(round(number)):
            begins = self._scenario.moment(arrival, start + timedelta(days=1))
            key = random_key()
            for session in arrival.sessions:
                yield from self._session(session, key, begins + timedelta(seconds=session.after))

    def _session(self, session: Session, key: str, begins: datetime) -> Iterator[AnyHit]:
        first = session.requests[0]
        target = urlsplit(first.path)
        utm = {name[4:]: values[0] for name, values in parse_qs(target.query).items()}
        paths = [target.path, *(request.path for request in session.requests[1:])]
        times = [begins + timedelta(seconds=request.after) for request in session.requests]
        yield from self._visit(session.client, key, paths, *times, referrer=first.referrer, utm=utm)
        if session.client.user_agent in BROWSERS and self._random.random() < 0.03:  # noqa: PLR2004
            product = self._random.choice(self._products)
            yield _purchase(session.client, key, product, times[-1] + timedelta(minutes=1))

    def _visit(
        self,
        client: Client,
        key: str,
        paths: Sequence[str],
        *times: datetime,
        referrer: str = "",
        utm: dict[str, str] | None = None,
    ) -> Iterator[PageHit]:
        """Yield the pages of a visit. Without further times, each is read for a minute."""
        for number, path in enumerate(paths):
            time = times[number] if number < len(times) else times[0] + timedelta(minutes=number)
            yield PageHit(
                id=_key(time),
                time=time,
                visitor=key,
                url=path,
                referrer="" if number else referrer,
                is_internal=number > 0,
                campaign={} if number else utm or {},
                ip_address=client.address,
                user_agent=client.user_agent,
                has_cookie=True,
            )

    def _address(self) -> str:
        place: Place = self._scenario.place()
        return self._scenario.address(place)


def _keys(sources: Sequence[Source]) -> list[str]:
    return [str(source.pk) for source in sources]


def _url(source: Source, product: Product) -> str:
    """Return where a link of a mailing leads to."""
    query = urlencode(campaign.utm(source))
    return f"{settings.TRACKING_BASE_URL}{product.get_absolute_url()}?{query}"


def _key(time: datetime) -> UUID:
    return UUID(bytes=uuid7_bytes(time.timestamp()))


def _purchase(client: Client, key: str, product: Product, time: datetime) -> Hit:
    return Hit(
        kind=Kind.EVENT,
        id=_key(time),
        time=time,
        event_name="purchase",
        event_value=product.price,
        data={"product": product.slug},
        visitor=key,
        ip_address=client.address,
        user_agent=client.user_agent,
    )

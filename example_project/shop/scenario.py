"""Invent the visitors of an ordinary day: who they are, where they come from, what they read.

This module only plans requests; :mod:`shop.simulator` sends them.

    scenario = Scenario(Random(1))
    for arrival in scenario.arrivals(300):
        for session in arrival.sessions:
            ...
"""

import html
import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import cycle, islice
from random import Random
from typing import NamedTuple

from django.conf import settings
from django.urls import reverse

from shop import outbox
from shop.models import Affiliate, Offer, Product
from shop.places import Place, places

HOUR = 60 * 60


@dataclass
class Client:
    """A program that sends requests: a browser, a mail client, a machine.

    Attributes:
        address: its IP address.
        user_agent: its user agent.
        opts_out: whether it asks not to be tracked.
        cookies: the cookies that the shop has set, by name.
    """

    address: str
    user_agent: str
    opts_out: bool = False
    cookies: dict[str, str] = field(default_factory=dict)


class Request(NamedTuple):
    """One request.

    Attributes:
        after: seconds since the session began.
        path: the path with its query string.
        referrer: the page of another site that led here, or ``""``.
    """

    after: float
    path: str
    referrer: str = ""


class Session(NamedTuple):
    """The requests of a client without a long pause.

    Attributes:
        client: the program that sends them.
        after: seconds since the arrival.
        requests: the requests, in order.
    """

    client: Client
    after: float
    requests: Sequence[Request]


class Arrival(NamedTuple):
    """Everything that one visitor does on the day.

    Attributes:
        place: where the visitor is.
        sessions: in order of time.
    """

    place: Place
    sessions: Sequence[Session]

    def until(self, seconds: float) -> Iterator[Session]:
        """Yield the sessions that end within this many seconds after the arrival."""
        for session in self.sessions:
            if session.after + session.requests[-1].after <= seconds:
                yield session


class CampaignMail(NamedTuple):
    """The pixel and the links of one mail, as paths of the shop."""

    pixel: str
    links: Sequence[str]


class NoMailError(Exception):
    """The outbox contains no campaign."""


def campaign_mails() -> list[CampaignMail]:
    """Return pixel and links of each mail in the outbox.

    Raises:
        NoMailError: the outbox is empty.
    """
    base = re.escape(settings.TRACKING_BASE_URL)
    found = []
    for _name, message in outbox.messages(headersonly=False):
        body = message.get_body(["html"])
        urls = re.findall(rf'(?:src|href)="{base}(/[^"]*)"', body.get_content() if body else "")
        pixels = [html.unescape(url) for url in urls if url.endswith(".gif")]
        links = [html.unescape(url) for url in urls if not url.endswith(".gif")]
        if pixels and links:
            found.append(CampaignMail(pixels[0], links))
    if not found:
        raise NoMailError
    return found


# --- Who visitors are ------------------------------------------------------------------------

_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
_SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6"

BROWSERS = (
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/141.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} Chrome/141.0.0.0 Mobile Safari/537.36",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) {_SAFARI} Mobile/15E148 Safari/604.1",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_SAFARI} Safari/605.1.15",
    f"Mozilla/5.0 (Windows NT 10.0) {_WEBKIT} Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} SamsungBrowser/28.0 Mobile Safari/537.36",
    f"Mozilla/5.0 (Linux; Android 13; SM-X710) {_WEBKIT} Chrome/140.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) {_SAFARI} Mobile/15E148 Safari/604.1",
)
#: Their shares, in the same order.
BROWSERS_WEIGHTS = (22, 20, 18, 10, 8, 7, 4, 5, 3, 3)

MAIL_PROGRAMS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.3.0",
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)",
)
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
#: The user agent of Apple Mail when it loads images ahead of the reader.
APPLE_MAIL = "Mozilla/5.0"

BOTS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
)

SEARCHES = ("https://www.google.com/", "https://www.bing.com/", "https://duckduckgo.com/")
SEARCHES_WEIGHTS = (8, 2, 2)
SOCIAL = {
    "instagram": "https://www.instagram.com/",
    "reddit": "https://www.reddit.com/r/tea/",
    "mastodon": "https://mastodon.example/@tea-shop",
}

#: How twenty visitors arrive. A fixed pattern, so that any twenty include every way.
_WAYS = (
    *("search", "gmail", "direct", "social", "bot", "search", "apple_mail", "affiliate"),
    *("search", "gmail", "direct", "social", "search", "mail_program", "opted_out"),
    *("search", "bot", "direct", "social", "affiliate"),
)

#: How they arrive if no mail brings them, and without links that make beacons.
_STRANGERS = ("search", "direct", "search", "social", "search", "search", "direct", "bot", "search")

#: Share of visitors in each hour of their local day, from midnight on.
CURVE = (3, 2, 1, 1, 1, 2, 5, 9, 13, 15, 14, 13, 14, 12, 11, 11, 12, 13, 15, 18, 20, 17, 11, 6)


class Scenario:
    """Invents visitors. The same random numbers give the same visitors."""

    def __init__(self, random: Random, mails: Sequence[CampaignMail] | None = None) -> None:
        """Load the places and the pages of the shop.

        Args:
            random: the random numbers.
            mails: the mail that is read; by default that of the outbox.

        Raises:
            NoMailError: no campaign was sent.
        """
        self._random = random
        self._places = places()
        # The file lists the cities with the most visitors first.
        cities = len({place.city for place in self._places})
        self._weights = [2 + cities - index % cities for index in range(len(self._places))]
        self._used: set[str] = set()
        mails = campaign_mails() if mails is None else mails
        self._mail = cycle(random.sample(mails, len(mails)))
        self._home = reverse("home")
        self._products = [product.get_absolute_url() for product in Product.objects.all()]
        self._affiliate_links = [
            (reverse("go", args=[offer.pk, affiliate.pk]), affiliate.slug)
            for offer in Offer.objects.all()
            for affiliate in Affiliate.objects.all()
        ]

    def arrivals(self, count: int | None = None) -> Iterator[Arrival]:
        """Yield ``count`` visitors, or endlessly many, not in order of time."""
        for way in islice(cycle(_WAYS), count):
            place = self.place()
            arrive: Callable[[Place], list[Session]] = getattr(self, f"_by_{way}")
            yield Arrival(place, arrive(place))

    def strangers(self, count: int) -> Iterator[Arrival]:
        """Yield ``count`` visitors whom no mail has brought, not in order of time."""
        for way in islice(cycle(_STRANGERS), count):
            place = self.place()
            arrive: Callable[[Place], list[Session]] = getattr(self, f"_by_{way}")
            yield Arrival(place, arrive(place))

    def place(self) -> Place:
        """Return a place, likely one of the first of the file."""
        return self._random.choices(self._places, self._weights)[0]

    def moment(self, arrival: Arrival, end: datetime) -> datetime:
        """Return a time of arrival in the 24 hours before ``end``, likely by local time."""
        hours = range(24)
        weights = [
            CURVE[round((end - timedelta(hours=ago)).hour + arrival.place.longitude / 15) % 24]
            for ago in hours
        ]
        ago = self._random.choices(hours, weights)[0] + self._random.random()
        # The first session must end before ``end``.
        first = timedelta(seconds=arrival.sessions[0].requests[-1].after)
        return end - max(timedelta(hours=ago), first)

    # Ways to arrive. Each method returns the sessions of a visitor who arrives that way.

    def _by_search(self, place: Place) -> list[Session]:
        referrer = self._random.choices(SEARCHES, SEARCHES_WEIGHTS)[0]
        return self._reading(self._browser(place), self._some_page(), referrer)

    def _by_direct(self, place: Place) -> list[Session]:
        return self._reading(self._browser(place), self._home)

    def _by_social(self, place: Place) -> list[Session]:
        name, referrer = self._random.choice(list(SOCIAL.items()))
        query = f"?utm_source={name}&utm_medium=social&utm_campaign=tea-season"
        return self._reading(self._browser(place), self._some_page() + query, referrer)

    def _by_affiliate(self, place: Place) -> list[Session]:
        link, slug = self._random.choice(self._affiliate_links)
        referrer = f"https://{slug}.example/teas-of-spring"
        return self._reading(self._browser(place), link, referrer)

    def _by_gmail(self, place: Place) -> list[Session]:
        return self._mail_read_with(GMAIL, place, clicks=0.4)

    def _by_apple_mail(self, place: Place) -> list[Session]:
        # Apple Mail loads the image whether or not anybody reads the mail.
        return self._mail_read_with(APPLE_MAIL, place, clicks=0.3)

    def _by_mail_program(self, place: Place) -> list[Session]:
        return self._mail_read_with(self._random.choice(MAIL_PROGRAMS), place, clicks=0.4)

    def _by_bot(self, place: Place) -> list[Session]:
        pages = [self._home, *self._products]
        requests = [Request(2.0 * number, page) for number, page in enumerate(pages)]
        bot = Client(self.address(place), self._random.choice(BOTS))
        return [Session(bot, 0, requests)]

    def _by_opted_out(self, place: Place) -> list[Session]:
        browser = self._browser(place)
        browser.opts_out = True
        return self._reading(browser, self._home)

    # What visitors do.

    def _mail_read_with(self, user_agent: str, place: Place, *, clicks: float) -> list[Session]:
        """Return the opening of a mail and, with probability ``clicks``, a click and more pages."""
        pixel, links = next(self._mail)
        opening = Session(Client(self.address(place), user_agent), 0, [Request(0, pixel)])
        if self._random.random() > clicks:
            return [opening]
        later = self._random.uniform(5, 60)
        browser = self._browser(place)
        return [opening, *self._reading(browser, self._random.choice(links), after=later)]

    def _reading(
        self, browser: Client, first: str, referrer: str = "", *, after: float = 0
    ) -> list[Session]:
        """Return a session that begins with ``first``, and for some visitors a later one."""
        found = [Session(browser, after, self._pages(first, referrer))]
        if self._random.random() < 0.3:  # noqa: PLR2004 - three of ten return
            again = after + self._random.uniform(1.5, 8) * HOUR
            found.append(Session(browser, again, self._pages(self._some_page())))
        return found

    def _pages(self, first: str, referrer: str = "") -> list[Request]:
        requests = [Request(0, first, referrer)]
        for _ in range(self._random.choices(range(7), (30, 20, 18, 14, 9, 6, 3))[0]):
            pause = min(8 + self._random.expovariate(1 / 45), 5 * 60)
            requests.append(Request(requests[-1].after + pause, self._some_page()))
        return requests

    def _some_page(self) -> str:
        return self._random.choice([self._home, *self._products])

    def _browser(self, place: Place) -> Client:
        user_agent = self._random.choices(BROWSERS, BROWSERS_WEIGHTS)[0]
        return Client(self.address(place), user_agent)

    def address(self, place: Place) -> str:
        """Return an address of the place, unused if possible."""
        network = ipaddress.ip_network(place.network)
        size = min(network.num_addresses, 1 << 32)
        for _ in range(50):
            address = str(network[self._random.randrange(size)])
            if address not in self._used:
                break
        self._used.add(address)
        return address

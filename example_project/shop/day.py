"""What the visitors of an ordinary day do: who they are, where they come from, what they read.

Nothing here makes a request: :mod:`shop.player` does.

    cast = Cast(Random(1))
    for arrival in cast.arrivals(300):
        for sitting in arrival.sittings:
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
        address: where it sends them from.
        user_agent: what it calls itself.
        opts_out: whether it asks not to be tracked.
        cookies: what the shop has given it, by name.
    """

    address: str
    user_agent: str
    opts_out: bool = False
    cookies: dict[str, str] = field(default_factory=dict)


class Step(NamedTuple):
    """One request.

    Attributes:
        after: seconds since the sitting began.
        path: what is asked for, with its query.
        referrer: the page of another site that led here, or ``""``.
    """

    after: float
    path: str
    referrer: str = ""


class Sitting(NamedTuple):
    """What a client asks for in one go.

    Attributes:
        client: who sits there.
        after: seconds since the arrival.
        steps: the requests, in order.
    """

    client: Client
    after: float
    steps: Sequence[Step]


class Arrival(NamedTuple):
    """All that somebody does on that day.

    Attributes:
        place: where.
        sittings: one after the other.
    """

    place: Place
    sittings: Sequence[Sitting]

    def until(self, seconds: float) -> Iterator[Sitting]:
        """Yield the sittings that are over so many seconds after the arrival."""
        for sitting in self.sittings:
            if sitting.after + sitting.steps[-1].after <= seconds:
                yield sitting


class Letter(NamedTuple):
    """What a mail of the campaign has for its reader: paths of the shop."""

    pixel: str
    links: Sequence[str]


class NoLettersError(Exception):
    """No campaign is in the outbox."""


def letters() -> list[Letter]:
    """Return what is in each mail of the outbox.

    Raises:
        NoLettersError: it is empty.
    """
    base = re.escape(settings.TRACKING_BASE_URL)
    found = []
    for name, _headers in outbox.messages():
        body = outbox.message(name).get_body(["html"])
        urls = re.findall(rf'(?:src|href)="{base}(/[^"]*)"', body.get_content() if body else "")
        pixels = [html.unescape(url) for url in urls if url.endswith(".gif")]
        links = [html.unescape(url) for url in urls if not url.endswith(".gif")]
        if pixels and links:
            found.append(Letter(pixels[0], links))
    if not found:
        raise NoLettersError
    return found


# --- Who they are ------------------------------------------------------------------------

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
#: How many of them there are, in the same order.
BROWSERS_WEIGHTS = (22, 20, 18, 10, 8, 7, 4, 5, 3, 3)

MAIL_PROGRAMS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.3.0",
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)",
)
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
#: All that Apple Mail says when it loads images ahead of the reader.
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

#: How twenty visitors come. A pattern and no chance, so that twenty have one of each.
_WAYS = (
    *("search", "gmail", "direct", "social", "bot", "search", "apple_mail", "affiliate"),
    *("search", "gmail", "direct", "social", "search", "mail_program", "opted_out"),
    *("search", "bot", "direct", "social", "affiliate"),
)

#: How many come at each hour of their own day, from midnight on.
CURVE = (3, 2, 1, 1, 1, 2, 5, 9, 13, 15, 14, 13, 14, 12, 11, 11, 12, 13, 15, 18, 20, 17, 11, 6)


class Cast:
    """Makes visitors up. The same random numbers make the same ones."""

    def __init__(self, random: Random) -> None:
        """Learn what the shop has to offer.

        Raises:
            NoLettersError: no campaign was sent.
        """
        self._random = random
        self._places = places()
        # The file begins with the cities that most come from.
        cities = len({place.city for place in self._places})
        self._weights = [2 + cities - index % cities for index in range(len(self._places))]
        self._used: set[str] = set()
        self._mail = cycle(letters())
        self._home = reverse("home")
        self._products = [product.get_absolute_url() for product in Product.objects.all()]
        self._affiliate_links = [
            (reverse("go", args=[offer.pk, affiliate.pk]), affiliate.slug)
            for offer in Offer.objects.all()
            for affiliate in Affiliate.objects.all()
        ]

    def arrivals(self, count: int | None = None) -> Iterator[Arrival]:
        """Yield ``count`` visitors in no order of time, or ever more."""
        for way in islice(cycle(_WAYS), count):
            place = self._random.choices(self._places, self._weights)[0]
            come: Callable[[Place], list[Sitting]] = getattr(self, f"_by_{way}")
            yield Arrival(place, come(place))

    def moment(self, arrival: Arrival, end: datetime) -> datetime:
        """Return when somebody came on the day that ends at ``end``, by the hours of the place."""
        hours = range(24)
        weights = [
            CURVE[round((end - timedelta(hours=ago)).hour + arrival.place.longitude / 15) % 24]
            for ago in hours
        ]
        ago = self._random.choices(hours, weights)[0] + self._random.random()
        # What they come for first must be over by then.
        first = timedelta(seconds=arrival.sittings[0].steps[-1].after)
        return end - max(timedelta(hours=ago), first)

    # How they come. Each returns what somebody does that comes in this way.

    def _by_search(self, place: Place) -> list[Sitting]:
        referrer = self._random.choices(SEARCHES, SEARCHES_WEIGHTS)[0]
        return self._reading(self._browser(place), self._some_page(), referrer)

    def _by_direct(self, place: Place) -> list[Sitting]:
        return self._reading(self._browser(place), self._home)

    def _by_social(self, place: Place) -> list[Sitting]:
        name, referrer = self._random.choice(list(SOCIAL.items()))
        query = f"?utm_source={name}&utm_medium=social&utm_campaign=spring-sale"
        return self._reading(self._browser(place), self._some_page() + query, referrer)

    def _by_affiliate(self, place: Place) -> list[Sitting]:
        link, slug = self._random.choice(self._affiliate_links)
        referrer = f"https://{slug}.example/teas-of-spring"
        return self._reading(self._browser(place), link, referrer)

    def _by_gmail(self, place: Place) -> list[Sitting]:
        return self._mail_read_with(GMAIL, place, clicks=0.75)

    def _by_apple_mail(self, place: Place) -> list[Sitting]:
        # It loads the image whether or not anybody ever reads the mail.
        return self._mail_read_with(APPLE_MAIL, place, clicks=0.4)

    def _by_mail_program(self, place: Place) -> list[Sitting]:
        return self._mail_read_with(self._random.choice(MAIL_PROGRAMS), place, clicks=0.75)

    def _by_bot(self, place: Place) -> list[Sitting]:
        pages = [self._home, *self._products]
        steps = [Step(2.0 * number, page) for number, page in enumerate(pages)]
        bot = Client(self._address(place), self._random.choice(BOTS))
        return [Sitting(bot, 0, steps)]

    def _by_opted_out(self, place: Place) -> list[Sitting]:
        browser = self._browser(place)
        browser.opts_out = True
        return self._reading(browser, self._home)

    # What they do.

    def _mail_read_with(self, user_agent: str, place: Place, *, clicks: float) -> list[Sitting]:
        """Return the opening of a mail and, with a probability of ``clicks``, what follows."""
        pixel, links = next(self._mail)
        opening = Sitting(Client(self._address(place), user_agent), 0, [Step(0, pixel)])
        if self._random.random() > clicks:
            return [opening]
        later = self._random.uniform(5, 60)
        browser = self._browser(place)
        return [opening, *self._reading(browser, self._random.choice(links), after=later)]

    def _reading(
        self, browser: Client, first: str, referrer: str = "", *, after: float = 0
    ) -> list[Sitting]:
        """Return what a person reads: pages from ``first`` on, and perhaps more of it later."""
        found = [Sitting(browser, after, self._pages(first, referrer))]
        if self._random.random() < 0.3:  # noqa: PLR2004 - of ten, three come again
            again = after + self._random.uniform(1.5, 8) * HOUR
            found.append(Sitting(browser, again, self._pages(self._some_page())))
        return found

    def _pages(self, first: str, referrer: str = "") -> list[Step]:
        steps = [Step(0, first, referrer)]
        for _ in range(self._random.choices(range(7), (30, 20, 18, 14, 9, 6, 3))[0]):
            pause = min(8 + self._random.expovariate(1 / 45), 5 * 60)
            steps.append(Step(steps[-1].after + pause, self._some_page()))
        return steps

    def _some_page(self) -> str:
        return self._random.choice([self._home, *self._products])

    def _browser(self, place: Place) -> Client:
        user_agent = self._random.choices(BROWSERS, BROWSERS_WEIGHTS)[0]
        return Client(self._address(place), user_agent)

    def _address(self, place: Place) -> str:
        """Return an address of the place that nobody has yet, as long as there is one."""
        network = ipaddress.ip_network(place.network)
        size = min(network.num_addresses, 1 << 32)
        for _ in range(50):
            address = str(network[self._random.randrange(size)])
            if address not in self._used:
                break
        self._used.add(address)
        return address

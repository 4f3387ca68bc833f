"""Mailings whose truth is known: people, mail providers and gateways, labelled.

    campaign = make(Random(7), number=7)
    campaign.hits           # what a site records
    campaign.truth          # what really happened, which no rule sees

What is made here follows what is known of such traffic (see docs/verdicts.rst), not what the rules
look for: gateways that take their time, leave links out, share the address and the browser of the
people behind them, or load the image alone; people who open many links in tabs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from tracking.hits import Hit, Kind, Reference

SENT = datetime(2026, 3, 10, 8, tzinfo=UTC)

GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
APPLE = "Mozilla/5.0"

DESKTOP = (
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/128.0.0.0 Safari/537.36 Edg/128.0.0.0"
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/128.0.0.0 Safari/537.36"
    ),
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0",
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/17.5 Safari/605.1.15"
    ),
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
)
PHONES = (
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/128.0.0.0 Mobile Safari/537.36"
    ),
)
MAIL_PROGRAMS = (
    (
        "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; .NET4.0E; "
        "Microsoft Outlook 16.0.5134; ms-office; MSOffice 16)"
    ),
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0",
    "Outlook-iOS/723.4027091.prod.iphone (4.28.0)",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
)
#: What gateways say. The first two are those of people, too.
GATEWAYS = (
    DESKTOP[1],
    DESKTOP[0],
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/102.0.5005.63 Safari/537.36"
    ),
    (
        "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/65.0.3325.181 Safari/537.36"
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_6) AppleWebKit/601.7.7 (KHTML, like Gecko) "
        "Version/9.1.2 Safari/601.7.7"
    ),
)
NAMED = (
    "python-requests/2.32.3",
    (
        "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 "
        "skype-url-preview@microsoft.com"
    ),
    "Mozilla/5.0 (compatible; BarracudaBot/1.0; +https://scan.example/bot)",
)


@dataclass
class Truth:
    """What really happened.

    Attributes:
        recipients: how many got the message.
        seen: who has seen it.
        visible: those of them who loaded its image, or followed a link: who can be known.
        behind_apple: those of them whose image Apple loads in any case, and who clicked nothing.
        clicked: who has followed a link.
    """

    recipients: int = 0
    seen: set[str] = field(default_factory=set)
    visible: set[str] = field(default_factory=set)
    behind_apple: set[str] = field(default_factory=set)
    clicked: set[str] = field(default_factory=set)


@dataclass
class Mix:
    """How the readers of one campaign are made up; shares from 0 to 1."""

    links: int
    opens: float
    click_to_open: float
    gmail: float
    yahoo: float
    apple: float
    images_off: float
    firms: float
    gateways: float


@dataclass
class Firm:
    """A firm: its people share an address and mostly a browser; its gateway reads their mail."""

    address: str
    browser: str
    program: str
    gateway: "Callable[[Maker, str], None] | None"
    scanner_address: str
    scanner_browser: str
    networks: int


@dataclass
class Campaign:
    """A mailing, as a site records it, and what really happened."""

    hits: list[Hit]
    truth: Truth
    mix: Mix
    source: Reference


def make(chance: Random, number: int, recipients: int = 300) -> Campaign:
    """Make a campaign of a mix of its own.

    Args:
        chance: draws all of it.
        number: the number of the campaign, for its keys.
        recipients: how many get it.
    """
    return Maker(chance, number, recipients).campaign()


class Maker:
    """Makes one campaign."""

    def __init__(self, chance: Random, number: int, recipients: int) -> None:
        self.chance = chance
        self._number = number
        self._recipients = recipients
        self._source = Reference("site.affiliate", str(100_000 + number))
        self.mix = self._mix()
        self.sent = SENT + timedelta(days=number)
        self._hits: list[Hit] = []
        self._truth = Truth(recipients)

    def _mix(self) -> Mix:
        chance = self.chance
        return Mix(
            links=chance.choice([1, 2, 2, 3, 3, 4, 5, 6, 8, 10, 12, 16, 20]),
            opens=chance.uniform(0.08, 0.6),
            click_to_open=chance.uniform(0.02, 0.35),
            gmail=chance.uniform(0, 0.4),
            yahoo=chance.uniform(0, 0.08),
            apple=chance.choice([0, 0.02, 0.1, 0.25, 0.5]),
            images_off=chance.uniform(0, 0.08),
            firms=chance.uniform(0, 0.5),
            gateways=chance.uniform(0, 1),
        )

    def campaign(self) -> Campaign:
        firms = [self._firm(index) for index in range(self.chance.randint(1, 6))]
        for index in range(self._recipients):
            who = str(self._number * 100_000 + index)
            self._hit(Kind.SENT, who, 0, data={"links": self.mix.links})
            if self.chance.random() < self.mix.firms:
                self._employee(who, self.chance.choice(firms))
            else:
                self._private(who)
        self._hits.sort(key=lambda hit: hit.time)
        return Campaign(self._hits, self._truth, self.mix, self._source)

    # Who is who.

    def _firm(self, index: int) -> Firm:
        chance = self.chance
        address = f"203.0.113.{(self._number * 7 + index) % 250}"
        browser = chance.choice(DESKTOP[:3])
        has_gateway = chance.random() < self.mix.gateways
        is_inside = chance.random() < 0.2  # an appliance behind the same address
        same_browser = chance.random() < 0.3
        return Firm(
            address,
            browser,
            chance.choice(MAIL_PROGRAMS[:2]),
            chance.choices(_KINDS, _WEIGHTS)[0] if has_gateway else None,
            address if is_inside else f"198.51.100.{chance.randrange(250)}",
            browser if same_browser else chance.choice(GATEWAYS),
            chance.choice([1, 4, 60, 400]),  # networks of its cloud
        )

    def _employee(self, who: str, firm: Firm) -> None:
        self.firm = firm
        if firm.gateway is not None and self.chance.random() < 0.92:
            firm.gateway(self, who)
        if self.chance.random() < self.mix.opens:
            images = self.chance.random() >= self.mix.images_off
            self._read(who, firm.address, firm.program if images else None, firm.browser)

    def _private(self, who: str) -> None:
        chance, mix = self.chance, self.mix
        address = f"100.{chance.randrange(64, 128)}.{chance.randrange(256)}.{chance.randrange(256)}"
        browser = chance.choice([*DESKTOP, *PHONES, *PHONES])
        opens = chance.random() < mix.opens
        kind = chance.random()
        if kind < mix.apple:
            self._fetched_at = None
            if chance.random() < 0.9:
                self._fetched_at = chance.uniform(5, 7_200)
                self._hit(Kind.OPEN, who, self._fetched_at, APPLE, _cloud(chance))
            if opens:
                browser = chance.choice([PHONES[0], DESKTOP[3]])
                self._read(who, address, APPLE, browser)
            return
        kind -= mix.apple
        if not opens:
            return
        if kind < mix.gmail:
            self._read(who, address, GMAIL, browser)
        elif kind < mix.gmail + mix.yahoo:
            self._read(who, address, YAHOO, browser)
        elif chance.random() < mix.images_off:
            self._read(who, address, None, browser)
        else:
            self._read(who, address, chance.choice([*MAIL_PROGRAMS, browser]), browser)

    # What people do.

    def _read(self, who: str, address: str, program: str | None, browser: str) -> None:
        """A person opens the message, and perhaps follows links.

        Args:
            who: the recipient.
            address: where from.
            program: what loads the image; ``None`` for nothing.
            browser: what follows links.
        """
        chance = self.chance
        time = chance.uniform(15, 600) if chance.random() < 0.2 else chance.lognormvariate(9, 1.4)
        self._truth.seen.add(who)
        if program is not None:
            self._load_image(who, time, address, program)
        has_clicked = chance.random() < self.mix.click_to_open
        if has_clicked:
            self._truth.clicked.add(who)
            self._follow(who, time + chance.uniform(2, 300), address, browser)
        if program is not None or has_clicked:
            self._truth.visible.add(who)
        if program == APPLE and not has_clicked:
            self._truth.behind_apple.add(who)
        if chance.random() < 0.02:
            self._forward(who, time + chance.uniform(60, 4_000))

    def _load_image(self, who: str, time: float, address: str, program: str) -> None:
        chance = self.chance
        if program in {GMAIL, YAHOO}:
            self._hit(Kind.OPEN, who, time + 0.3, program, _cloud(chance))
        elif program == APPLE:
            if self._fetched_at is None or self._fetched_at > time:  # loaded now
                self._hit(Kind.OPEN, who, time, APPLE, _cloud(chance))
        else:
            self._hit(Kind.OPEN, who, time, program, address)
            while chance.random() < 0.25:
                self._hit(Kind.OPEN, who, time + chance.expovariate(1 / 40_000), program, address)

    def _follow(self, who: str, time: float, address: str, browser: str) -> None:
        """A person follows links: mostly one, sometimes many in tabs."""
        chance = self.chance
        links = list(range(self.mix.links))
        if chance.random() < 0.06:  # opens what is interesting in tabs
            some = chance.sample(links, min(chance.randint(2, 6), len(links)))
            paces = [chance.uniform(0.7, 4) for _ in some]
        else:
            number = 1 + sum(chance.random() < 0.3 for _ in range(3))
            some = [chance.choice(links) for _ in range(number)]
            paces = [chance.uniform(5, 400) for _ in some]
        for link, pace in zip(some, paces, strict=True):
            self._hit(Kind.CLICK, who, time, browser, address, link)
            time += pace

    def _forward(self, who: str, time: float) -> None:
        """Colleagues and friends read the message of somebody else."""
        chance = self.chance
        for _ in range(chance.randint(1, 5)):
            address = f"192.0.2.{chance.randrange(250)}"
            browser = chance.choice([*DESKTOP, *PHONES])
            begin = time + chance.lognormvariate(6, 1.5)
            self._hit(Kind.OPEN, who, begin, browser, address)
            if chance.random() < 0.2:
                self._truth.clicked.add(who)
                self._truth.visible.add(who)
                self._truth.behind_apple.discard(who)
                self._follow(who, begin + 20, address, browser)
            # Whoever forwards has opened, and now a person has loaded the image.
            self._truth.visible.add(who)
            self._truth.behind_apple.discard(who)

    # What gateways do.

    def begin(self) -> float:
        """Return the seconds after sending when a scan begins.

        94.7 % begin after 20 s to 5 min, 0.5 % within 10 s (craft-campaign #546).
        """
        draw = self.chance.random()
        if draw < 0.005:
            return self.chance.uniform(1, 10)
        if draw < 0.95:
            return self.chance.uniform(20, 300)
        return self.chance.uniform(300, 3_000)

    def scan(
        self, who: str, links: Sequence[int], pace: tuple[float, float], senders: Iterator
    ) -> None:
        """Follow links, and perhaps load the image."""
        chance, time = self.chance, self.begin()
        if chance.random() < 0.5:
            browser, address = next(senders)
            self._hit(Kind.OPEN, who, time - chance.uniform(0, 2), browser, address)
        for link in links:
            browser, address = next(senders)
            self._hit(Kind.CLICK, who, time, browser, address, link)
            if chance.random() < 0.1:  # once more
                self._hit(Kind.CLICK, who, time + 0.2, browser, address, link)
            time += chance.uniform(*pace)

    def one_sender(self) -> Iterator:
        while True:
            yield self.firm.scanner_browser, self.firm.scanner_address

    def pool(self) -> Iterator:
        while True:
            network = self.chance.randrange(self.firm.networks)
            address = f"198.{18 + network // 250}.{network % 250}.{self.chance.randrange(250)}"
            yield self.chance.choice(GATEWAYS), address

    def all_links(self) -> list[int]:
        links = list(range(self.mix.links))
        if self.chance.random() < 0.3:
            self.chance.shuffle(links)
        return links

    def load_image(self, who: str) -> None:
        self._hit(
            Kind.OPEN, who, self.begin(), self.firm.scanner_browser, self.firm.scanner_address
        )

    def _hit(
        self,
        kind: Kind,
        who: str,
        seconds: float,
        browser: str = "",
        address: str | None = None,
        link: int | None = None,
        data: dict | None = None,
    ) -> None:
        self._hits.append(
            Hit(
                kind=kind,
                source=self._source,
                entity=Reference("site.subscriber", who),
                time=self.sent + timedelta(seconds=seconds),
                url="" if link is None else f"https://shop.example/{self._number}/{link}",
                user_agent=browser,
                ip_address=address,
                data=data or {},
            )
        )


def _cloud(chance: Random) -> str:
    return f"66.102.{chance.randrange(9)}.{chance.randrange(250)}"


def _burst(maker: Maker, who: str) -> None:
    maker.scan(who, maker.all_links(), (0.05, 4), maker.one_sender())


def _burst_of_a_pool(maker: Maker, who: str) -> None:
    maker.scan(who, maker.all_links(), (0.05, 3), maker.pool())


def _slow(maker: Maker, who: str) -> None:
    maker.scan(who, maker.all_links(), (8, 40), maker.one_sender())


def _slow_pool(maker: Maker, who: str) -> None:
    maker.scan(who, maker.all_links(), (5, 30), maker.pool())


def _partial(maker: Maker, who: str) -> None:
    links = maker.all_links()
    some = maker.chance.sample(links, max(1, round(len(links) * maker.chance.uniform(0.3, 0.9))))
    maker.scan(who, some, (0.1, 3), maker.one_sender())


def _first_link(maker: Maker, who: str) -> None:
    maker.scan(who, [0], (1, 2), maker.one_sender())


def _first_link_of_a_pool(maker: Maker, who: str) -> None:
    maker.scan(who, [0], (1, 2), maker.pool())


def _image_only(maker: Maker, who: str) -> None:
    maker.load_image(who)


def _named(maker: Maker, who: str) -> None:
    name = maker.chance.choice(NAMED)
    address = maker.firm.scanner_address
    maker.scan(who, maker.all_links(), (0.1, 2), iter(lambda: (name, address), None))


#: Kinds of gateways, and how frequent each is: an assumption, for which there is no source.
_KINDS = (
    _burst,
    _burst_of_a_pool,
    _slow,
    _slow_pool,
    _partial,
    _first_link,
    _first_link_of_a_pool,
    _image_only,
    _named,
)
_WEIGHTS = (40, 20, 10, 5, 8, 3, 2, 4, 8)


@dataclass(frozen=True)
class Counted:
    """What reports say of a campaign, in parts of its recipients."""

    confirmed: float
    proxied: float
    without_image: float
    machine: float
    clicked: float
    raw_opened: float
    raw_clicked: float

    @property
    def parts(self) -> tuple[float, ...]:
        """Who opened, in parts, and for whom only machines did."""
        return self.confirmed, self.proxied, self.without_image, self.machine

    @property
    def opened(self) -> float:
        return self.confirmed + self.proxied + self.without_image

    def contains(self, share: float) -> bool:
        """Return whether the stated range contains a share."""
        return self.confirmed - 1e-9 <= share <= self.opened + self.machine + 1e-9


def count(rows: Sequence[tuple[str, str, str]], recipients: int) -> Counted:
    """Count the recipients of a campaign by loops.

    Args:
        rows: kind, verdict and entity of each of its beacons.
        recipients: how many got it.
    """

    def who(*signs: tuple[str, str]) -> set[str]:
        return {entity for kind, verdict, entity in rows if (kind, verdict) in signs}

    confirmed = who(("open", "human"))
    proxied = who(("open", "proxy")) - confirmed
    clicked = who(("click", "human"))
    without = clicked - confirmed - proxied
    anybody = {entity for kind, _, entity in rows if kind in {"open", "click"}}
    machine = anybody - confirmed - proxied - clicked
    raw_clicked = {entity for kind, _, entity in rows if kind == "click"}
    sets = (confirmed, proxied, without, machine, clicked, anybody, raw_clicked)
    return Counted(*(len(some) / recipients for some in sets))

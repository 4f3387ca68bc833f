"""Rules about all hits of one message: what a single hit does not show.

Mail gateways follow the links of a message with the user agent of a browser. What gives them away
is the burst: many different links of one message within seconds, soon after it was sent. Of 836
measured bursts 94.7 % began 20 s to 5 min after sending (craft-campaign #546), and a window of two
seconds finds nothing (mautic #16263).

    found = judge(Message(hits, sends, fetched))      # {id of a hit: Verdict}

A person can open some links in tabs, and colleagues share an address. In doubt a hit is that of a
human: no rule judges by time alone, or by an address alone.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import NamedTuple
from uuid import UUID

from django.utils.translation import gettext_noop

from tracking.enrichment.verdict_rules import Label, Verdict

#: How soon after sending scanners begin: nearly all within 5 minutes. Twice as long, because a
#: message is noted as sent when a mail server takes it, and may wait there.
SOON = timedelta(minutes=10)

#: How far the clocks of two servers may differ.
_SKEW = timedelta(minutes=1)

#: From seeing a message to following a link, people take longer.
_READING = timedelta(seconds=2)

#: Hits of one message that are compared, at most. A stranger who has a link can follow it for ever.
MAX_HITS = 200


class Sender(NamedTuple):
    """What sends hits: people behind one address mostly differ in their programs."""

    address: str | None
    user_agent: str


class MessageHit(NamedTuple):
    """An open or click of one message that no rule about single hits takes for a machine's.

    Attributes:
        id: the key of the beacon.
        is_click: whether a link was followed; if not, the image was loaded.
        time: when.
        url: the destination of a click.
        sender: the address and the user agent.
        giveaway: the reason if the click alone shows a machine: :data:`TRAP` or :data:`HEAD`.
    """

    id: UUID
    is_click: bool
    time: datetime
    url: str
    sender: Sender
    giveaway: str = ""


class Send(NamedTuple):
    """When a message was sent, and how many different links it has; ``None`` if not known."""

    time: datetime
    links: int | None


class Message(NamedTuple):
    """One message to one recipient.

    Attributes:
        hits: its opens and clicks, in the order of their times.
        sends: its sendings, in that order; none if they are not known.
        fetched: when mail providers loaded its image, for a reader or in advance.
    """

    hits: Sequence[MessageHit]
    sends: Sequence[Send]
    fetched: Sequence[datetime] = ()

    def is_lone(self, time: datetime) -> bool:
        """Return whether nobody had loaded the image some time before.

        Most people see a message before they follow its links. Of those whose program loads no
        images few are quick enough for the rules that ask this.
        """
        shown = time - _READING
        return not any(hit.time <= shown for hit in self.hits if not hit.is_click) and not any(
            fetched <= shown for fetched in self.fetched
        )

    def is_soon(self, time: datetime) -> bool:
        """Return whether a time is soon after a sending."""
        return any(send.time - _SKEW <= time <= send.time + SOON for send in self.sends)

    def links_at(self, time: datetime) -> int | None:
        """Return how many links the message has that was the latest one at some time."""
        earlier = [send.links for send in self.sends if send.time - _SKEW <= time]
        return earlier[-1] if earlier else None


class Burst(NamedTuple):
    """A rule about different links of one message that were followed within a time.

    Attributes:
        reason: in English, marked for translation.
        links: how many different links, at least.
        seconds: within how many seconds.
        is_all: whether they must be all links of the message.
        is_soon: whether it must begin soon after sending.
        is_lone: whether nobody may have loaded the image before.
        addresses: from how many addresses, at least. With 1 all come from one sender.
    """

    reason: str
    links: int
    seconds: float
    is_all: bool = False
    is_soon: bool = True
    is_lone: bool = False
    addresses: int = 1


_ALL = gettext_noop("followed all %(links)s links of the message within %(seconds)s s")
_MANY = gettext_noop("followed %(links)s different links of the message within %(seconds)s s")
_POOL = gettext_noop(
    "followed %(links)s different links of the message from several addresses within %(seconds)s s"
)

#: The rules in order: the first that applies gives the reason. To add one, add a line here.
BURSTS = (
    # Nobody reads a message and follows each of its links at once.
    Burst(_ALL, links=3, seconds=60, is_all=True),
    # Two links prove something only if nobody has seen the message.
    Burst(_ALL, links=2, seconds=10, is_all=True, is_lone=True),
    # Scanners that take their time (sandboxes render each page): craft-campaign #546.
    Burst(_ALL, links=5, seconds=600, is_all=True),
    # The number of links is not known, or some are left out. Distinct links of one message in a
    # short window prove much (twenty #26055).
    Burst(_MANY, links=5, seconds=10),
    Burst(_MANY, links=3, seconds=15, is_lone=True),
    # Without a sending: faster than a person opens tabs.
    Burst(_MANY, links=8, seconds=10, is_soon=False),
    # A gateway in a cloud fetches each link from another machine. A person has one or two
    # addresses (IPv4 and IPv6) at a time; the readers of a mailing list are not so quick.
    Burst(_POOL, links=5, seconds=600, addresses=2, is_all=True),
    Burst(_POOL, links=3, seconds=600, addresses=3, is_all=True, is_lone=True),
    Burst(_POOL, links=2, seconds=30, addresses=2, is_all=True, is_lone=True),
    Burst(_POOL, links=4, seconds=30, addresses=3),
    Burst(_POOL, links=3, seconds=30, addresses=3, is_lone=True),
)

#: A link that people cannot see: the site puts it into its messages with ``trap=True``.
TRAP = gettext_noop("followed a link that people cannot see")

#: No browser does so (civicrm-core #35328).
HEAD = gettext_noop("asked for the link with HEAD before")

#: An image that is loaded while all links are followed.
IMAGE = gettext_noop("loaded the image while a machine followed the links of the message")

#: See :func:`known_scanners`.
KNOWN = gettext_noop("the same address and browser followed the links of %(messages)s messages")

#: See :func:`many_recipients`.
RECIPIENTS = gettext_noop(
    "its network followed links of %(recipients)s recipients who had not seen the message, "
    "within %(seconds)s s"
)

#: The reasons of clicks that tell something about their sender.
OF_ONE_SENDER = (_ALL, _MANY, RECIPIENTS)

#: All reasons of this module.
REASONS = (_ALL, _MANY, _POOL, TRAP, HEAD, IMAGE, KNOWN, RECIPIENTS)

#: Messages whose links a sender must have followed in bursts, to be known as a scanner.
SCANNED_MESSAGES = 3

#: Recipients whose links one network follows within so many seconds, soon after sending and before
#: anybody has loaded the image: a gateway, if messages have one or two links. People behind one
#: address see the message first.
_RECIPIENTS, _RECIPIENTS_SECONDS = 8, 300

#: An image is the scanner's if it is loaded by the sender of a burst this long before or after it.
_BESIDE = timedelta(minutes=1)

#: A burst goes on while clicks follow so soon: of its one sender, or of any.
_GAP, _GAP_OF_ANY = timedelta(minutes=1), timedelta(seconds=15)

#: So soon after a click of a gateway, one on the same link is the gateway's, too.
_AGAIN = timedelta(seconds=5)


def judge(message: Message, known: Mapping[UUID, Verdict] | None = None) -> dict[UUID, Verdict]:
    """Return the verdicts on those hits of a message that a machine sent.

    Args:
        message: the message; :data:`MAX_HITS` of its hits are read.
        known: verdicts on clicks, of rules about several messages.
    """
    hits = message.hits[:MAX_HITS]
    clicks = [hit for hit in hits if hit.is_click]
    found = _trapped(hits)
    for rule in BURSTS:
        for group in _groups(rule, (hit for hit in clicks if hit.id not in found)):
            for burst in _windows(rule, group, message):
                verdict = Verdict(Label.BOT, rule.reason % _figures(burst))
                found.update((hit.id, verdict) for hit in burst)
    _add_known(found, clicks, known or {})
    machines = [hit for hit in clicks if hit.id in found]
    for hit in hits:
        if not hit.is_click and _is_beside(hit, machines):
            found.setdefault(hit.id, Verdict(Label.BOT, IMAGE))
    return found


def _trapped(hits: Sequence[MessageHit]) -> dict[UUID, Verdict]:
    """Return the verdicts on hits of senders one of whose clicks shows a machine."""
    trapped = {hit.sender: hit for hit in hits if hit.giveaway}
    return {
        hit.id: Verdict(Label.BOT, trapped[hit.sender].giveaway)
        for hit in hits
        if hit.sender in trapped and abs(hit.time - trapped[hit.sender].time) <= SOON
    }


def _add_known(
    found: dict[UUID, Verdict], clicks: Sequence[MessageHit], known: Mapping[UUID, Verdict]
) -> None:
    """Add known verdicts, also to further clicks of the same sender that follow soon."""
    latest: dict[Sender, tuple[datetime, Verdict]] = {}
    for hit in clicks:
        verdict = known.get(hit.id)
        if verdict is None and hit.sender in latest:
            before, verdict_before = latest[hit.sender]
            verdict = verdict_before if hit.time - before <= _GAP else None
        if verdict is not None:
            latest[hit.sender] = hit.time, verdict
            found.setdefault(hit.id, verdict)


def _groups(rule: Burst, clicks: Iterable[MessageHit]) -> Iterable[Sequence[MessageHit]]:
    """Return the clicks of each sender, or all of them if the rule is about several."""
    by_sender: dict[Sender | None, list[MessageHit]] = defaultdict(list)
    for hit in clicks:
        by_sender[hit.sender if rule.addresses == 1 else None].append(hit)
    return by_sender.values()


def _windows(
    rule: Burst, clicks: Sequence[MessageHit], message: Message
) -> Iterator[Sequence[MessageHit]]:
    """Yield the runs of clicks to which a rule applies; they do not overlap."""
    span = timedelta(seconds=rule.seconds)
    gap = _GAP if rule.addresses == 1 else _GAP_OF_ANY
    first = after = 0
    if len({hit.url for hit in clicks}) < rule.links:
        return
    while first < len(clicks):
        begin = clicks[first].time
        end = first
        while end < len(clicks) and clicks[end].time - begin <= span:
            end += 1
        if not _applies(rule, clicks[first:end], message):
            first += 1
            continue
        while first > after and clicks[first].time - clicks[first - 1].time <= gap:
            first -= 1
        while end < len(clicks) and clicks[end].time - clicks[end - 1].time <= gap:
            end += 1
        run = clicks[first:end]
        yield run if rule.addresses == 1 else _of_gateway(run, message)
        first = after = end


def _of_gateway(run: Sequence[MessageHit], message: Message) -> Sequence[MessageHit]:
    """Return the clicks of a gateway with several addresses, without those of a person.

    A person has loaded the image before, from the same address, or follows a link later.
    """
    images = [hit for hit in message.hits if not hit.is_click and hit.time < run[0].time - _READING]
    readers = {hit.sender.address for hit in images}
    firsts: dict[str, datetime] = {}
    return [
        hit
        for hit in run
        if hit.sender.address not in readers
        and hit.time - firsts.setdefault(hit.url, hit.time) <= _AGAIN
    ]


def _figures(burst: Sequence[MessageHit]) -> dict[str, int]:
    seconds = (burst[-1].time - burst[0].time).total_seconds()
    return {"links": len({hit.url for hit in burst}), "seconds": max(round(seconds), 1)}


def _applies(rule: Burst, run: Sequence[MessageHit], message: Message) -> bool:
    begin = run[0].time
    if (
        len(run) < rule.links
        or (rule.is_soon and not message.is_soon(begin))
        or (rule.is_lone and not message.is_lone(begin))
    ):
        return False
    links = len({hit.url for hit in run})
    needed = rule.links
    if rule.is_all:
        in_message = message.links_at(begin)
        if in_message is None or in_message < rule.links:
            return False
        needed = in_message
    return links >= needed and len({hit.sender.address for hit in run}) >= rule.addresses


def _is_beside(image: MessageHit, machines: Sequence[MessageHit]) -> bool:
    """Return whether an image was loaded by the sender of some clicks, or in the midst of them."""
    own = [hit.time for hit in machines if hit.sender == image.sender]
    if any(abs(image.time - time) <= _BESIDE for time in own):
        return True
    # A burst of some seconds: that a person opens the message just then is improbable.
    near = [hit.time for hit in machines if abs(hit.time - image.time) <= _BESIDE / 2]
    return bool(near) and min(near) - _AGAIN <= image.time <= max(near)


def known_scanners(messages: Mapping[Sender, int]) -> dict[Sender, Verdict]:
    """Return the verdict on hits of senders that followed the links of several messages in bursts.

    It is meant for hits soon after sending. Messages with one or two links show no burst, and
    some scanners only load the image.

    Args:
        messages: by sender, in how many messages it did so within a day.
    """
    return {
        sender: Verdict(Label.BOT, KNOWN % {"messages": number})
        for sender, number in messages.items()
        if number >= SCANNED_MESSAGES and sender.address is not None
    }


def many_recipients(clicks: Iterable[tuple[MessageHit, object]]) -> dict[UUID, Verdict]:
    """Return the verdicts on clicks of one network in the messages of many recipients.

    Args:
        clicks: clicks soon after sending, before anybody has loaded the image, each with its
            recipient.
    """
    found: dict[UUID, Verdict] = {}
    by_network: dict[str, list[tuple[MessageHit, object]]] = defaultdict(list)
    for hit, recipient in clicks:
        if (network := _network(hit.sender.address)) is not None:
            by_network[network].append((hit, recipient))
    for group in by_network.values():
        group.sort(key=lambda pair: pair[0].time)
        for run, recipients in _runs_of_recipients(group):
            numbers = {"recipients": recipients, "seconds": _RECIPIENTS_SECONDS}
            for hit, _recipient in run:
                found.setdefault(hit.id, Verdict(Label.BOT, RECIPIENTS % numbers))
    return found


@lru_cache(maxsize=10_000)
def _network(address: str | None) -> str | None:
    """Return what one owner mostly has: a network of 256 IPv4 addresses, or an IPv6 site."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return None
    return str(ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False))  # noqa: PLR2004


def _runs_of_recipients(
    group: Sequence[tuple[MessageHit, object]],
) -> Iterator[tuple[Sequence[tuple[MessageHit, object]], int]]:
    """Yield runs of clicks with enough recipients, and how many they are; runs overlap."""
    span = timedelta(seconds=_RECIPIENTS_SECONDS)
    window: Counter[object] = Counter()
    first = 0
    for index, (hit, recipient) in enumerate(group):
        window[recipient] += 1
        while hit.time - group[first][0].time > span:
            window[group[first][1]] -= 1
            first += 1
        recipients = len(+window)
        if recipients >= _RECIPIENTS:
            yield group[first : index + 1], recipients

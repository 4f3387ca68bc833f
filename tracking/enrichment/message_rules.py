"""Rules about all hits of one message: what a single hit does not show.

Mail gateways follow the links of a message with the user agent of a browser. What gives them away
is the burst: many different links of one message within seconds, soon after it was sent. Of 836
measured bursts 94.7 % began 20 s to 5 min after sending (craft-campaign #546), and a window of two
seconds finds nothing (mautic #16263).

    found = judge(Message(hits, sends))      # {id of a hit: Verdict}

A person can open some links in tabs, and colleagues share an address. In doubt a hit is that of a
human: no rule judges by time alone, or by an address alone.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.utils.translation import gettext_noop

from tracking.enrichment.verdict_rules import Label, Verdict

#: How soon after sending scanners begin: nearly all within 5 minutes. Twice as long, because a
#: message is noted as sent when a mail server takes it, and may wait there.
SOON = timedelta(minutes=10)

#: How far the clocks of two servers may differ.
_SKEW = timedelta(minutes=1)

#: Hits of one message that are compared, at most. A stranger who has a link can follow it for ever.
MAX_HITS = 500


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
        is_trap: whether the link is one that people cannot see.
    """

    id: UUID
    is_click: bool
    time: datetime
    url: str
    sender: Sender
    is_trap: bool = False


class Send(NamedTuple):
    """When a message was sent, and how many different links it has; ``None`` if not known."""

    time: datetime
    links: int | None


class Message(NamedTuple):
    """One message to one recipient.

    Attributes:
        hits: its opens and clicks, in the order of their times.
        sends: its sendings, in that order; none if they are not known.
    """

    hits: Sequence[MessageHit]
    sends: Sequence[Send]

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
        addresses: from how many addresses, at least. With 1 all come from one sender.
    """

    reason: str
    links: int
    seconds: float
    is_all: bool = False
    is_soon: bool = True
    addresses: int = 1


_ALL = gettext_noop("followed all %(links)s links of the message within %(seconds)s s")
_MANY = gettext_noop("followed %(links)s different links of the message within %(seconds)s s")
_POOL = gettext_noop(
    "followed %(links)s different links of the message from several addresses within %(seconds)s s"
)

#: The rules in order: the first that applies gives the reason. To add one, add a line here.
BURSTS = (
    # Nobody reads a message and follows each of its links at once. Two links prove nothing.
    Burst(_ALL, links=3, seconds=60, is_all=True),
    # Scanners that take their time (sandboxes render each page): craft-campaign #546.
    Burst(_ALL, links=5, seconds=600, is_all=True),
    # The number of links is not known, or some are left out. Distinct links of one message in a
    # short window prove much (twenty #26055).
    Burst(_MANY, links=5, seconds=10),
    # Without a sending: faster than a person opens tabs.
    Burst(_MANY, links=8, seconds=10, is_soon=False),
    # A gateway in a cloud fetches each link from another machine. A person has one or two
    # addresses (IPv4 and IPv6) at a time; the readers of a mailing list are not so quick.
    Burst(_POOL, links=4, seconds=30, addresses=3),
    Burst(_POOL, links=5, seconds=600, is_all=True, addresses=2),
)

#: A link that people cannot see: the site puts it into its messages with ``trap=True``.
TRAP = gettext_noop("followed a link that people cannot see")

#: An image that is loaded while all links are followed.
IMAGE = gettext_noop("loaded the image while a machine followed the links of the message")

#: See :func:`known_scanners`.
KNOWN = gettext_noop("the same address and browser followed the links of %(messages)s messages")

#: See :func:`many_recipients`.
RECIPIENTS = gettext_noop(
    "the same address and browser followed links of %(recipients)s recipients within %(seconds)s s"
)

#: The reasons that show that one sender followed many links of a message.
OF_ONE_SENDER = (_ALL, _MANY)

#: All reasons of this module.
REASONS = (_ALL, _MANY, _POOL, TRAP, IMAGE, KNOWN, RECIPIENTS)

#: Messages whose links a sender must have followed in bursts, to be known as a scanner.
SCANNED_MESSAGES = 3

#: Recipients whose links one sender follows within so many seconds: a gateway, if messages have one
#: or two links. People behind one address are slower, even a thousand who get the same message.
_RECIPIENTS, _RECIPIENTS_SECONDS = 8, 10

#: An image is the scanner's if it is loaded by the sender of a burst this long before or after it,
#: or by anybody during a burst that is not longer than this.
_BESIDE = timedelta(minutes=1)


def judge(message: Message) -> dict[UUID, Verdict]:
    """Return the verdicts on those hits of a message that a machine sent.

    Args:
        message: the message; :data:`MAX_HITS` of its hits are read.
    """
    hits = message.hits[:MAX_HITS]
    clicks = [hit for hit in hits if hit.is_click]
    found: dict[UUID, Verdict] = {}
    trapped = {hit.sender: hit.time for hit in clicks if hit.is_trap}
    for hit in hits:
        if hit.sender in trapped and abs(hit.time - trapped[hit.sender]) <= SOON:
            found[hit.id] = Verdict(Label.BOT, TRAP)
    for rule in BURSTS:
        for group in _groups(rule, (hit for hit in clicks if hit.id not in found)):
            for burst in _windows(rule, group, message):
                verdict = Verdict(Label.BOT, rule.reason % _figures(burst))
                found.update((hit.id, verdict) for hit in burst)
    machines = [hit for hit in clicks if hit.id in found]
    for hit in hits:
        if not hit.is_click and _is_beside(hit, machines):
            found.setdefault(hit.id, Verdict(Label.BOT, IMAGE))
    return found


def _groups(rule: Burst, clicks: Iterable[MessageHit]) -> Iterable[Sequence[MessageHit]]:
    """Return the clicks of each sender, or all of them if the rule is about several."""
    by_sender: dict[Sender | None, list[MessageHit]] = defaultdict(list)
    for hit in clicks:
        by_sender[hit.sender if rule.addresses == 1 else None].append(hit)
    return by_sender.values()


def _windows(
    rule: Burst, clicks: Sequence[MessageHit], message: Message
) -> Iterator[Sequence[MessageHit]]:
    """Yield the longest runs of clicks to which a rule applies; they do not overlap."""
    span = timedelta(seconds=rule.seconds)
    first = 0
    while first < len(clicks):
        begin = clicks[first].time
        end = first
        while end < len(clicks) and clicks[end].time - begin <= span:
            end += 1
        run = clicks[first:end]
        if _applies(rule, run, message):
            yield run if rule.addresses == 1 else _first_clicks(run)
            first = end
        else:
            first += 1


def _figures(burst: Sequence[MessageHit]) -> dict[str, int]:
    seconds = (burst[-1].time - burst[0].time).total_seconds()
    return {"links": len({hit.url for hit in burst}), "seconds": max(round(seconds), 1)}


def _applies(rule: Burst, run: Sequence[MessageHit], message: Message) -> bool:
    if len(run) < rule.links or (rule.is_soon and not message.is_soon(run[0].time)):
        return False
    links = len({hit.url for hit in run})
    needed = rule.links
    if rule.is_all:
        in_message = message.links_at(run[0].time)
        if in_message is None or in_message < rule.links:
            return False
        needed = in_message
    return links >= needed and len({hit.sender.address for hit in run}) >= rule.addresses


def _first_clicks(run: Sequence[MessageHit]) -> Sequence[MessageHit]:
    """Return the first click on each link: a later one, of another sender, may be a person's."""
    return list({hit.url: hit for hit in reversed(run)}.values())[::-1]


def _is_beside(image: MessageHit, machines: Sequence[MessageHit]) -> bool:
    """Return whether an image was loaded by the sender of some clicks, or in the midst of them."""
    own = [hit.time for hit in machines if hit.sender == image.sender]
    if any(abs(image.time - time) <= _BESIDE for time in own):
        return True
    # A burst of some seconds: that a person opens the message just then is improbable.
    near = [hit.time for hit in machines if abs(hit.time - image.time) <= _BESIDE / 2]
    return bool(near) and min(near) <= image.time <= max(near)


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
    """Return the verdicts on clicks of one sender in the messages of many recipients at once.

    Args:
        clicks: clicks soon after sending, each with its recipient.
    """
    found: dict[UUID, Verdict] = {}
    by_sender: dict[Sender, list[tuple[MessageHit, object]]] = defaultdict(list)
    for hit, recipient in clicks:
        if hit.sender.address is not None:
            by_sender[hit.sender].append((hit, recipient))
    for group in by_sender.values():
        group.sort(key=lambda pair: pair[0].time)
        for run, recipients in _runs_of_recipients(group):
            numbers = {"recipients": recipients, "seconds": _RECIPIENTS_SECONDS}
            for hit, _recipient in run:
                found.setdefault(hit.id, Verdict(Label.BOT, RECIPIENTS % numbers))
    return found


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

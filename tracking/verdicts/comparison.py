"""The verdicts that the hits of messages and of senders show together.

    compare(clicks, using, timedelta(minutes=10))       # [Change, …]

Messages are judged first (:func:`tracking.enrichment.message_rules.judge`). A sender that followed
the links of several in bursts is a scanner: its other hits soon after sending are a machine's, too.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from tracking.db.chunks import KEYS_PER_QUERY, in_batches
from tracking.enrichment import message_rules
from tracking.enrichment.message_rules import Sender
from tracking.enrichment.verdict_reasons import rule_of
from tracking.enrichment.verdict_rules import Label, Verdict
from tracking.hits import Kind
from tracking.models import Beacon
from tracking.verdicts.messages import BeaconRow, MessageKey, Messages, read

#: For how long it counts that a sender followed links in bursts.
MEMORY = timedelta(days=1)

#: Rows that are read at most to find out which senders did so.
_MAX_OF_SENDERS = 10_000


class Change(NamedTuple):
    """A verdict that changes.

    Attributes:
        id: the key of the beacon.
        time: its time, as the column has it.
        before: the verdict that its row has.
        after: the verdict that it gets.
    """

    id: UUID
    time: datetime
    before: Verdict
    after: Verdict


def change(row: BeaconRow, after: Verdict) -> Change:
    """Return the change of the verdict on a beacon."""
    return Change(row.id, row.time, Verdict(Label(row.verdict), row.verdict_reason), after)


class Found(NamedTuple):
    """What the hits of messages show together.

    Attributes:
        rows: the hits that were compared.
        verdicts: the verdicts on those that a machine sent.
    """

    rows: dict[UUID, BeaconRow]
    verdicts: dict[UUID, Verdict]

    def bursts(self) -> Iterator[BeaconRow]:
        """Yield clicks of which a sender followed many in one message."""
        for key, verdict in self.verdicts.items():
            if _is_burst(self.rows[key], verdict.reason):
                yield self.rows[key]


def compare(clicks: Sequence[BeaconRow], using: str, window: timedelta) -> list[Change]:
    """Return the verdicts on hits of people that, together with others, are those of machines.

    Args:
        clicks: some clicks; all hits of their messages are judged.
        using: the database alias.
        window: how far before and after these clicks hits are read.
    """
    rows, verdicts = judge(clicks, using, window)
    return [
        change(rows[key], verdict)
        for key, verdict in verdicts.items()
        if rows[key].verdict == Label.HUMAN
    ]


def judge(
    hits: Sequence[BeaconRow],
    using: str,
    window: timedelta,
    earlier: Iterable[BeaconRow] = (),
) -> Found:
    """Judge all hits of the messages of some hits, and others of senders that are scanners.

    Args:
        hits: opens and clicks.
        using: the database alias.
        window: how far before and after these hits others are read.
        earlier: clicks in bursts of the last day that the database does not show.
    """
    found = Found({}, {})
    if not hits:
        return found
    first, last = min(hit.time for hit in hits) - window, max(hit.time for hit in hits) + window
    messages = Messages(using, first, last)
    messages.load(hits)
    found.rows.update(messages.rows)
    known = _of_many_recipients(messages)
    for message in messages.messages.values():
        found.verdicts.update(message_rules.judge(message, known))
    scanners = _scanners(found, using, first, earlier)
    if scanners:
        _judge_scanners(scanners, found, Messages(using, first, last))
    return found


def _of_many_recipients(messages: Messages) -> dict[UUID, Verdict]:
    return message_rules.many_recipients(
        (hit, key.entity)
        for key, message in messages.messages.items()
        if key.entity is not None
        for hit in message.hits
        if hit.is_click and message.is_soon(hit.time) and message.is_lone(hit.time)
    )


def _scanners(
    found: Found, using: str, first: datetime, earlier: Iterable[BeaconRow]
) -> dict[Sender, Verdict]:
    """Return the senders that followed the links of several messages, with the verdict on them."""
    scanned: dict[Sender, set[MessageKey]] = defaultdict(set)
    for row in (*found.bursts(), *_earlier_bursts(found, using, first), *earlier):
        if row.message_key is not None:
            scanned[row.sender].add(row.message_key)
    return message_rules.known_scanners({who: len(keys) for who, keys in scanned.items()})


def _earlier_bursts(found: Found, using: str, first: datetime) -> Iterator[BeaconRow]:
    """Yield earlier clicks in bursts from the same addresses."""
    addresses = {row.ip_address for row in found.rows.values() if row.ip_address}
    for some in in_batches(sorted(addresses), KEYS_PER_QUERY):
        rows = Beacon.objects.using(using).filter(
            ip_address__in=some, time__gte=first - MEMORY, kind=Kind.CLICK, verdict=Label.BOT
        )
        for row in read(rows.order_by("-time"), _MAX_OF_SENDERS):
            if _is_burst(row, row.verdict_reason):
                yield row


def _is_burst(row: BeaconRow, reason: str) -> bool:
    """Return whether one sender followed several links of a message in a burst."""
    return row.kind == Kind.CLICK and rule_of(reason) in message_rules.OF_ONE_SENDER


def _judge_scanners(scanners: Mapping[Sender, Verdict], found: Found, around: Messages) -> None:
    """Judge the other hits of known scanners that came soon after a sending.

    Args:
        scanners: the senders, with the verdict on them.
        found: gets the verdicts.
        around: reads their messages.
    """
    rows = around.of_addresses({who.address for who in scanners if who.address is not None})
    others = [
        row
        for row in rows
        if row.is_undecided and row.id not in found.verdicts and row.sender in scanners
    ]
    around.load(others)
    for row in others:
        message = around.messages.get(row.message_key) if row.message_key else None
        if message is not None and message.is_soon(row.time):
            found.rows[row.id] = row
            found.verdicts[row.id] = scanners[row.sender]

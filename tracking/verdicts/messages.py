"""The hits of a message, together.

A message is what one entity got from one source, and, if the hits tell, under one message id.
Without an entity nobody knows who got a link: then it is what one address and one program did
with links that have the same source and the same arguments.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Q, QuerySet

from tracking.db.chunks import KEYS_PER_QUERY, in_batches
from tracking.enrichment import message_rules
from tracking.enrichment.message_rules import MAX_HITS, SOON, Message, MessageHit, Send, Sender
from tracking.enrichment.verdict_reasons import is_of_message
from tracking.enrichment.verdict_rules import NOT_THE_READERS, Label
from tracking.hits import Kind
from tracking.identity.recent_heads import ASKED_WITH_HEAD
from tracking.models import Beacon

#: Rows that one query reads at most. The hits beyond are not compared.
MAX_ROWS = 50_000

#: Keys in the data of clicks of machines, each with its reason: a link that people cannot see.
_GIVEAWAYS = {"trap": message_rules.TRAP, ASKED_WITH_HEAD: message_rules.HEAD}


class BeaconRow(NamedTuple):
    """The columns of a beacon that verdicts depend on, in the order of the query."""

    id: UUID
    kind: str
    time: datetime
    url: str
    ip_address: str | None
    user_agent: str
    source_type_id: int | None
    source_id: str | None
    entity_type_id: int | None
    entity_id: str | None
    data: Any
    verdict: str
    verdict_reason: str

    @property
    def sender(self) -> Sender:
        """The address and the user agent."""
        return Sender(self.ip_address, self.user_agent)

    @property
    def source(self) -> tuple[int | None, str | None]:
        """The source, or two ``None``."""
        return self.source_type_id, self.source_id

    @property
    def entity(self) -> tuple[int, str] | None:
        """The entity, or ``None``."""
        if self.entity_type_id is None or self.entity_id is None:
            return None
        return self.entity_type_id, self.entity_id

    @property
    def is_undecided(self) -> bool:
        """Whether no rule about single hits takes it for that of a machine or proxy."""
        return self.verdict == Label.HUMAN or is_of_message(self.verdict_reason)

    @property
    def message_key(self) -> "MessageKey | None":
        """The message, or ``None`` if the link belongs to none."""
        data = self.data if isinstance(self.data, dict) else {}
        if self.entity is not None:
            return MessageKey(self.source, self.entity, str(data.get("message_id", "")), None)
        if self.source == (None, None):
            return None
        arguments = {name: value for name, value in data.items() if name not in _GIVEAWAYS}
        return MessageKey(
            self.source, None, json.dumps(arguments, sort_keys=True, default=str), self.sender
        )

    def as_hit(self) -> MessageHit:
        """Return what the rules read."""
        data = self.data if isinstance(self.data, dict) else {}
        return MessageHit(
            self.id,
            self.kind == Kind.CLICK,
            self.time,
            self.url,
            self.sender,
            next((reason for key, reason in _GIVEAWAYS.items() if data.get(key) is True), ""),
        )


class MessageKey(NamedTuple):
    """What hits of one message have in common.

    Attributes:
        source: the keys of the source.
        entity: the keys of the entity, if it is known.
        detail: the message id, or the arguments of the link.
        sender: who sends the hits, if the entity is not known.
    """

    source: tuple[int | None, str | None]
    entity: tuple[int, str] | None
    detail: str
    sender: Sender | None


def read(rows: QuerySet[Beacon], limit: int = MAX_ROWS) -> list[BeaconRow]:
    """Read the columns of some beacons.

    Args:
        rows: the beacons, in the order in which they are wanted.
        limit: how many at most.
    """
    return [BeaconRow(*row) for row in rows.values_list(*BeaconRow._fields)[:limit]]


class Messages:
    """The messages that some hits belong to.

    Attributes:
        messages: the messages by key.
        rows: all their opens and clicks by id.
    """

    def __init__(self, using: str, first: datetime, last: datetime) -> None:
        """Prepare to read.

        Args:
            using: the database alias.
            first: the time of the first hit to read, as the column has it.
            last: that of the last one.
        """
        self._using = using
        self._first, self._last = first, last
        self.rows: dict[UUID, BeaconRow] = {}
        self.messages: dict[MessageKey, Message] = {}

    def load(self, hits: Sequence[BeaconRow]) -> None:
        """Read all hits of the messages of these hits."""
        wanted = {key for hit in hits if (key := hit.message_key) is not None}
        found: dict[MessageKey, list[BeaconRow]] = defaultdict(list)
        sends: dict[Any, list[Send]] = defaultdict(list)
        fetched: dict[MessageKey, list[datetime]] = defaultdict(list)
        for row in self._read(wanted):
            if row.kind == Kind.SENT:
                sends[row.source, row.entity].append(_send(row))
            elif (key := row.message_key) is None or key not in wanted:
                continue
            elif row.is_undecided:
                self.rows[row.id] = row
                found[key].append(row)
            elif row.kind == Kind.OPEN and row.verdict in NOT_THE_READERS:
                fetched[key].append(row.time)
        for key, some in found.items():
            some.sort(key=lambda row: (row.time, row.id))
            sent = sorted(sends[key.source, key.entity], key=lambda send: send.time)
            of_message = [row.as_hit() for row in some[:MAX_HITS]]
            self.messages[key] = Message(of_message, sent, sorted(fetched[key]))

    def of_addresses(self, addresses: Iterable[str]) -> Iterator[BeaconRow]:
        """Yield opens and clicks from some addresses."""
        hits = Q(kind__in=[Kind.OPEN, Kind.CLICK]) & self._since(self._first)
        rows = Beacon.objects.using(self._using).filter(hits).order_by()
        return _read_all(rows, "ip_address", addresses)

    def _read(self, wanted: Iterable[MessageKey]) -> Iterator[BeaconRow]:
        """Yield opens, clicks and sendings of messages, and perhaps of others."""
        entities: dict[int, set[str]] = defaultdict(set)
        sources: dict[int, set[str]] = defaultdict(set)
        addresses: set[str] = set()
        for key in wanted:
            if key.entity is not None:
                entities[key.entity[0]].add(key.entity[1])
                continue
            if key.sender is not None and key.sender.address is not None:
                addresses.add(key.sender.address)
            if key.source[0] is not None and key.source[1] is not None:
                sources[key.source[0]].add(key.source[1])
        sends = Q(kind=Kind.SENT) & self._since(self._first - SOON)
        hits = Q(kind__in=[Kind.OPEN, Kind.CLICK]) & self._since(self._first)
        beacons = Beacon.objects.using(self._using).order_by()
        for type_id, ids in entities.items():
            yield from _read_all(
                beacons.filter(hits | sends, entity_type=type_id), "entity_id", ids
            )
        unknown = beacons.filter(entity_id__isnull=True)
        yield from _read_all(unknown.filter(hits), "ip_address", addresses)
        for type_id, ids in sources.items():
            yield from _read_all(unknown.filter(sends, source_type=type_id), "source_id", ids)

    def _since(self, first: datetime) -> Q:
        # Bursts begin soon after sending, or their rule asks for no sending.
        return Q(time__gte=first, time__lte=self._last)


def _read_all(rows: QuerySet[Beacon], column: str, values: Iterable[str]) -> Iterator[BeaconRow]:
    """Read the rows with one of some values, by an index of that column and the time."""
    for some in in_batches(sorted(values), KEYS_PER_QUERY):
        yield from read(rows.filter(**{f"{column}__in": some}))


def _send(row: BeaconRow) -> Send:
    links = row.data.get("links") if isinstance(row.data, dict) else None
    return Send(row.time, links if isinstance(links, int) and links > 0 else None)

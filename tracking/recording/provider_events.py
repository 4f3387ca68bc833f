"""Events of mail providers find the messages they are about.

A provider names a message by its id. :class:`tracking.models.SentMessage` knows the beacon of the
message, and that beacon the campaign, the recipient, and whether our own pixel and links are in the
message. Where they are, opens and clicks are recorded already, and those of the provider are left
out, whichever comes first.

An event may come before its message is written: then it waits as an
:class:`tracking.models.UnmatchedEvent`. After :data:`WAIT` it becomes a beacon with the campaign
that its tags name. Without one it stays where it is until it expires, and counts as unmatched.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from django.apps import apps
from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

from tracking.db.chunks import KEYS_PER_QUERY, in_batches
from tracking.db.retry import retry_transaction
from tracking.hits import DELIVERY_KINDS, Hit, Kind, Reference, message_key
from tracking.log_limits import get_logger
from tracking.models import Beacon, SentMessage, Source, UnmatchedEvent

logger = get_logger(__name__)

#: The apps through which events come.
PROVIDER_APPS = ("tracking.contrib.anymail",)

#: Keys in the data of a sent message: its id, or those of its recipients; whether it has a pixel
#: and links of ours; the mailbox provider of its recipient.
MESSAGE_ID, MESSAGE_IDS = "message_id", "message_ids"
PIXEL, LINKS = "pixel", "links"
MAILBOX = "mailbox"
#: The key of what its recipient has not agreed to: ``"opens"``, ``"clicks"``, or both.
UNTRACKED = "untracked"

#: How long after an event its message may be written. A long mailing is recorded in pieces while
#: it is sent, and a record may wait on a disk while the database is down.
WAIT = timedelta(hours=1)

#: The first pause between two looks for the message of an event. Each is as long as all before.
FIRST_PAUSE = timedelta(minutes=1)

#: Most events that wait or are unmatched. Further ones are not kept.
MAX_KEPT = 100_000

#: Most events that one call takes from those that are due.
MAX_DUE = 500


class Message(NamedTuple):
    """What is known of a sent message.

    Attributes:
        source: its campaign.
        entity: its recipient.
        mailbox: the mailbox provider of its recipient, or ``""``.
        counted: the kinds that its own pixel and links record, or that nobody may record.
    """

    source: Reference | None
    entity: Reference | None
    mailbox: str
    counted: frozenset[str]

    @classmethod
    def of(cls, sent: Hit | Beacon) -> "Message":
        """Return what the record of a sent message says."""
        data: Any = sent.data if isinstance(sent.data, Mapping) else {}
        if isinstance(sent, Hit):
            source, entity = sent.source, sent.entity
        else:
            source, entity = sent.reference("source"), sent.reference("entity")
        noted = data.get(UNTRACKED)
        untracked = noted if isinstance(noted, list | tuple) else ()
        counted = {
            kind
            for kind, part, name in (
                (Kind.OPEN.value, PIXEL, "opens"),
                (Kind.CLICK.value, LINKS, "clicks"),
            )
            if data.get(part, True) or name in untracked
        }
        return cls(source, entity, str(data.get(MAILBOX, "")), frozenset(counted))

    def matched(self, event: Hit) -> list[Hit]:
        """Return an event with its campaign and recipient, or nothing if it is counted already."""
        if event.kind in self.counted:
            return []
        data = {MAILBOX: self.mailbox, **event.data} if self.mailbox else event.data
        return [msgspec.structs.replace(event, source=self.source, entity=self.entity, data=data)]


def is_in_use() -> bool:
    """Return whether the site receives events of mail providers."""
    return any(map(apps.is_installed, PROVIDER_APPS))


def match(hits: Sequence[Hit], using: str) -> Sequence[Hit]:
    """Return what is to be written of a batch, and keep events whose message is not known.

    Args:
        hits: the hits of a batch, each once.
        using: the alias of the database.

    Raises:
        django.db.DatabaseError: the database failed.
    """
    if not any(hit.report is not None or hit.kind == Kind.SENT for hit in hits):
        return hits
    sent = sent_messages(hits)
    if sent and is_in_use():
        _remember(sent, using)
    events = [hit for hit in hits if hit.report is not None]
    if not events:
        return hits
    messages = find_messages(events, using)
    messages.update({key: Message.of(hit) for key, hit in sent.items()})
    unknown = [event for event in events if key_of(event) not in messages]
    waiting = _keep(unknown, using)
    hopeless = {event.id: event for event in unknown if event.id not in waiting}
    campaigns = find_campaigns(hopeless.values(), using)
    found: list[Hit] = []
    for hit in hits:
        if hit.report is None:
            found.append(hit)
        elif (message := messages.get(key_of(hit))) is not None:
            found += message.matched(hit)
        elif hit.id in hopeless:
            found += with_campaign(hit, campaigns)
    return found


def key_of(event: Hit) -> UUID | None:
    """Return the key of the message that an event is about."""
    return event.report.message if event.report else None


def sent_messages(hits: Iterable[Hit]) -> dict[UUID, Hit]:
    """Return the sent messages among hits, by the keys of their ids."""
    found: dict[UUID, Hit] = {}
    for hit in hits:
        if hit.kind == Kind.SENT and hit.report is None:
            ids = [hit.data.get(MESSAGE_ID), *(hit.data.get(MESSAGE_IDS) or ())]
            found |= {message_key(text): hit for text in ids if text and isinstance(text, str)}
    return found


def find_messages(events: Iterable[Hit], using: str) -> dict[UUID | None, Message]:
    """Return the messages of events, by their keys, as far as they are written.

    Args:
        events: the events.
        using: the alias of the database.
    """
    keys = list({key for event in events if (key := key_of(event)) is not None})
    found: dict[UUID | None, Message] = {}
    for some in in_batches(keys, KEYS_PER_QUERY):
        beacon_ids = dict(
            SentMessage.objects.using(using).filter(pk__in=some).values_list("pk", "beacon_id")
        )
        if beacon_ids:
            beacons = Beacon.objects.using(using).in_bulk(list(beacon_ids.values()))
            found |= {
                key: Message.of(beacons[pk]) for key, pk in beacon_ids.items() if pk in beacons
            }
    return found


def find_campaigns(events: Iterable[Hit], using: str) -> dict[str, Reference]:
    """Return the sources that events name, by their slugs.

    Args:
        events: the events.
        using: the alias of the database.
    """
    slugs = {slug for event in events if event.report for slug in event.report.campaigns}
    found: dict[str, Reference] = {}
    for some in in_batches(sorted(slugs), KEYS_PER_QUERY):
        rows = Source.objects.using(using).filter(slug__in=some)
        found |= {source.slug: Reference.to(source) for source in rows}
    return found


def with_campaign(event: Hit, campaigns: Mapping[str, Reference]) -> list[Hit]:
    """Return an event with the first campaign that it names, or nothing if there is none."""
    for slug in event.report.campaigns if event.report else ():
        if slug in campaigns:
            return [msgspec.structs.replace(event, source=campaigns[slug])]
    return []


def _remember(sent: Mapping[UUID, Hit], using: str) -> None:
    """Note where the beacons of messages are. Events find them once they are written."""
    rows = [SentMessage(id=key, beacon_id=hit.id) for key, hit in sorted(sent.items())]
    _insert(SentMessage.objects.using(using), rows, using)


def _keep(events: Sequence[Hit], using: str) -> set[UUID]:
    """Keep events whose message is not known, and return the ids of those that wait for it.

    Those that name no message wait for nothing: they are kept if they name no campaign, either.
    """
    if not events:
        return set()
    kept = UnmatchedEvent.objects.using(using)
    if kept.order_by()[MAX_KEPT : MAX_KEPT + 1].exists():
        logger.warning("Events of mail providers are not kept: %s are unmatched.", MAX_KEPT)
        return set()
    now = timezone.now()
    rows = [
        UnmatchedEvent(
            id=event.id,
            message=key_of(event),
            hit=event.as_dict(),
            time=now,
            due_at=now + FIRST_PAUSE,
        )
        for event in sorted(events, key=lambda event: event.id)
    ]
    _insert(kept, rows, using)
    return {event.id for event in events}


def _insert(table: QuerySet[Any], rows: Sequence[Any], using: str) -> None:
    """Insert the rows that do not exist yet."""

    def insert() -> None:
        with transaction.atomic(using=using):
            table.bulk_create(rows, ignore_conflicts=True)

    retry_transaction(using, insert)


def waiting_for(keys: Iterable[UUID], using: str) -> list[UnmatchedEvent]:
    """Return the events that wait for messages.

    Args:
        keys: the keys of the messages.
        using: the alias of the database.
    """
    rows = UnmatchedEvent.objects.using(using)
    return [
        row
        for some in in_batches(list(keys), KEYS_PER_QUERY)
        for row in rows.filter(message__in=some)
    ]


def claim_due(now: datetime, using: str) -> list[UnmatchedEvent]:
    """Return events whose message is to be looked for now, and say when that is done again.

    Args:
        now: the current time, as columns have it.
        using: the alias of the database.
    """
    rows = UnmatchedEvent.objects.using(using)
    due = list(rows.filter(due_at__lte=now).order_by("due_at")[:MAX_DUE])
    for row in due:
        age = now - row.time
        row.due_at = now + max(age, FIRST_PAUSE) if age < WAIT else None
    if due:
        rows.bulk_update(due, ["due_at"], batch_size=100)
    return due


def event_of(row: UnmatchedEvent) -> Hit | None:
    """Return the event of a row, or ``None`` if another version of this app has written it."""
    try:
        return Hit.from_dict(row.hit)
    except (KeyError, TypeError, ValueError) as error:
        logger.warning("An unmatched event of a mail provider cannot be read: %r", error)
        return None


def forget(rows: Iterable[UnmatchedEvent], using: str) -> None:
    """Delete rows whose events are beacons now.

    Args:
        rows: the rows.
        using: the alias of the database.
    """
    for some in in_batches(sorted(row.pk for row in rows), KEYS_PER_QUERY):
        UnmatchedEvent.objects.using(using).filter(pk__in=some).delete()


class EventState(NamedTuple):
    """What has come from mail providers.

    Attributes:
        last: when the last event happened or came, ``None`` if there is none.
        waiting: events whose message may still be written.
        unmatched: events without a message and a campaign.
    """

    last: datetime | None
    waiting: int
    unmatched: int


def event_state(using: str) -> EventState:
    """Return what has come from mail providers, in a few short queries.

    Args:
        using: the alias of the database.

    Raises:
        django.db.DatabaseError: the database failed.
    """
    kept = UnmatchedEvent.objects.using(using)
    times = [
        Beacon.objects.using(using).filter(kind=kind).aggregate(last=Max("time"))["last"]
        for kind in DELIVERY_KINDS
    ]
    times.append(kept.aggregate(last=Max("time"))["last"])
    waiting = kept.filter(due_at__isnull=False).count()
    return EventState(
        max((time for time in times if time is not None), default=None),
        waiting,
        kept.count() - waiting,
    )

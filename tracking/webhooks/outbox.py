"""What endpoints ask for is saved in the transaction of the hits, and delivered after it.

    new = beacon_messages(hits, columns_of, using)     # before the transaction
    with transaction.atomic(using=using):
        insert(hits)
        save(new, using)

So nothing is lost that was recorded, and nothing is sent that was not. Sites without endpoints have
no further query.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from tracking.conf import conf
from tracking.db.column_values import storable_time
from tracking.db.isolation import log_errors_with_savepoints
from tracking.enrichment.verdict_rules import Verdict
from tracking.hits import ROLES, Hit, Reference
from tracking.log_limits import get_logger
from tracking.models import Beacon, WebhookEndpoint, WebhookMessage
from tracking.webhooks import endpoints, payloads, sender_thread
from tracking.webhooks.endpoints import Endpoint
from tracking.webhooks.event_types import CORRECTED, type_of
from tracking.webhooks.schedule import MAX_AGE

logger = get_logger(__name__)

#: Bytes that this process saves for an endpoint until it looks whether too many wait.
_LOOK_AFTER = 1_000_000

#: Rows that one statement inserts, and that one round of dropping reads.
_ROWS_PER_INSERT = 10
_ROWS_PER_ROUND = 1_000

#: Bytes that were saved since the last look, by endpoint.
_saved: dict[int, int] = {}


def beacon_messages(
    hits: Sequence[Hit], columns_of: Callable[[Hit], Mapping[str, Any]], using: str
) -> list[WebhookMessage]:
    """Return the messages about hits that become beacons. It never raises.

    Args:
        hits: the hits.
        columns_of: returns the columns of the beacon that a hit becomes.
        using: the alias of the database.
    """
    wanting = endpoints.active()
    if not wanting:
        return []
    with log_errors_with_savepoints(logger, "Preparing webhooks for %s hits", len(hits)):
        hits = [hit for hit in hits if any(type_of(hit.kind) in one.types for one in wanting)]
        slugs = endpoints.slugs_of((hit.source for hit in hits), using)
        return _messages(wanting, (_beacon_event(hit, columns_of, slugs) for hit in hits))
    return []


def save_corrections(previous: Mapping[UUID, Verdict], using: str) -> None:
    """Save messages about corrected verdicts, in the transaction that has corrected them.

    Args:
        previous: the verdicts before, by the primary keys of the beacons.
        using: the alias of the database.

    Raises:
        django.db.DatabaseError: the database failed.
    """
    wanting = [one for one in endpoints.active() if CORRECTED in one.types]
    if not (wanting and previous):
        return
    messages: list[WebhookMessage] = []
    with log_errors_with_savepoints(logger, "Preparing webhooks for corrected verdicts"):
        beacons = Beacon.objects.using(using).in_bulk(list(previous))
        slugs = endpoints.slugs_of((one.reference("source") for one in beacons.values()), using)
        events = (_correction_event(one, previous[one.pk], slugs) for one in beacons.values())
        messages = _messages(wanting, events)
    save(messages, using)


class _Event:
    """Something that happened, as the endpoints get it. Written once for all that get the same.

    Args:
        name: its type.
        source: its source.
        slugs: slugs by primary key of a ``Source``.
        moment: when it happened.
        data_of: returns what it says, given the slug of the source and whether to add personal
            data.
    """

    def __init__(
        self,
        name: str,
        source: Reference | None,
        slugs: Mapping[str, str],
        moment: datetime,
        data_of: Callable[[str | None, bool], Mapping[str, Any]],
    ) -> None:
        self._name = name
        self._source = source
        is_ours = source is not None and source.label == endpoints.SOURCE_LABEL
        self._slug = slugs.get(source.pk) if source is not None and is_ours else None
        self._moment = moment
        self._data_of = data_of
        self._texts: dict[bool, str | None] = {}

    def text_for(self, endpoint: Endpoint) -> str | None:
        """Return the event as JSON, or ``None`` if the endpoint does not ask for it."""
        if not endpoint.wants(self._name, self._source, self._slug):
            return None
        personal = endpoint.personal_data
        if personal not in self._texts:
            data = self._data_of(self._slug, personal)
            self._texts[personal] = payloads.event(self._name, self._moment, data)
        return self._texts[personal]


def _beacon_event(
    hit: Hit, columns_of: Callable[[Hit], Mapping[str, Any]], slugs: Mapping[str, str]
) -> _Event:
    references = {role: getattr(hit, role) for role in ROLES}

    def data_of(slug: str | None, personal: bool) -> Mapping[str, Any]:
        return payloads.beacon_data(columns_of(hit), references, slug, personal_data=personal)

    return _Event(type_of(hit.kind), hit.source, slugs, storable_time(hit.time), data_of)


def _correction_event(beacon: Beacon, before: Verdict, slugs: Mapping[str, str]) -> _Event:
    references = {role: beacon.reference(role) for role in ROLES}

    def data_of(slug: str | None, personal: bool) -> Mapping[str, Any]:
        data = payloads.beacon_data(vars(beacon), references, slug, personal_data=personal)
        return data | {"previous_verdict": before.label, "previous_verdict_reason": before.reason}

    return _Event(CORRECTED, references["source"], slugs, timezone.now(), data_of)


def _messages(wanting: Iterable[Endpoint], events: Iterable[_Event]) -> list[WebhookMessage]:
    texts: dict[int, list[str]] = {}
    for event in events:
        for endpoint in wanting:
            if (text := event.text_for(endpoint)) is not None:
                texts.setdefault(endpoint.pk, []).append(text)
    now = timezone.now()
    return [
        new_message(endpoint, batch, now)
        for endpoint, wanted in texts.items()
        for batch in payloads.batches(wanted)
    ]


def new_message(endpoint: int, events: Sequence[str], now: datetime) -> WebhookMessage:
    """Return a message that is not saved yet.

    Args:
        endpoint: the primary key of its endpoint.
        events: its events as JSON, at least one.
        now: the present time.
    """
    items = ",".join(events)
    return WebhookMessage(
        endpoint_id=endpoint,
        created_at=now,
        next_attempt_at=now,
        expires_at=now + MAX_AGE,
        events=len(events),
        size=len(items),
        items=items,
    )


def save(messages: Sequence[WebhookMessage], using: str) -> None:
    """Save messages, in the transaction of what they are about, and deliver them after it.

    Args:
        messages: the messages.
        using: the alias of the database.

    Raises:
        django.db.DatabaseError: the database failed.
    """
    if not messages:
        return
    WebhookMessage.objects.using(using).bulk_create(messages, batch_size=_ROWS_PER_INSERT)
    sizes: dict[int, int] = {}
    for message in messages:
        sizes[message.endpoint_id] = sizes.get(message.endpoint_id, 0) + message.size
    transaction.on_commit(lambda: _after_commit(sizes, using), using=using, robust=True)


def _after_commit(sizes: Mapping[int, int], using: str) -> None:
    for endpoint, size in sizes.items():
        _saved[endpoint] = _saved.get(endpoint, 0) + size
        if _saved[endpoint] >= _LOOK_AFTER:
            _saved[endpoint] = 0
            with log_errors_with_savepoints(logger, "Limiting the messages of an endpoint"):
                drop_oldest(endpoint, using)
    sender_thread.wake()


def drop_oldest(endpoint: int, using: str) -> int:
    """Drop the oldest messages of an endpoint that has too many, those given up first.

    Args:
        endpoint: the primary key of the endpoint.
        using: the alias of the database.

    Returns:
        How many events were dropped.
    """
    rows = WebhookMessage.objects.using(using).filter(endpoint=endpoint)
    limit = conf.webhook_backlog * 1_000_000
    excess = rows.aggregate(size=Coalesce(Sum("size"), 0))["size"] - limit
    dropped = 0
    while excess > 0:
        oldest = rows.order_by("-is_dead", "next_attempt_at").values_list("pk", "size", "events")
        chosen: dict[Any, int] = {}
        for pk, size, events in oldest[:_ROWS_PER_ROUND]:
            if excess <= 0:
                break
            excess -= size
            chosen[pk] = events
        if not chosen:
            break
        rows.filter(pk__in=list(chosen)).delete()
        dropped += sum(chosen.values())
    if dropped:
        _note_dropped(endpoint, dropped, using)
    return dropped


def _note_dropped(endpoint: int, events: int, using: str) -> None:
    states = WebhookEndpoint.states.using(using).filter(pk=endpoint)
    states.update(dropped=F("dropped") + events)
    logger.error(
        "%s events for the webhook endpoint %s were dropped: more than TRACKING_WEBHOOK_BACKLOG "
        "(%s MB) wait. Is the endpoint down, or does nobody deliver?",
        events,
        endpoint,
        conf.webhook_backlog,
    )

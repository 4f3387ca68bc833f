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

from django.db import transaction
from django.db.models import F, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from tracking.conf import conf
from tracking.db.isolation import log_errors_with_savepoints
from tracking.hits import ROLES, Hit
from tracking.log_limits import get_logger
from tracking.models import WebhookEndpoint, WebhookMessage
from tracking.webhooks import endpoints, payloads, sender_thread
from tracking.webhooks.endpoints import Endpoint
from tracking.webhooks.event_types import type_of
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
        return _messages(wanting, (_BeaconEvent(hit, columns_of, slugs) for hit in hits))
    return []


class _BeaconEvent:
    """A beacon, as the endpoints get it. Written once for all that get the same."""

    def __init__(
        self, hit: Hit, columns_of: Callable[[Hit], Mapping[str, Any]], slugs: Mapping[str, str]
    ) -> None:
        self._hit = hit
        self._columns_of = columns_of
        self._name = type_of(hit.kind)
        is_ours = hit.source is not None and hit.source.label == endpoints.SOURCE_LABEL
        self._slug = slugs.get(hit.source.pk) if hit.source and is_ours else None
        self._texts: dict[bool, str | None] = {}

    def text_for(self, endpoint: Endpoint) -> str | None:
        """Return the event as JSON, or ``None`` if the endpoint does not ask for it."""
        if not endpoint.wants(self._name, self._hit.source, self._slug):
            return None
        personal = endpoint.personal_data
        if personal not in self._texts:
            columns = self._columns_of(self._hit)
            references = {role: getattr(self._hit, role) for role in ROLES}
            data = payloads.beacon_data(columns, references, self._slug, personal_data=personal)
            self._texts[personal] = payloads.event(self._name, columns["time"], data)
        return self._texts[personal]


def _messages(wanting: Iterable[Endpoint], events: Iterable[_BeaconEvent]) -> list[WebhookMessage]:
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

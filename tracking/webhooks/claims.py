"""Who delivers what: one sender for each endpoint, however many processes there are.

A sender writes its name and an end into the row of the endpoint, in one statement that finds the
row only if nobody else's end is still to come. It does so again with each message, so that a sender
that is killed holds an endpoint up for seconds only. Works alike on all databases.

    with claimed(endpoint.pk, using) as claim:
        while claim is not None and (outgoing := claim.next_message()):
            claim.settle(outgoing, post(…))
"""

import random
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from tracking.conf import conf
from tracking.db.retry import retry_transaction
from tracking.log_limits import get_logger
from tracking.models import WebhookEndpoint, WebhookMessage
from tracking.models.webhooks import Failure
from tracking.webhooks import payloads, schedule
from tracking.webhooks.http_post import Answer

logger = get_logger(__name__)

#: Seconds by which a claim outlasts a delivery: the clocks of two hosts differ, databases wait.
_MARGIN = 15.0

#: Messages that are looked at, to merge those that were never tried.
_LOOK_AT = 500

_TOO_MANY_REQUESTS, _UNAVAILABLE = 429, 503


def endpoints_with_work(using: str) -> list[int]:
    """Return the endpoints that have a message to send now, and that nobody delivers to."""
    now = timezone.now()
    waiting = _waiting(using).filter(next_attempt_at__lte=now)
    free = WebhookEndpoint.states.using(using).filter(_is_free(now), active=True)
    keys = list(free.filter(pk__in=waiting.values("endpoint")).values_list("pk", flat=True))
    random.shuffle(keys)  # so that no endpoint always comes last
    return keys


class Claim:
    """The right to deliver to an endpoint, until it ends.

    Attributes:
        endpoint: the endpoint, as it was when the claim was made.
    """

    def __init__(self, endpoint: WebhookEndpoint, using: str) -> None:
        self.endpoint = endpoint
        self._using = using
        self._row = WebhookEndpoint.states.using(using).filter(pk=endpoint.pk, lease=endpoint.lease)

    def next_message(self) -> WebhookMessage | None:
        """Return the message to send now, or ``None`` if there is none or the claim is lost.

        Messages that were never tried are merged into one. The attempt is counted before it is
        made: what may have reached the receiver keeps its id and its content.
        """
        return retry_transaction(self._using, self._next_message)

    def _next_message(self) -> WebhookMessage | None:
        with transaction.atomic(using=self._using):
            # First: it locks the row, and on SQLite begins the transaction with a write.
            if not self._row.update(leased_until=_end_of_claim()):
                return None
            now = timezone.now()
            due = _waiting(self._using).filter(endpoint=self.endpoint.pk, next_attempt_at__lte=now)
            keys = _to_merge(due)
            if not keys:
                return None
            rows = WebhookMessage.objects.using(self._using)
            parts = sorted(rows.filter(pk__in=keys), key=lambda one: keys.index(one.pk))
            message = parts[0]
            if len(parts) > 1:
                message.items = ",".join(part.items for part in parts)
                message.size = len(message.items)
                message.events = sum(part.events for part in parts)
                rows.filter(pk__in=keys[1:]).delete()
            message.attempts += 1
            message.tried_at = now
            message.save(using=self._using)
            return message

    def settle(self, message: WebhookMessage, answer: Answer) -> None:
        """Save what became of an attempt."""
        work = self._accept if answer.failure is None else self._note_failure
        retry_transaction(self._using, lambda: work(message, answer))

    def _accept(self, message: WebhookMessage, _answer: Answer) -> None:
        with transaction.atomic(using=self._using):
            WebhookMessage.objects.using(self._using).filter(pk=message.pk).delete()
            self._row.update(**_WORKS, delivered_at=timezone.now())
        self.endpoint.failures, self.endpoint.failing_since = 0, None

    def _note_failure(self, message: WebhookMessage, answer: Answer) -> None:
        now = timezone.now()
        failures = self.endpoint.failures + 1
        asked = None
        if answer.status in {_TOO_MANY_REQUESTS, _UNAVAILABLE}:
            asked = schedule.retry_after(answer.retry_after, datetime.now(UTC))
        pause = schedule.pause_of_endpoint(failures, asked)
        delay = schedule.delay_of_message(message.attempts)
        is_gone = answer.failure == Failure.GONE
        message.next_attempt_at = now + max(delay, pause)
        message.reason = answer.failure or ""
        message.status = answer.status
        message.answer = answer.excerpt
        message.is_dead = (
            is_gone or message.attempts >= schedule.MAX_ATTEMPTS or now >= message.expires_at
        )
        with transaction.atomic(using=self._using):
            WebhookMessage.objects.using(self._using).filter(pk=message.pk).update(
                **{name: getattr(message, name) for name in _RESULT}
            )
            self._row.update(
                failures=failures,
                failing_since=self.endpoint.failing_since or now,
                failure=message.reason,
                paused_until=now + pause,
            )
            given_up = self._give_up(now, is_gone=is_gone) + message.is_dead
            if is_gone:
                WebhookEndpoint.objects.using(self._using).filter(pk=self.endpoint.pk).update(
                    active=False
                )
        self.endpoint.failures = failures
        self.endpoint.failing_since = self.endpoint.failing_since or now
        _log_failure(self.endpoint, answer, given_up, is_gone=is_gone)

    def _give_up(self, now: datetime, *, is_gone: bool) -> int:
        """Give up the other messages of a failing endpoint that are too old, and count them."""
        waiting = _waiting(self._using).filter(endpoint=self.endpoint.pk)
        if is_gone:
            return waiting.update(is_dead=True, reason=Failure.GONE)
        return waiting.filter(expires_at__lte=now).update(is_dead=True, reason=Failure.EXPIRED)

    def release(self) -> None:
        """Let others deliver."""
        retry_transaction(self._using, lambda: self._row.update(lease="", leased_until=None))


@contextmanager
def claimed(endpoint: int, using: str) -> Iterator[Claim | None]:
    """Claim an endpoint for the block.

    Args:
        endpoint: its primary key.
        using: the alias of the database.

    Returns:
        The claim; ``None`` if another one has it, or it is paused, inactive or deleted.
    """
    name = secrets.token_hex(16)
    states = WebhookEndpoint.states.using(using).filter(pk=endpoint)
    free = states.filter(_is_free(timezone.now()), active=True)
    taken = retry_transaction(using, lambda: free.update(lease=name, leased_until=_end_of_claim()))
    row = states.filter(lease=name).first() if taken else None
    if row is None:
        yield None
        return
    claim = Claim(row, using)
    try:
        yield claim
    finally:
        claim.release()


def replay(messages: "QuerySet[WebhookMessage]") -> int:
    """Let messages that were given up be sent again, with their ids; return how many.

    Args:
        messages: the messages; those that were not given up are left alone.
    """
    now = timezone.now()
    return messages.filter(is_dead=True).update(
        is_dead=False,
        attempts=0,
        next_attempt_at=now,
        expires_at=now + schedule.MAX_AGE,
    )


def forget_failures(endpoints: Collection[Any], using: str) -> None:
    """Treat endpoints as if they worked: the next attempt is made at once.

    Args:
        endpoints: their primary keys.
        using: the alias of the database.
    """
    WebhookEndpoint.states.using(using).filter(pk__in=endpoints).update(**_WORKS)


#: The state of an endpoint that works.
_WORKS: dict[str, Any] = {
    "failures": 0,
    "failing_since": None,
    "failure": "",
    "paused_until": None,
}
_RESULT = ("next_attempt_at", "reason", "status", "answer", "is_dead")


def _is_free(now: datetime) -> Q:
    not_leased = Q(leased_until=None) | Q(leased_until__lte=now)
    return not_leased & (Q(paused_until=None) | Q(paused_until__lte=now))


def _end_of_claim() -> datetime:
    return timezone.now() + timedelta(seconds=conf.webhook_timeout + _MARGIN)


def _waiting(using: str) -> "QuerySet[WebhookMessage]":
    return WebhookMessage.objects.using(using).filter(is_dead=False)


def _to_merge(due: "QuerySet[WebhookMessage]") -> list[Any]:
    """Return the keys of the next message and of those that are merged into it."""
    columns = ("pk", "tried_at", "events", "size")
    rows = list(due.order_by("next_attempt_at", "pk").values_list(*columns)[:_LOOK_AT])
    keys: list[Any] = []
    events = size = 0
    for key, tried_at, its_events, its_size in rows:
        if keys and (
            tried_at is not None
            or events + its_events > payloads.MAX_EVENTS
            or size + its_size >= payloads.MAX_SIZE
        ):
            break
        keys.append(key)
        events, size = events + its_events, size + its_size + 1
        if tried_at is not None:
            break
    return keys


def _log_failure(
    endpoint: WebhookEndpoint, answer: Answer, given_up: int, *, is_gone: bool
) -> None:
    cause = f"{answer.failure.name.lower() if answer.failure else ''} {answer.status or ''}".strip()
    if is_gone:
        logger.warning("The webhook endpoint %s answered 410: it is inactive now", endpoint.pk)
    elif endpoint.failures == 1:
        logger.warning("The webhook endpoint %s fails: %s", endpoint.pk, cause)
    if given_up:
        logger.error(
            "%s messages for the webhook endpoint %s were given up: %s",
            given_up,
            endpoint.pk,
            cause,
        )

"""Deliver what waits: in this thread, or an endpoint per thread.

deliver_waiting()        # the command, the Celery task
"""

import math
from dataclasses import dataclass
from time import monotonic, time

from django.db import router
from django.utils import timezone

from tracking.conf import conf
from tracking.hits import uuid7
from tracking.models import WebhookEndpoint, WebhookMessage
from tracking.models.webhooks import Failure, webhook_id
from tracking.webhooks import claims, payloads, signing
from tracking.webhooks.event_types import TEST
from tracking.webhooks.http_post import Answer, post

#: Seconds after which a sender leaves an endpoint to the next round.
TURN = 10.0

USER_AGENT = "django-beacons"


@dataclass
class Delivered:
    """What a turn has delivered.

    Attributes:
        messages: messages that were accepted.
        events: events in them.
        failed: attempts that failed.
    """

    messages: int = 0
    events: int = 0
    failed: int = 0

    def add(self, other: "Delivered") -> None:
        """Add what another turn has delivered."""
        self.messages += other.messages
        self.events += other.events
        self.failed += other.failed


def deliver(endpoint: int, using: str, seconds: float = TURN) -> Delivered:
    """Deliver what waits for an endpoint, until nothing does, an attempt fails or time is up.

    Args:
        endpoint: the primary key of the endpoint.
        using: the alias of the database.
        seconds: seconds after which no further message is sent.

    Raises:
        django.db.DatabaseError: the database failed. What was sent may be sent again.
    """
    result = Delivered()
    end = monotonic() + seconds
    with claims.claimed(endpoint, using) as claim:
        while claim is not None and (message := claim.next_message()) is not None:
            answer = send(claim.endpoint, message.webhook_id, _body(message))
            claim.settle(message, answer)
            if answer.failure is not None:
                result.failed += 1
                break
            result.messages += 1
            result.events += message.events
            if monotonic() > end:
                break
    return result


def deliver_waiting(seconds: float = math.inf) -> Delivered:
    """Deliver what waits for all endpoints, in turns, until nothing does or time is up.

    Args:
        seconds: seconds after which no further turn begins.

    Raises:
        django.db.DatabaseError: the database failed.
    """
    using = router.db_for_write(WebhookMessage)
    result = Delivered()
    end = monotonic() + seconds
    while monotonic() < end and (waiting := claims.endpoints_with_work(using)):
        turn = [deliver(endpoint, using) for endpoint in waiting]
        for delivered in turn:
            result.add(delivered)
        if not any(delivered.messages for delivered in turn):
            break  # another sender has them
    return result


def send_test(endpoint: WebhookEndpoint) -> Answer:
    """Send a message without events, and return what became of it.

    Args:
        endpoint: the endpoint.
    """
    body = payloads.body("", timezone.now(), TEST)
    return send(endpoint, webhook_id(uuid7()), body)


def send(endpoint: WebhookEndpoint, identifier: str, body: bytes) -> Answer:
    """Sign a message, send it, and return what became of it.

    Args:
        endpoint: the endpoint.
        identifier: the webhook's id.
        body: the body.
    """
    try:
        secrets = signing.secrets_of(endpoint, timezone.now())
        signed = signing.signed_headers(identifier, int(time()), body, secrets)
    except ValueError as error:
        return Answer(failure=Failure.URL, excerpt=str(error))
    headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT, **signed}
    return post(endpoint.url, body, headers, conf.webhook_timeout)


def _body(message: WebhookMessage) -> bytes:
    return payloads.body(message.items, message.created_at)

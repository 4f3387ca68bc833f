"""Who delivers what, and what becomes of it."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from tests.support.concurrency import in_threads
from tests.support.processes import wait_until
from tracking.hits import Hit, Kind
from tracking.models import WebhookEndpoint, WebhookMessage
from tracking.models.webhooks import Failure
from tracking.recording import write
from tracking.webhooks import claims, endpoints, payloads, schedule
from tracking.webhooks.http_post import Answer

pytestmark = pytest.mark.django_db

ACCEPTED = Answer(failure=None, status=204)
ERROR = Answer(failure=Failure.STATUS, status=500, excerpt="no")


def waiting(endpoint, number=1, events=1):
    for _ in range(number):
        write([Hit(kind=Kind.OPEN) for _ in range(events)])
    return list(endpoint.messages.order_by("pk"))


def attempt(endpoint, answer):
    """Make one attempt now, whatever pauses there are; return the message."""
    WebhookEndpoint.states.filter(pk=endpoint.pk).update(paused_until=None)
    endpoint.messages.filter(is_dead=False).update(next_attempt_at=timezone.now())
    with claims.claimed(endpoint.pk, "default") as claim:
        message = claim.next_message()
        claim.settle(message, answer)
    endpoint.refresh_from_db()
    return message


def test_an_accepted_message_is_deleted(endpoint):
    one = endpoint()
    waiting(one)
    attempt(one, ACCEPTED)
    assert not WebhookMessage.objects.exists()
    assert one.delivered_at
    assert (one.lease, one.leased_until) == ("", None)


def test_only_one_sender_gets_an_endpoint(endpoint):
    one, other = endpoint(), endpoint()
    waiting(one)
    with claims.claimed(one.pk, "default") as first:
        assert first
        with claims.claimed(one.pk, "default") as second:
            assert second is None
        with claims.claimed(other.pk, "default") as third:
            assert third
        assert claims.endpoints_with_work("default") == [other.pk]
    with claims.claimed(one.pk, "default") as again:
        assert again


@pytest.mark.skipif(connection.vendor == "sqlite", reason="threads share a database in memory")
@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_gets_it(endpoint):
    one = endpoint()
    taken: list[bool] = []

    def claim():
        with claims.claimed(one.pk, "default") as claim:
            taken.append(claim is not None)
            if claim is not None:
                wait_until(lambda: len(taken) == 8)

    in_threads(*[claim] * 8)
    assert sorted(taken) == [False] * 7 + [True]


def test_the_claim_of_a_dead_process_ends(endpoint):
    one = endpoint()
    [message] = waiting(one)
    with claims.claimed(one.pk, "default") as killed:
        begun = killed.next_message()
        WebhookEndpoint.states.update(leased_until=timezone.now() - timedelta(seconds=1))
        with claims.claimed(one.pk, "default") as another:
            again = another.next_message()
            assert (again.pk, again.items) == (begun.pk, begun.items)
            assert again.webhook_id == message.webhook_id
            assert again.attempts == 2
            assert killed.next_message() is None  # it has lost its claim
    assert one.messages.count() == 1


def test_messages_that_were_never_tried_are_merged(endpoint):
    one = endpoint()
    messages = waiting(one, 7, events=100)
    with claims.claimed(one.pk, "default") as claim:
        first, second = claim.next_message(), None
        assert first.pk == messages[0].pk
        assert first.events == payloads.MAX_EVENTS
        assert payloads.body(first.items, first.created_at).count(b'"beacon.open"') == 500
        claim.settle(first, ACCEPTED)
        second = claim.next_message()
        assert second.events == 200
        claim.settle(second, ACCEPTED)
        assert claim.next_message() is None


def test_a_message_that_was_tried_keeps_its_content(endpoint):
    one = endpoint()
    [first] = waiting(one)
    attempt(one, ERROR)
    waiting(one, 2)
    message = attempt(one, ERROR)
    assert (message.pk, message.events) == (first.pk, 1)
    assert one.messages.count() == 3


def test_a_failure_pauses_the_endpoint(endpoint):
    one = endpoint()
    waiting(one, 2)
    message = attempt(one, ERROR)
    assert (one.failures, one.failure) == (1, "status")
    assert one.failing_since
    assert one.paused_until > timezone.now()
    message.refresh_from_db()
    assert (message.attempts, message.status, message.answer) == (1, 500, "no")
    assert message.next_attempt_at > timezone.now()
    assert claims.endpoints_with_work("default") == []
    with claims.claimed(one.pk, "default") as claim:
        assert claim is None


def test_a_success_ends_the_failures(endpoint):
    one = endpoint()
    waiting(one)
    attempt(one, ERROR)
    since = one.failing_since
    attempt(one, ERROR)
    assert (one.failures, one.failing_since) == (2, since)
    attempt(one, ACCEPTED)
    assert (one.failures, one.failing_since, one.failure, one.paused_until) == (0, None, "", None)


def test_a_message_that_always_fails_does_not_hold_up_the_others(endpoint):
    one = endpoint()
    [poison] = waiting(one)
    attempt(one, ERROR)
    waiting(one)
    WebhookEndpoint.states.update(paused_until=None)
    with claims.claimed(one.pk, "default") as claim:
        other = claim.next_message()
        assert other.pk != poison.pk
        claim.settle(other, ACCEPTED)
        assert claim.next_message() is None
    assert one.messages.get() == poison


def test_after_ten_attempts_a_message_is_given_up(endpoint, caplog):
    one = endpoint()
    [message] = waiting(one)
    for _ in range(schedule.MAX_ATTEMPTS):
        assert one.messages.filter(is_dead=False).exists()
        attempt(one, ERROR)
    message.refresh_from_db()
    assert (message.is_dead, message.attempts, message.reason) == (True, 10, "status")
    assert "1 messages for the webhook endpoint" in caplog.text
    assert claims.endpoints_with_work("default") == []


def test_what_is_older_than_three_days_is_given_up_while_the_endpoint_fails(endpoint):
    one, other = endpoint(), endpoint()
    waiting(one, 3)
    WebhookMessage.objects.update(expires_at=timezone.now() - timedelta(hours=1))
    waiting(one)
    [first, *_] = one.messages.order_by("pk")
    one.messages.filter(pk=first.pk).update(tried_at=timezone.now())  # not merged
    attempt(one, ERROR)
    states = list(one.messages.order_by("pk").values_list("is_dead", "reason"))
    assert states == [(True, "status"), (True, "expired"), (True, "expired"), (False, "")]
    # Of the endpoint that works, nobody has tried to deliver them.
    assert not other.messages.filter(is_dead=True).exists()


def test_an_endpoint_that_is_gone_becomes_inactive(endpoint, caplog):
    one = endpoint()
    waiting(one, 2)
    one.messages.update(tried_at=timezone.now())
    attempt(one, Answer(failure=Failure.GONE, status=410))
    assert not one.active
    assert one.failure == "gone"
    assert list(one.messages.values_list("is_dead", "reason")) == [(True, "gone")] * 2
    assert "answered 410" in caplog.text
    assert endpoints.active() == ()
    write([Hit(kind=Kind.OPEN)])
    assert one.messages.count() == 2


@pytest.mark.parametrize(
    ("status", "header", "seconds"), [(503, "3600", 3_600), (429, "60", 60), (500, "3600", 6)]
)
def test_the_pause_that_it_asks_for(endpoint, status, header, seconds):
    one = endpoint()
    waiting(one)
    answer = Answer(failure=Failure.STATUS, status=status, retry_after=header)
    attempt(one, answer)
    rest = (one.paused_until - timezone.now()).total_seconds()
    assert seconds * 0.5 < rest <= seconds * 1.3


def test_dead_letters_are_sent_again_with_their_ids(endpoint):
    one = endpoint()
    [message] = waiting(one)
    one.messages.update(is_dead=True, attempts=10, tried_at=timezone.now(), reason="status")
    waiting(one)
    assert claims.replay(one.messages.all()) == 1
    again = attempt(one, ACCEPTED)
    assert (again.pk, again.attempts) == (message.pk, 1)


def test_a_message_of_a_deleted_endpoint_harms_nobody(endpoint):
    one = endpoint()
    waiting(one)
    WebhookEndpoint.states.filter(pk=one.pk)._raw_delete("default")
    assert claims.endpoints_with_work("default") == []
    with claims.claimed(one.pk, "default") as claim:
        assert claim is None


def test_with_an_endpoint_its_messages_are_deleted(endpoint):
    one = endpoint()
    waiting(one)
    one.delete()
    assert not WebhookMessage.objects.exists()

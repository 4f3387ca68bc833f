"""Deliver to a real server, in a process of its own, that verifies what it gets."""

import threading
import time

import pytest
from django.db import connection
from django.utils import timezone

from tests.support.concurrency import in_threads, together
from tracking.hits import Hit, Kind
from tracking.models import WebhookEndpoint, WebhookMessage
from tracking.models.webhooks import Failure, new_secret
from tracking.recording import write
from tracking.webhooks import claims, delivery
from tracking.webhooks.signing import rotate_secret

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("allow_this_host"),
]


#: Threads with the tests' database in memory lock each other out; test_killed_sender.py has files.
needs_server = pytest.mark.skipif(connection.vendor == "sqlite", reason="in memory")


def hits(number):
    made = [Hit(kind=Kind.OPEN) for _ in range(number)]
    write(made)
    return [str(hit.id) for hit in made]


def since(receiver, number):
    return receiver.received()[number:]


def test_every_event_arrives_once(endpoint, receiver):
    before = len(receiver.received())
    one = endpoint(receiver.url())
    expected = hits(700) + hits(3)
    result = delivery.deliver_waiting()
    got = since(receiver, before)
    assert [event["data"]["id"] for each in got for event in each["body"]["data"]] == expected
    assert all(each["library"] and each["by_hand"] for each in got)
    assert (result.messages, result.events, result.failed) == (len(got), 703, 0)
    assert {each["body"]["type"] for each in got} == {"tracking.batch"}
    assert {each["body"]["version"] for each in got} == {1}
    assert not WebhookMessage.objects.exists()
    one.refresh_from_db()
    assert one.delivered_at


def test_nothing_is_sent_when_nothing_waits(endpoint, receiver):
    before = len(receiver.received())
    endpoint(receiver.url())
    assert delivery.deliver_waiting().messages == 0
    assert since(receiver, before) == []


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("error", Failure.STATUS), ("redirect", Failure.REDIRECT), ("hang", Failure.TIMEOUT),
        ("drip", Failure.TIMEOUT), ("huge", Failure.STATUS), ("garbage", Failure.CONNECTION),
        ("close", Failure.CONNECTION), ("busy", Failure.STATUS), ("limit", Failure.STATUS),
    ],
)  # fmt: skip
def test_a_server_that_misbehaves_gets_it_again_with_the_same_id(
    endpoint, receiver, settings, path, reason
):
    settings.TRACKING_WEBHOOK_TIMEOUT = 0.5
    before = len(receiver.received())
    one = endpoint(receiver.url(path))
    [expected] = hits(1)
    assert delivery.deliver_waiting().failed == 1
    message = one.messages.get()
    assert (message.reason, message.attempts, message.is_dead) == (reason, 1, False)
    WebhookEndpoint.objects.filter(pk=one.pk).update(url=receiver.url())
    claims.forget_failures([one.pk], "default")
    one.messages.update(next_attempt_at=message.created_at)
    assert delivery.deliver_waiting().events == 1
    first, second = since(receiver, before)
    assert first["id"] == second["id"] == message.webhook_id
    assert first["body"] == second["body"]
    assert second["body"]["data"][0]["data"]["id"] == expected


def test_gone(endpoint, receiver):
    one = endpoint(receiver.url("gone"))
    hits(1)
    delivery.deliver_waiting()
    one.refresh_from_db()
    assert not one.active
    assert one.messages.get().is_dead


def test_while_a_secret_changes_both_sign(endpoint, receiver):
    before = len(receiver.received())
    one = endpoint(receiver.url())
    rotate_secret(one, timezone.now())  # the receiver still has the old one
    hits(1)
    delivery.deliver_waiting()
    [got] = since(receiver, before)
    assert (got["signatures"], got["library"], got["by_hand"]) == (2, True, True)


def test_with_another_secret_the_receiver_refuses(endpoint, receiver):
    before = len(receiver.received())
    endpoint(receiver.url(), secret=new_secret())
    hits(1)
    delivery.deliver_waiting()
    [got] = since(receiver, before)
    assert (got["library"], got["by_hand"]) == (False, False)


def test_a_test_message(endpoint, receiver):
    before = len(receiver.received())
    answer = delivery.send_test(endpoint(receiver.url()))
    assert answer.status == 204
    [got] = since(receiver, before)
    assert (got["body"]["type"], got["body"]["data"]) == ("tracking.test", [])
    assert got["library"]


@needs_server
def test_two_senders_at_once_send_nothing_twice(endpoint, receiver):
    before = len(receiver.received())
    for _ in range(3):
        endpoint(receiver.url())
    expected = [one for _ in range(4) for one in hits(600)]
    assert together(4, delivery.deliver_waiting) == []
    got = since(receiver, before)
    ids = [each["id"] for each in got]
    assert len(ids) == len(set(ids))
    events = sorted(event["data"]["id"] for each in got for event in each["body"]["data"])
    assert events == sorted(expected * 3)
    assert not WebhookMessage.objects.exists()


@needs_server
def test_writing_goes_on_meanwhile(endpoint, receiver):
    before = len(receiver.received())
    endpoint(receiver.url())
    expected: list[str] = []
    is_over = threading.Event()

    def write_all():
        for _ in range(20):
            expected.extend(hits(50))
        is_over.set()

    def deliver_all():
        while not is_over.is_set() or WebhookMessage.objects.exists():
            delivery.deliver_waiting()

    in_threads(write_all, deliver_all)
    got = since(receiver, before)
    events = [event["data"]["id"] for each in got for event in each["body"]["data"]]
    assert sorted(events) == sorted(expected)


def test_a_turn_ends_after_a_while(endpoint, receiver):
    one = endpoint(receiver.url("slow"))
    hits(1_400)
    began = time.monotonic()
    assert delivery.deliver(one.pk, "default", seconds=0.1).messages == 1
    assert time.monotonic() - began < 5
    assert one.messages.exists()

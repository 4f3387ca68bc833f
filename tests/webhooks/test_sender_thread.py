"""The thread of a process that delivers."""

import os
import random
import threading

import pytest

from tests.support.processes import wait_until
from tracking.hits import Hit, Kind
from tracking.models import WebhookMessage
from tracking.recording import write
from tracking.webhooks import delivery, sender_thread
from tracking.webhooks.sender_thread import Sender

pytestmark = pytest.mark.usefixtures("allow_this_host")


def test_in_tests_of_a_site_there_is_no_thread():
    assert not sender_thread.may_run()


@pytest.mark.django_db
def test_the_site_can_deliver_otherwise(outside_of_tests, settings, monkeypatch):
    monkeypatch.setattr(sender_thread.threads, "can_query", lambda _using: True)
    assert sender_thread.may_run()
    settings.TRACKING_WEBHOOK_THREAD = False
    assert not sender_thread.may_run()


def test_only_sites_with_endpoints_get_a_thread(monkeypatch):
    woken = []
    monkeypatch.setattr(sender_thread, "wake", lambda: woken.append(1))
    monkeypatch.setattr(sender_thread.endpoints, "active", lambda: ())
    monkeypatch.setattr(sender_thread.endpoints, "active_so_far", lambda: ())
    sender_thread.wake_for_messages_left_behind()
    assert woken == []
    monkeypatch.setattr(sender_thread.endpoints, "active_so_far", lambda: ("one",))
    sender_thread.wake_for_messages_left_behind()
    assert woken == [1]


class Recorded(Sender):
    """A sender that notes its turns."""

    def __init__(self, turns, monkeypatch):
        super().__init__()
        monkeypatch.setattr(sender_thread.endpoints, "active", lambda: ("one",))
        monkeypatch.setattr(
            sender_thread.claims,
            "endpoints_with_work",
            lambda _using: random.sample(list(turns), len(turns)),
        )
        monkeypatch.setattr(sender_thread, "_COLLECT", 0)
        monkeypatch.setattr(delivery, "deliver", self._turn)
        self.turns = turns
        self.begun = []

    def _turn(self, endpoint, using):
        self.begun.append(endpoint)
        self.turns[endpoint].wait(10)
        return delivery.Delivered()


def test_a_slow_endpoint_delays_no_other(monkeypatch):
    slow, fast = threading.Event(), threading.Event()
    fast.set()
    sender = Recorded({1: slow, 2: fast}, monkeypatch)
    for number in range(1, 4):
        sender.wake()
        wait_until(lambda number=number: sender.begun.count(2) >= number)
    assert sender.begun.count(1) == 1
    slow.set()
    sender.stop()


def test_so_many_endpoints_at_once(monkeypatch):
    events = {number: threading.Event() for number in range(20)}
    sender = Recorded(events, monkeypatch)
    sender.wake()
    wait_until(lambda: len(sender.begun) == sender_thread.MAX_THREADS)
    assert len(sender._busy) == sender_thread.MAX_THREADS
    for event in events.values():
        event.set()
    wait_until(lambda: sender.wake() or len(set(sender.begun)) == 20)
    sender.stop()


def test_it_ends_where_there_is_no_endpoint(monkeypatch):
    sender = Recorded({}, monkeypatch)
    monkeypatch.setattr(sender_thread.endpoints, "active", lambda: ())
    sender.wake()
    sender._thread.join(10)
    assert not sender._thread.is_alive()


def test_a_failure_does_not_end_it(monkeypatch, caplog):
    done = threading.Event()
    done.set()
    sender = Recorded({1: done}, monkeypatch)
    monkeypatch.setattr(sender_thread.claims, "endpoints_with_work", lambda _using: 1 / 0)
    sender.wake()
    wait_until(lambda: "Looking for webhooks to deliver failed" in caplog.text)
    monkeypatch.setattr(sender_thread.claims, "endpoints_with_work", lambda _using: [1])
    sender.wake()
    wait_until(lambda: sender.begun)
    sender.stop()


def test_a_child_of_a_fork_has_a_sender_of_its_own(monkeypatch):
    done = threading.Event()
    done.set()
    sender = Recorded({1: done}, monkeypatch)
    sender.wake()
    wait_until(lambda: sender.begun)
    sender.stop()
    sender.reset()  # what a child does
    sender.wake()
    wait_until(lambda: len(sender.begun) > 1)
    sender.stop()
    assert os.getpid()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_messages_of_this_process_are_delivered_without_being_asked(
    endpoint, receiver, outside_of_tests, monkeypatch
):
    from django.db import connection

    if connection.vendor == "sqlite":
        pytest.skip("each thread has a database in memory of its own")
    before = len(receiver.received())
    sender = Sender()
    monkeypatch.setattr(sender_thread, "_sender", sender)
    endpoint(receiver.url())
    hits = [Hit(kind=Kind.OPEN) for _ in range(20)]
    for hit in hits:
        write([hit])
    wait_until(lambda: not WebhookMessage.objects.exists())
    got = [e["data"]["id"] for one in receiver.received()[before:] for e in one["body"]["data"]]
    assert got == [str(hit.id) for hit in hits]
    assert len(receiver.received()) - before < 20  # those of half a second became one
    sender.stop()

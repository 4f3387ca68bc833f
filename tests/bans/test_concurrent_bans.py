"""Bans that are made at the same time do not deadlock."""

import itertools
import threading
import time

import pytest
from django.db import connection

from tests.support.concurrency import together
from tracking import bans
from tracking.bans import bulk_ban
from tracking.bans.bulk_ban import BanEntry
from tracking.models import BannedIP, Visitor

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor == "sqlite", reason="the tests have SQLite in memory, for one thread"
    ),
]


def entries(numbers):
    return [BanEntry(n, f"10.0.{n // 256}.{n % 256}", "", None) for n in numbers]


def test_many_ban_the_same_addresses():
    turn = itertools.count()

    def work():
        mine = next(turn)
        for n in range(20):
            bans.ban(f"198.51.100.{n if mine % 2 else 19 - n}", str(mine))

    assert together(10, work) == []
    assert BannedIP.objects.count() == 20


def test_many_ban_and_lift():
    turn = itertools.count()

    def work():
        mine = next(turn)
        for n in range(10):
            bans.ban(f"198.51.100.{n}", str(mine))
            bans.unban([f"198.51.100.{9 - n}"])
            BannedIP.objects.update_or_create(network=f"198.51.100.{n}")
            BannedIP.objects.filter(network=f"198.51.100.{n}").update(reason="")

    assert together(6, work) == []


def test_two_imports_in_different_order():
    lists = iter([entries(range(5_000)), entries(reversed(range(5_000)))])
    assert together(2, lambda: bulk_ban.ban_all(next(lists))) == []
    assert BannedIP.objects.count() == 5_000


def test_a_slow_source_keeps_nobody_waiting():
    reading, over = threading.Event(), threading.Event()

    def slowly():
        yield from entries(range(1_001))
        reading.set()
        over.wait(20)
        yield from entries(range(2_000, 2_100))

    def take_in():
        try:
            bulk_ban.ban_all(slowly())
        finally:
            connection.close()

    thread = threading.Thread(target=take_in)
    thread.start()
    assert reading.wait(20)
    began = time.monotonic()
    bans.ban("10.0.0.7")
    Visitor.objects.create(key="x")
    waited = time.monotonic() - began
    over.set()
    thread.join()
    assert waited < 5
    assert BannedIP.objects.count() == 1_101

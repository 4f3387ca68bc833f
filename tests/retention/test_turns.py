"""Turns: one process of the site at a time does what is due."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.support.concurrency import in_threads
from tracking.models import SharedValue
from tracking.retention import claim_turn, is_turn_due, turns

pytestmark = pytest.mark.django_db

SERVERS_ONLY = pytest.mark.skipif(
    connection.vendor == "sqlite", reason="in memory there is one connection at a time"
)


@pytest.fixture
def now(monkeypatch):
    """The moment at which all of a test happens."""
    moment = timezone.now().replace(microsecond=0)
    monkeypatch.setattr(timezone, "now", lambda: moment)
    return moment


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still: ``clock[0]`` is its time in seconds."""
    hands = [1000.0]
    monkeypatch.setattr(turns, "monotonic", lambda: hands[0])
    monkeypatch.setattr(turns, "_claimed_at", {})
    return hands


def test_the_first_who_claims_has_the_turn_for_a_minute(clock, now, monkeypatch):
    assert claim_turn()
    assert not claim_turn()
    later = now + timedelta(seconds=59)
    monkeypatch.setattr(timezone, "now", lambda: later)
    turns._claimed_at.clear()  # as in another process
    assert not claim_turn()
    later = now + timedelta(seconds=60)
    turns._claimed_at.clear()
    assert claim_turn()
    turns._claimed_at.clear()
    assert not claim_turn()
    assert SharedValue.objects.get(name="cleanup").changed_at == later


def test_a_process_asks_the_database_once_a_minute(clock, django_assert_num_queries):
    assert is_turn_due()
    assert claim_turn()
    with django_assert_num_queries(0):
        clock[0] += 59.9
        assert not is_turn_due()
        assert not claim_turn()
    clock[0] += 0.2
    assert is_turn_due()
    with CaptureQueriesContext(connection) as queries:
        assert not claim_turn()  # by the clock on the wall no minute has passed
    assert [query["sql"].split()[0] for query in queries] == ["UPDATE", "SELECT"]


def test_turns_are_told_apart_by_name_and_may_be_of_any_length(clock, now, monkeypatch):
    assert claim_turn("a", 5)
    assert claim_turn("b", 500)
    clock[0] += 6
    monkeypatch.setattr(timezone, "now", lambda: now + timedelta(seconds=6))
    assert is_turn_due("a", 5)
    assert not is_turn_due("b", 500)
    assert claim_turn("a", 5)


def test_a_turn_in_the_future_is_the_mistake_of_a_clock(clock, now):
    SharedValue.objects.create(name="cleanup", changed_at=now + timedelta(seconds=30))
    assert not claim_turn()
    SharedValue.objects.update(changed_at=now + timedelta(days=400))
    turns._claimed_at.clear()
    assert claim_turn()


def test_turns_with_naive_times(clock, settings):
    settings.USE_TZ = False
    assert claim_turn()
    turns._claimed_at.clear()
    assert not claim_turn()


@SERVERS_ONLY
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("known", [False, True])
def test_one_of_all_who_claim_at_once_has_the_turn(known, monkeypatch):
    if known:
        SharedValue.objects.create(name="cleanup", changed_at=timezone.now() - timedelta(hours=1))
    # As in processes of their own.
    monkeypatch.setattr(turns, "is_turn_due", lambda task, every: True)
    assert sorted(in_threads(*[claim_turn] * 8)) == [False] * 7 + [True]

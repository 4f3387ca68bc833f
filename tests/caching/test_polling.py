"""Polls by the code that looks, as in commands, shells and tasks."""

import logging
import threading
import time

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import OperationalError, connection, transaction

from tracking.caching import polling, snapshots
from tracking.caching.snapshots import Snapshot, changed
from tracking.models import SharedValue

pytestmark = pytest.mark.usefixtures("outside_of_tests")


def change_elsewhere(name):
    """Do what another process does that has changed the table."""
    snapshots._save_token(name, f"token at {time.monotonic()}", "default")


@pytest.mark.django_db
def test_a_snapshot_is_loaded_when_it_is_asked_for_first(words, table):
    assert words.current == ()
    assert words.get() == words.current == ("first",)


@pytest.mark.django_db(transaction=True)
def test_within_the_interval_nothing_is_asked(words, clock, django_assert_num_queries):
    words.get()
    with django_assert_num_queries(0):
        for _ in range(5):
            assert not snapshots.is_due()
            words.get()
    clock.pass_by(polling.INTERVAL)
    with django_assert_num_queries(1):
        words.get()
        words.get()


@pytest.mark.django_db
def test_a_change_elsewhere_is_in_force_after_the_interval(words, table, clock):
    words.get()
    table.append("second")
    change_elsewhere("words")
    assert words.get() == ("first",)
    clock.pass_by(polling.INTERVAL)
    assert words.get() == ("first", "second")


@pytest.mark.django_db
def test_without_a_change_nothing_is_loaded_again(words, clock):
    loaded = []
    snapshot = Snapshot("others", loaded.append, None)
    for _ in range(3):
        snapshot.get()
        clock.pass_by(1)
    assert loaded == ["default"]


@pytest.mark.django_db
def test_one_that_cannot_be_loaded_does_not_stop_the_others(words, table, clock, caplog):
    other = Snapshot("others", lambda using: refuse(), None)
    snapshots._process.poller.refreshables.reverse()
    assert words.get() == ("first",)
    assert not other.is_loaded
    assert snapshots.is_failing()
    [record] = caplog.records
    assert "others" in record.getMessage()
    table.append("second")
    change_elsewhere("words")
    clock.pass_by(polling.INTERVAL)
    assert words.get() == ("first", "second")
    assert len(caplog.records) == 1
    clock.pass_by(polling.BACKOFF)
    words.get()
    assert len(caplog.records) == 2


@pytest.mark.django_db
def test_one_that_cannot_be_loaded_is_not_asked_for_by_each_request(words, clock):
    Snapshot("others", lambda using: refuse(), None)
    words.get()
    snapshots.refresh_soon()
    assert not snapshots.is_due()


@pytest.mark.django_db(databases=["default"])
def test_it_reads_from_where_is_written(words, settings):
    settings.DATABASE_ROUTERS = ["tests.caching.test_polling.Replicas"]
    loaded = []
    words._load = loaded.append
    words.get()
    assert loaded == ["default"]


class Replicas:
    """A router that reads from where there is nothing."""

    def db_for_read(self, model, **hints):
        return "replica"

    def db_for_write(self, model, **hints):
        return "default"


def refuse(*_args):
    raise OperationalError("the database is away")


@pytest.mark.django_db
def test_a_database_that_is_away_leaves_the_last_state_and_one_line(words, table, clock, caplog):
    words.get()
    table.append("second")
    clock.pass_by(1)
    with connection.execute_wrapper(refuse):
        for _ in range(10):
            assert words.get() == ("first",)
            clock.pass_by(0.4)
        [record] = caplog.records
        assert record.levelno == logging.ERROR
        assert snapshots.is_failing()
        clock.pass_by(polling.BACKOFF)
        words.get()
        assert len(caplog.records) == 2
    change_elsewhere("words")
    clock.pass_by(polling.BACKOFF)
    assert words.get() == ("first", "second")
    assert not snapshots.is_failing()


@pytest.mark.django_db
def test_it_is_known_how_old_the_content_is(words, clock):
    assert snapshots.freshness() == (None, 0)
    words.get()
    clock.pass_by(7)
    assert snapshots.freshness() == pytest.approx((7, 0))
    with connection.execute_wrapper(refuse):
        words.get()
    clock.pass_by(3)
    assert snapshots.freshness() == pytest.approx((10, 3))
    clock.pass_by(polling.BACKOFF)
    words.get()
    assert snapshots.freshness() == pytest.approx((0, 0))


@pytest.mark.django_db
def test_without_a_database_from_the_start_it_is_empty(words, caplog):
    with connection.execute_wrapper(refuse):
        assert words.get() == ()
        assert words.get() == ()
    assert len(caplog.records) == 1


def test_code_that_may_not_touch_a_database_is_not_broken(words, caplog):
    assert words.get() == ()
    assert len(caplog.records) == 1


@pytest.mark.django_db
def test_a_failure_does_not_poison_the_transaction_of_the_site(words, monkeypatch):
    def fail(using):
        SharedValue.objects.raw("SELECT nonsense FROM nowhere")[0]

    monkeypatch.setattr(words, "_load", fail)
    with transaction.atomic():
        assert words.get() == ()
        assert not SharedValue.objects.filter(name="words").exists()


@pytest.mark.django_db
def test_a_wish_during_a_poll_is_not_lost(words, monkeypatch):
    def load(using):
        snapshots._process.poller.refresh_soon()
        return ("loaded",)

    monkeypatch.setattr(words, "_load", load)
    words.get()
    assert snapshots.is_due()


@pytest.mark.django_db(transaction=True)
def test_a_wish_does_not_shorten_the_wait_after_a_failure(words, clock):
    with connection.execute_wrapper(refuse):
        words.get()
    snapshots.refresh_soon()
    assert not snapshots.is_due()
    changed("words")
    assert snapshots.is_due()


@pytest.mark.django_db
def test_while_one_thread_polls_the_others_go_on(words):
    words.get()
    snapshots._process.poller.refresh_soon()
    with snapshots._process.poller._polling:
        began = time.monotonic()
        call_in_thread(snapshots.refresh)
        assert time.monotonic() - began < 1
    assert snapshots.is_due()


@pytest.mark.django_db
def test_before_the_first_load_the_others_wait(words, monkeypatch):
    seen = []

    def load_slowly(using):
        other.start()
        time.sleep(0.2)
        return ("loaded",)

    monkeypatch.setattr(words, "_load", load_slowly)
    other = threading.Thread(target=lambda: seen.append(words.get()))
    words.get()
    other.join()
    assert seen == [("loaded",)]


@pytest.mark.django_db
def test_nobody_waits_for_ever(words, monkeypatch):
    monkeypatch.setattr(polling, "MAX_WAIT", 0.1)
    with snapshots._process.poller._polling:
        call_in_thread(snapshots.refresh)
    assert words.current == ()


def call_in_thread(call):
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.django_db
def test_asynchronous_code_refreshes_without_blocking(words, django_assert_num_queries):
    async def refresh_in_loop():
        snapshots.refresh()
        return words.current

    async def refresh_in_thread():
        await sync_to_async(snapshots.refresh)()
        return words.current

    with django_assert_num_queries(0):
        assert async_to_sync(refresh_in_loop)() == ()
    assert async_to_sync(refresh_in_thread)() == ("first",)

"""The thread that polls."""

import os
import threading
import time

import pytest
from django.db import OperationalError, connection, connections
from django.db.backends.signals import connection_created

from tests.support.forks import exit_code, forked
from tests.support.processes import wait_until
from tracking.caching import refresher
from tracking.caching.polling import INTERVAL, Poller
from tracking.caching.refresher import RESUME_WAIT, START_WAIT, Refresher

pytestmark = pytest.mark.django_db(transaction=True)


class Gate:
    """A table whose database answers when it is told to.

    Attributes:
        loads: how often it was read.
        is_open: whether its database answers.
        threads: those that have read it, or wait for it.
    """

    name = "gate"
    is_loaded = False

    def __init__(self):
        self.loads = 0
        self.is_open = threading.Event()
        self.threads = []

    def reset(self):
        pass

    def reload_if_changed(self, values, using):
        self.threads.append(threading.current_thread())
        self.is_open.wait(30)
        self.loads += 1


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def running(gate):
    poller = Poller()
    poller.refreshables.append(gate)
    running = Refresher(poller)
    yield running
    gate.is_open.set()
    running.stop()
    for thread in gate.threads:
        thread.join(10)
        assert not thread.is_alive()


def test_the_first_request_starts_a_thread_and_waits_for_the_first_poll(running, gate):
    gate.is_open.set()
    future, seconds = running.note_request()
    assert 0 < seconds <= START_WAIT
    future.result(10)
    assert gate.loads == 1
    assert gate.threads[0].name == "tracking-refresher"
    assert gate.threads[0].daemon


def test_after_the_first_poll_no_request_waits(running, gate):
    gate.is_open.set()
    running.note_request()[0].result(10)
    assert running.note_request()[1] == 0
    assert running._poller.next_at > time.monotonic()


def test_a_database_that_hangs_from_the_start_holds_up_all_requests_until_one_deadline(
    running, monkeypatch
):
    began = time.monotonic()
    waits = []
    for passed in (0, 1.5, START_WAIT, 3, 10):
        monkeypatch.setattr(refresher, "monotonic", lambda passed=passed: began + passed)
        waits.append(running.note_request()[1])
    assert waits == pytest.approx([START_WAIT, START_WAIT - 1.5, 0, 0, 0])


def test_while_the_database_hangs_nobody_waits_and_no_thread_is_added(running, gate):
    gate.is_open.set()
    running.note_request()[0].result(10)
    gate.is_open.clear()
    running.wake()
    wait_until(lambda: len(gate.threads) == 2)
    assert [running.note_request()[1] for _ in range(5)] == [0] * 5
    assert len(set(gate.threads)) == 1


def refuse(connection, **_):
    if threading.current_thread().name == "tracking-refresher":
        raise OperationalError("the database is away")


def test_after_a_failure_nobody_waits(running, gate, caplog):
    connection_created.connect(refuse)
    try:
        running.note_request()[0].result(10)
        assert running._poller.is_failing
        assert running.note_request()[1] == 0
    finally:
        connection_created.disconnect(refuse)
    assert gate.loads == 0
    assert len(caplog.records) == 1
    gate.is_open.set()
    running.poll_now()[0].result(10)
    assert not running._poller.is_failing
    assert gate.loads == 1


def test_it_polls_by_itself_while_requests_come(running, gate, monkeypatch):
    monkeypatch.setattr(refresher, "INTERVAL", 0.01)
    gate.is_open.set()
    running.note_request()
    wait_until(lambda: gate.loads >= 5)


def test_without_requests_it_ends_and_the_next_one_starts_it(running, gate, monkeypatch):
    monkeypatch.setattr(refresher, "INTERVAL", 0.01)
    gate.is_open.set()
    monkeypatch.setattr(refresher, "LINGER", 0.02)
    running.note_request()
    [*_, thread] = gate.threads or [running._thread]
    thread.join(10)
    assert not thread.is_alive()
    assert running._thread is None
    loads = gate.loads
    future, seconds = running.note_request()
    assert 0 < seconds <= RESUME_WAIT + 0.001  # sums of floats
    future.result(10)
    assert gate.loads == loads + 1


def test_its_connection_ends_with_it(running, gate):
    seen = []

    def look(values, using):
        seen.append(connections[using].connection)

    gate.reload_if_changed = look
    running.note_request()[0].result(10)
    thread = running._thread
    running.stop()
    thread.join(10)
    with pytest.raises(Exception, match=r"(?i)clos|gone|0"):
        seen[0].cursor().execute("SELECT 1")


def test_a_poll_after_a_change_begins_after_it(running, gate):
    """One that runs may have read the old rows already."""
    running.note_request()
    wait_until(lambda: gate.threads)
    future, seconds = running.poll_now()
    assert 0 < seconds <= refresher.COMMIT_WAIT
    gate.is_open.set()
    future.result(10)
    assert gate.loads == 2


def test_after_a_change_nobody_waits_for_a_poll_that_hangs(running, gate, monkeypatch):
    running.note_request()
    wait_until(lambda: gate.threads)
    monkeypatch.setattr(refresher, "COMMIT_WAIT", 0)
    assert running.poll_now()[1] == 0


def test_another_thread_takes_over_from_one_that_hangs_for_long(running, gate, monkeypatch, caplog):
    monkeypatch.setattr(refresher, "GIVE_UP_AFTER", 0)
    for number in range(1, 10):
        assert number > 1 or running.note_request()
        running.note_request()
        wait_until(lambda number=number: len(gate.threads) >= min(number, 4))
    assert len(set(gate.threads)) == 1 + refresher.MAX_GIVEN_UP
    assert "The database has not answered" in caplog.text
    monkeypatch.setattr(refresher, "GIVE_UP_AFTER", 60)
    gate.is_open.set()
    current = running._thread
    for thread in set(gate.threads) - {current}:
        thread.join(10)
        assert not thread.is_alive()
    assert current.is_alive()


@pytest.mark.skipif(connection.vendor == "sqlite", reason="no server closes its connections")
def test_a_connection_that_the_server_has_closed_is_replaced_in_silence(running, gate, caplog):
    sql = {
        "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend(%s)"),
        "mysql": ("SELECT connection_id()", "KILL %s"),
    }
    ask_number, kill = sql[connection.vendor]
    numbers = []

    def note_number(values, using):
        with connections[using].cursor() as cursor:
            cursor.execute(ask_number)
            numbers.append(cursor.fetchone()[0])

    gate.reload_if_changed = note_number
    running.note_request()[0].result(10)
    with connection.cursor() as cursor:
        cursor.execute(kill, numbers)
    running.poll_now()[0].result(10)
    wait_until(lambda: len(set(numbers)) == 2)
    assert not caplog.records


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_starts_a_thread_of_its_own(running, gate):
    gate.is_open.set()
    running.note_request()[0].result(10)
    connection.close()

    def check():
        running.reset()
        future, seconds = running.note_request()
        future.result(5)
        return seconds > 0 and gate.loads > loads

    loads = gate.loads
    assert exit_code(forked(check)) == 0


def test_a_process_without_threads_for_it_goes_on(running, monkeypatch, caplog):
    def fail(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    assert running.note_request()[1] == 0
    assert "are not refreshed" in caplog.text
    assert running._poller.next_at <= time.monotonic() + INTERVAL

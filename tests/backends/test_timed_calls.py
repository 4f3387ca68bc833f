"""Calls that a request waits for, though not for long."""

import contextvars
import threading
import time

import pytest
from django.db import OperationalError, connection, connections

from tests.support.processes import wait_until
from tracking.backends import timed_calls
from tracking.backends.timed_calls import MAX_THREADS, TimedCalls


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "tracking-hits"]


@pytest.fixture
def calls():
    calls = TimedCalls()
    yield calls
    calls.close()
    wait_until(lambda: not threads())  # and their connections are closed


def never():
    raise AssertionError


def test_a_call_that_ends_in_time(calls):
    done = []
    assert calls.run(lambda: done.append(threading.current_thread().name), 20, never)
    assert calls.run(lambda: done.append(threading.current_thread().name), 20, never)
    assert done == ["tracking-hits"] * 2
    assert len(threads()) == 1


def test_a_thread_without_calls_ends(calls, monkeypatch):
    monkeypatch.setattr(timed_calls, "LINGER", 0.05)
    for _ in range(2):
        calls.run(lambda: None, 20, never)
        wait_until(lambda: not threads())


def test_after_closing_threads_start_again(calls):
    calls.run(lambda: None, 20, never)
    calls.close()
    assert not threads()
    assert calls.run(lambda: None, 20, never)


@pytest.mark.parametrize("error", [OperationalError, ValueError, TimeoutError, RuntimeError])
def test_what_a_call_raises(calls, error):
    def fail():
        raise error("from the call")

    with pytest.raises(error, match="from the call"):
        calls.run(fail, 20, never)


def test_a_call_sees_the_context_variables_of_the_caller(calls):
    variable = contextvars.ContextVar("variable")
    variable.set("value")
    found = []
    calls.run(lambda: found.append(variable.get()), 20, never)
    assert found == ["value"]


def test_a_call_that_takes_too_long_goes_on_by_itself(calls):
    gate, done = threading.Event(), []
    assert not calls.run(lambda: (gate.wait(20), done.append(1)), 0.05, lambda: True)
    assert not done
    gate.set()
    wait_until(lambda: done)


def test_a_call_for_which_nothing_else_can_be_done_is_waited_for(calls):
    done = []
    assert calls.run(lambda: (time.sleep(0.2), done.append(1)), 0.01, lambda: False)
    assert done


def test_a_call_that_has_not_begun_in_time_is_never_made(calls):
    gate, begun = threading.Event(), []

    def wait(number):
        begun.append(number)
        gate.wait(20)

    for number in range(MAX_THREADS + 3):
        assert not calls.run(lambda number=number: wait(number), 0.05, lambda: True)
    assert begun == list(range(MAX_THREADS))
    assert len(threads()) == MAX_THREADS
    gate.set()
    assert calls.run(lambda: begun.append("later"), 20, never)
    assert begun == [*range(MAX_THREADS), "later"]


def test_where_no_thread_can_start_the_caller_makes_the_call(calls, monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done = []
    assert calls.run(lambda: done.append(threading.current_thread()), 20, never)
    assert done == [threading.current_thread()]
    monkeypatch.undo()
    assert calls.run(lambda: done.append("in a thread"), 20, never)
    assert done[1:] == ["in a thread"]


@pytest.mark.django_db(transaction=True)
def test_a_connection_is_kept_until_a_call_fails(calls):
    found = []

    def ask():
        connection.ensure_connection()
        found.append(connections["default"].connection)

    def fail():
        raise OperationalError("the server has gone away")

    calls.run(ask, 20, never)
    calls.run(ask, 20, never)
    with pytest.raises(OperationalError):
        calls.run(fail, 20, never)
    calls.run(ask, 20, never)
    assert found[0] is found[1]
    if not (connection.vendor == "sqlite" and connection.is_in_memory_db()):
        assert found[1] is not found[2]


def test_many_callers(calls):
    done = []
    callers = [
        threading.Thread(target=calls.run, args=[lambda n=n: done.append(n), 20, never])
        for n in range(50)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert sorted(done) == list(range(50))
    assert len(threads()) <= MAX_THREADS

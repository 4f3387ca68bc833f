"""Lines of the log are repeated a few times a minute."""

import logging
import threading
from types import SimpleNamespace

import pytest

from tests.support.forks import exit_code, forked
from tracking import links, log_limits
from tracking.backends import BaseBackend
from tracking.log_limits import BURST, INTERVAL, get_logger

logger = get_logger(__name__)
other = get_logger(f"{__name__}.other", burst=1)


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=1_000.0)
    monkeypatch.setattr(log_limits, "monotonic", lambda: clock.now)
    return clock


def messages(caplog):
    return [record.getMessage() for record in caplog.records if record.name.startswith(__name__)]


def test_the_next_line_says_how_many_were_left_out(clock, caplog):
    for number in range(BURST + 312):
        logger.error("Recording of %s failed", number)
    assert messages(caplog) == [f"Recording of {number} failed" for number in range(BURST)]
    clock.now += INTERVAL
    logger.error("Recording of %s failed", "x")
    logger.error("Recording of %s failed", "y")
    assert messages(caplog)[BURST:] == [
        "Recording of x failed … and 312 more in the last 60 s",
        "Recording of y failed",
    ]


def test_nothing_is_added_where_nothing_was_left_out(clock, caplog):
    for _ in range(2):
        logger.warning("Rare")
        clock.now += INTERVAL
    assert messages(caplog) == ["Rare", "Rare"]


def fail_here():
    raise ValueError("here")


def fail_there():
    raise ValueError("there")


def test_lines_that_differ_do_not_hide_each_other(clock, caplog):
    for _ in range(2):
        for level in (logging.WARNING, logging.ERROR):
            other.log(level, "One")
        other.warning("Two")
        for fail in (fail_here, fail_there):
            try:
                fail()
            except ValueError:
                other.exception("Three")
    assert messages(caplog) == ["One", "One", "Two", "Three", "Three"]
    assert "here" in caplog.text
    assert "there" in caplog.text


def test_debugging_is_not_limited(caplog):
    caplog.set_level(logging.DEBUG)
    for _ in range(BURST + 1):
        logger.debug("Each one")
    assert len(messages(caplog)) == BURST + 1


def test_a_percent_sign_is_no_placeholder(clock, caplog):
    for _ in range(2):
        other.error("100 %")
    clock.now += INTERVAL
    other.error("100 %")
    assert messages(caplog)[-1] == "100 % … and 1 more in the last 60 s"


def test_a_stranger_who_makes_up_texts_fills_no_memory(clock, caplog):
    for number in range(log_limits.MAX_KINDS + 100):
        other.error(f"Made up {number}")
    assert len(log_limits._limit._intervals) == log_limits.MAX_KINDS


def test_a_fork_while_another_thread_logs_does_not_wait_for_it():
    held, done = threading.Event(), threading.Event()

    def hold():
        with log_limits._limit._lock:
            held.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(20)
    try:
        assert exit_code(forked(lambda: logger.error("In the child") is None)) == 0
    finally:
        done.set()
        thread.join()


class Failing(BaseBackend):
    def send(self, hit):
        raise ValueError(hit.id)


@pytest.mark.django_db
@pytest.mark.parametrize("of", ["pixel", "link", "page"])
def test_a_backend_that_fails_for_everybody_does_not_fill_the_log(client, settings, caplog, of):
    settings.TRACKING_BACKEND = f"{__name__}.Failing"
    settings.MIDDLEWARE = ["tracking.middleware.VisitorTrackingMiddleware"]
    for number in range(BURST + 10):
        paths = {
            "pixel": links.pixel_url(kwargs={"n": number}),
            "link": links.link_url("https://shop.example/", kwargs={"n": number}),
            "page": f"/page/{number}",
        }
        assert client.get(paths[of]).status_code in {200, 302}
    assert len([record for record in caplog.records if record.exc_info]) == BURST

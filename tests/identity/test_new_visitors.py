"""The budget of new visitors per network and minute."""

import logging
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import Client

from tests.support import forks
from tracking.backends import get_backend
from tracking.caching import snapshots
from tracking.identity import new_visitors

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/{}"


@pytest.fixture
def clock(monkeypatch):
    """A clock set by hand, which begins in the middle of a minute."""
    clock = SimpleNamespace(now=30.0)
    monkeypatch.setattr(new_visitors, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture
def limit(settings, clock):
    settings.TRACKING_NEW_VISITORS_PER_NETWORK = 3


def stored(keys, address="192.0.2.7"):
    return [key for key in keys if new_visitors.fits_budget(key, address)]


def test_without_a_budget_every_new_visitor_is_stored(clock):
    assert stored(map(str, range(100))) == [str(number) for number in range(100)]
    assert new_visitors.not_stored() == 0


@pytest.mark.parametrize("wrong", [0, -1, "30", True, 2.5])
def test_a_wrong_value_limits_nothing(settings, clock, wrong):
    settings.TRACKING_NEW_VISITORS_PER_NETWORK = wrong
    assert stored("abcde") == list("abcde")


def test_what_exceeds_the_budget_of_a_minute_is_counted_and_not_stored(limit, clock):
    assert stored("abcde") == ["a", "b", "c"]
    assert new_visitors.not_stored() == 2
    assert stored("cabf") == ["c", "a", "b"]
    assert new_visitors.not_stored() == 3
    clock.now += 30
    assert stored("fghi") == ["f", "g", "h"]
    assert new_visitors.not_stored() == 4


@pytest.mark.parametrize(
    ("address", "neighbour", "stranger"),
    [
        ("192.0.2.7", "192.0.2.255", "192.0.3.7"),
        ("2001:db8:1:2::7", "2001:db8:1:2:ffff::", "2001:db8:1:3::7"),
        ("::1", "::ffff", "::1:0:0:0:1"),
        (None, None, "192.0.2.7"),
    ],
)
def test_a_network_has_one_budget(limit, address, neighbour, stranger):
    assert stored("abc", address) == ["a", "b", "c"]
    assert stored("d", neighbour) == []
    assert stored("d", stranger) == ["d"]


def test_an_attack_from_many_networks_fills_no_memory(limit, monkeypatch):
    monkeypatch.setattr(new_visitors, "MAX_NETWORKS", 50)
    for number in range(1_000):
        stored("abcd", f"203.{number // 256}.{number % 256}.1")
    assert len(new_visitors._budget._visitors) == 50
    assert new_visitors._budget._known == 150
    assert new_visitors.not_stored() == 1_000
    assert stored("e", "203.3.231.9") == []  # the last one
    assert stored("e", "203.0.0.9") == ["e"]  # the first one has been forgotten


def test_many_visitors_of_a_few_networks_fill_no_memory_either(settings, clock, monkeypatch):
    settings.TRACKING_NEW_VISITORS_PER_NETWORK = 30
    monkeypatch.setattr(new_visitors, "MAX_VISITORS", 100)
    for key in map(str, range(40)):
        for network in range(20):
            new_visitors.fits_budget(key, f"203.0.{network}.1")
            known = new_visitors._budget._visitors.values()
            assert sum(map(len, known)) == new_visitors._budget._known <= 100 + 1


def test_a_budget_above_the_bound_holds_for_a_single_network(settings, clock, monkeypatch):
    settings.TRACKING_NEW_VISITORS_PER_NETWORK = 200
    monkeypatch.setattr(new_visitors, "MAX_VISITORS", 100)
    assert len(stored(map(str, range(300)))) == 200


def test_a_child_process_has_a_budget_of_its_own(limit):
    stored("abcd")
    child = forks.forked(
        lambda: stored("abcd") == ["a", "b", "c"] and new_visitors.not_stored() == 1
    )
    assert forks.exit_code(child) == 0


# The count of all processes.


def poll():
    snapshots.refresh_soon()
    assert snapshots.refresh()


@pytest.fixture
def warnings(caplog):
    return lambda: [r for r in caplog.records if r.levelno == logging.WARNING]


def test_processes_add_what_they_have_not_stored_to_the_count_of_the_day(
    db, limit, clock, warnings
):
    today = datetime.now(UTC).date()
    poll()
    assert new_visitors.not_stored_by_day() == {}
    stored("abcde")
    poll()
    assert new_visitors.not_stored_by_day() == {today: 2}
    assert "2 pages of new visitors were not stored" in warnings()[-1].getMessage()
    stored("fg")
    poll()
    assert new_visitors.not_stored_by_day() == {today: 2}  # once a minute
    clock.now += 60
    poll()
    assert new_visitors.not_stored_by_day() == {today: 4}
    assert len(warnings()) == 2
    assert new_visitors.not_stored() == 4


def test_two_processes_that_report_at_once_lose_nothing(db, limit):
    """The other one has added its count after this one has read it."""
    today = datetime.now(UTC).date()
    name = f"over budget {today}"
    stored("abcde")
    snapshots._save_token(name, "40", "default")
    new_visitors._budget.reload_if_changed({name: "30"}, "default")
    new_visitors._budget.reload_if_changed({}, "default")
    assert new_visitors.not_stored_by_day() == {today: 40}
    poll()
    assert new_visitors.not_stored_by_day() == {today: 42}


@pytest.mark.moment("2026-11-21T12:00:00+00:00")
def test_counts_are_kept_for_a_week(db, limit):
    for day in ("2026-11-14", "2026-11-15", "2026-11-20"):
        snapshots._save_token(f"over budget {day}", "7", "default")
    stored("abcd")
    poll()
    assert [str(day) for day in sorted(new_visitors.not_stored_by_day())] == [
        "2026-11-15",
        "2026-11-20",
        "2026-11-21",
    ]


def test_the_doctor_says_how_many_pages_were_not_stored(db, limit, capsys):
    def lines():
        call_command("tracking_doctor")
        return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]

    assert "pages not stored, 7 days 0" in lines()
    stored("abcde")
    poll()
    assert "pages not stored, 7 days 2" in lines()

    def away(*_):
        raise OperationalError("no route to host")

    with connection.execute_wrapper(away):
        assert "Problem: the database cannot be read: no route to host." in lines()


# Through the middleware.


@pytest.fixture
def memory(settings, limit):
    settings.MIDDLEWARE = ["tracking.middleware.VisitorTrackingMiddleware"]
    settings.TRACKING_BACKEND = "tracking.backends.memory.MemoryBackend"
    return get_backend()


def test_pages_above_the_budget_get_neither_rows_nor_a_cookie(db, memory):
    known = Client(headers={"User-Agent": AGENT.format(0)})
    assert known.get("/page/1").cookies
    pages = [Client(headers={"User-Agent": AGENT.format(n)}).get("/page/1") for n in range(1, 6)]
    assert [page.status_code for page in pages] == [200] * 5
    assert [bool(page.cookies) for page in pages] == [True, True, False, False, False]
    assert len(memory.hits) == 3
    for _ in range(5):
        known.get("/page/2")
    assert len(memory.hits) == 8
    assert new_visitors.not_stored() == 3


def test_a_reader_without_cookies_uses_the_budget_once_a_minute(db, memory, settings):
    settings.TRACKING_COOKIES = False
    for _ in range(5):
        for number in range(4):
            Client(headers={"User-Agent": AGENT.format(number)}).get("/page/1")
    assert len(memory.hits) == 15
    assert new_visitors.not_stored() == 5


def test_what_is_not_counted_does_not_use_the_budget(db, memory):
    for number in range(5):
        Client(headers={"User-Agent": AGENT.format(number), "DNT": "1"}).get("/page/1")
        Client(headers={"User-Agent": AGENT.format(number)}).get("/missing")
    Client(headers={"User-Agent": AGENT.format(9)}).get("/page/1")
    assert len(memory.hits) == 1
    assert new_visitors.not_stored() == 0

"""The daily salt."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import OperationalError, connection

from tests.support import clocks
from tracking import compat
from tracking.caching import snapshots
from tracking.identity import daily_salt
from tracking.models import SharedValue
from tracking.rollups import days

pytestmark = pytest.mark.usefixtures("outside_of_tests")


@pytest.fixture
def clock(monkeypatch):
    return clocks.of_snapshots(monkeypatch)


def refuse(*_args):
    raise OperationalError("the database is away")


def names():
    return sorted(
        SharedValue.objects.filter(name__startswith="salt").values_list("name", flat=True)
    )


def test_the_day_after_a_salt_is_another_one(db, clock):
    clock.now = datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp()
    assert daily_salt.today() is None
    snapshots.refresh()
    first = daily_salt.today()
    assert len(first) == daily_salt.SALT_BYTES
    assert names() == ["salt 2026-05-01"]
    clock.pass_by(timedelta(days=1).total_seconds())
    assert daily_salt.today() is None
    assert snapshots.is_due()
    snapshots.refresh()
    assert daily_salt.today() not in {None, first}
    assert names() == ["salt 2026-05-02"]


#: Zones and days: clocks go forward or back on that day or at its start, or never do.
PLACES = [
    ("America/Los_Angeles", date(2026, 3, 8)),
    ("America/Los_Angeles", date(2026, 11, 1)),
    ("Asia/Tokyo", date(2026, 5, 2)),
    ("Asia/Tehran", date(2022, 3, 22)),
    ("Asia/Tehran", date(2022, 9, 22)),
    ("Asia/Tehran", date(2026, 5, 2)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
]


@pytest.mark.parametrize(("zone", "day"), PLACES)
def test_at_midnight_nobody_waits_for_the_salt_of_the_day(db, clock, settings, zone, day):
    settings.TIME_ZONE = zone
    clock.now = days.start_of(day).timestamp() - 300
    daily_salt.today()
    snapshots.refresh()
    first = daily_salt.today()
    assert names() == [f"salt {day - days.DAY}", f"salt {day}"]
    assert daily_salt.yesterday() is None
    clock.pass_by(300)
    second = daily_salt.today()
    assert second not in {None, first}
    assert daily_salt.yesterday() == (day - days.DAY, first)
    snapshots.refresh()
    assert daily_salt.today() == second


@pytest.mark.parametrize(("zone", "day"), PLACES)
def test_one_salt_lasts_for_the_whole_day_of_the_site(db, clock, settings, zone, day):
    settings.TIME_ZONE = zone
    clock.now, end = days.start_of(day).timestamp(), days.start_of(day + days.DAY).timestamp()
    daily_salt.today()
    salts = set()
    while clock.now < end:
        snapshots.refresh()
        salts.add(daily_salt.today())
        clock.pass_by(900)
    assert len(salts) == 1
    assert f"salt {day}" in names()
    assert daily_salt.today() not in salts


def test_half_an_hour_after_midnight_the_salt_of_the_day_before_is_deleted(db, clock):
    clock.now = days.start_of(date(2026, 5, 2)).timestamp() - 60
    daily_salt.today()
    snapshots.refresh()
    first = daily_salt.today()
    clock.pass_by(60)
    for _ in range(6):
        snapshots.refresh()
        assert names() == ["salt 2026-05-01", "salt 2026-05-02"]
        assert daily_salt.yesterday() == (date(2026, 5, 1), first)
        clock.pass_by(300)
    assert daily_salt.yesterday() is None
    snapshots.refresh()
    assert names() == ["salt 2026-05-02"]
    assert first not in daily_salt._salts._by_day.values()
    clock.pass_by(-60)  # a clock that is set back does not bring it back
    assert daily_salt.yesterday() == (date(2026, 5, 1), None)


def test_a_process_that_starts_after_midnight_reads_the_salt_of_the_day_before(db, clock):
    clock.now = days.start_of(date(2026, 5, 2)).timestamp() - 60
    daily_salt.today()
    snapshots.refresh()
    first = daily_salt.today()
    daily_salt._salts.reset()
    clock.pass_by(360)
    daily_salt.today()
    snapshots.refresh()
    assert daily_salt.yesterday() == (date(2026, 5, 1), first)


def test_no_salt_is_made_for_a_day_that_is_over(db, clock):
    clock.now = days.start_of(date(2026, 5, 2)).timestamp() + 60
    daily_salt.today()
    snapshots.refresh()
    assert daily_salt.yesterday() == (date(2026, 5, 1), None)
    assert names() == ["salt 2026-05-02"]


def test_in_tests_of_a_site_visits_do_not_run_over_midnight(clock, monkeypatch):
    monkeypatch.setattr(compat, "is_test_environment", lambda: True)
    clock.now = days.start_of(date(2026, 5, 2)).timestamp() + 60
    assert daily_salt.yesterday() is None


def test_a_salt_whose_row_is_gone_is_written_again(db, clock):
    daily_salt.today()
    snapshots.refresh()
    first = daily_salt.today()
    SharedValue.objects.all().delete()
    clock.pass_by(1)
    snapshots.refresh()
    assert daily_salt.today() == first
    assert SharedValue.objects.get(name=names()[0]).value == first.hex()


def test_in_tests_of_a_site_there_is_a_salt_without_a_query(
    db, clock, monkeypatch, django_assert_num_queries
):
    monkeypatch.setattr(compat, "is_test_environment", lambda: True)
    with django_assert_num_queries(0):
        salt = daily_salt.today()
        assert daily_salt.today() == salt
    assert len(salt) == daily_salt.SALT_BYTES


def test_no_salt_is_made_unless_it_is_wanted(db):
    snapshots.refresh()
    assert not SharedValue.objects.filter(name__startswith="salt").exists()


def test_a_salt_of_a_clock_that_is_ahead_is_left_alone(db, clock):
    tomorrow = datetime.fromtimestamp(clock.now, UTC).date() + timedelta(days=1)
    snapshots._save_token(f"salt {tomorrow}", "ab" * 32, "default")
    daily_salt.today()
    snapshots.refresh()
    assert daily_salt.today() != b"\xab" * 32
    assert len(names()) == 2


def test_without_a_database_there_is_no_salt_and_no_hurry(db, clock):
    daily_salt.today()
    with connection.execute_wrapper(refuse):
        snapshots.refresh()
    assert daily_salt.today() is None
    assert not snapshots.is_due()

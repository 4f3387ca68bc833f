"""The daily salt."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection

from tests.support import clocks
from tracking.caching import snapshots
from tracking.identity import daily_salt
from tracking.models import SharedValue


@pytest.fixture
def clock(monkeypatch):
    return clocks.of_snapshots(monkeypatch)


def refuse(*_args):
    raise OperationalError("the database is away")


def test_the_day_after_a_salt_is_another_one(db, clock):
    clock.now = datetime(2026, 5, 1, 23, 59, 59, 900_000, tzinfo=UTC).timestamp()
    assert daily_salt.today() is None
    snapshots.refresh()
    first = daily_salt.today()
    assert len(first) == daily_salt.SALT_BYTES
    clock.pass_by(timedelta(seconds=0.2).total_seconds())
    assert daily_salt.today() is None
    assert snapshots.is_due()
    snapshots.refresh()
    assert daily_salt.today() not in {None, first}
    [row] = SharedValue.objects.filter(name__startswith="salt")
    assert row.name == "salt 2026-05-02"


def test_no_salt_is_made_unless_it_is_wanted(db):
    snapshots.refresh()
    assert not SharedValue.objects.filter(name__startswith="salt").exists()


def test_a_salt_of_a_clock_that_is_ahead_is_left_alone(db, clock):
    tomorrow = datetime.fromtimestamp(clock.now, UTC).date() + timedelta(days=1)
    snapshots._save_token(f"salt {tomorrow}", "ab" * 32, "default")
    daily_salt.today()
    snapshots.refresh()
    assert daily_salt.today() != b"\xab" * 32
    assert SharedValue.objects.filter(name__startswith="salt").count() == 2


def test_without_a_database_there_is_no_salt_and_no_hurry(db, clock):
    daily_salt.today()
    with connection.execute_wrapper(refuse):
        snapshots.refresh()
    assert daily_salt.today() is None
    assert not snapshots.is_due()

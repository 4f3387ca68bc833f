"""The daily salt."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection

from tests.support import clocks
from tracking import compat
from tracking.caching import snapshots
from tracking.identity import daily_salt
from tracking.models import SharedValue

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


def test_at_midnight_nobody_waits_for_the_salt_of_the_day(db, clock):
    clock.now = datetime(2026, 5, 1, 23, 55, tzinfo=UTC).timestamp()
    daily_salt.today()
    snapshots.refresh()
    first = daily_salt.today()
    assert names() == ["salt 2026-05-01", "salt 2026-05-02"]
    clock.pass_by(timedelta(minutes=5).total_seconds())
    second = daily_salt.today()
    assert second not in {None, first}
    snapshots.refresh()
    assert daily_salt.today() == second
    assert names() == ["salt 2026-05-02"]


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

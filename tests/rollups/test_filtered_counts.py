"""Counts of days with filters are kept, within bounds, and only as long as they are right."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.support import brute_force
from tests.support.brute_force import custom_period
from tests.support.concurrency import together
from tracking.models import CountedDay, FilteredCount, Source
from tracking.recording import write
from tracking.reports import Filters, overview
from tracking.reports.site_totals import Progress, count_days
from tracking.rollups import kept_counts, read
from tracking.rollups.build import roll_up
from tracking.rollups.days import DAY

pytestmark = pytest.mark.django_db(transaction=True)

FIRST, LAST = date(2026, 3, 26), date(2026, 4, 1)
PERIOD = custom_period("2026-03-29", "2026-03-31")
LATER = datetime(2026, 4, 10, 12, tzinfo=UTC)
FIREFOX = Filters(browser="Firefox")

#: The days of the period and the one before it.
DAYS = 6


@pytest.fixture(autouse=True)
def traffic():
    mailings, readers = brute_force.mailings(), brute_force.readers()
    write(brute_force.traffic(FIRST, LAST, sources=mailings, entities=readers))


def told(filters=FIREFOX):
    return overview(PERIOD, filters).as_dict() | {"on_site": 0}


def statements(filters=FIREFOX):
    """Return the statements of a report, and those that read visits, pages or beacons."""
    with CaptureQueriesContext(connection) as queries:
        told(filters)
    found = [query["sql"] for query in queries]
    return found, [sql for sql in found if "scan" in sql]


def test_the_first_report_counts_and_later_ones_read():
    before = told()
    assert len(statements()[1]) == 3
    roll_up(now=LATER)
    _all, rows = statements()
    assert len(rows) == 3
    assert told() == before
    # Which days are counted, and their versions; the kept counts; where rows were deleted; names
    # of mailings; who is on the site.
    found, rows = statements()
    assert rows == []
    assert len(found) <= 10
    assert FilteredCount.objects.count() == DAYS
    assert len(statements(Filters(browser="Chrome"))[1]) == 3
    CountedDay.objects.filter(day=PERIOD.last).delete()
    assert len(statements()[1]) == 3  # of that day
    assert told() == before


def test_a_day_that_is_counted_again_is_counted_again_with_filters():
    roll_up(now=LATER)
    told()
    CountedDay.objects.filter(day=PERIOD.last).update(version="0" * 32)
    assert len(statements()[1]) == 3
    assert statements()[1] == []
    assert FilteredCount.objects.count() == DAYS


def test_those_not_used_for_the_longest_time_leave():
    roll_up(now=LATER)
    with override_settings(TRACKING_FILTERED_DAYS=2 * DAYS):
        for browser in ("Firefox", "Chrome"):
            told(Filters(browser=browser))
        FilteredCount.objects.update(used_at=timezone.now() - timedelta(days=2))
        told()
        told(Filters(browser="Safari"))
        assert FilteredCount.objects.count() == 2 * DAYS
        assert statements()[1] == []
        assert len(statements(Filters(browser="Chrome"))[1]) == 3


@pytest.mark.parametrize("number", [0, DAYS - 1])
def test_a_report_of_more_days_than_may_be_kept_keeps_none(number):
    before = told()
    roll_up(now=LATER)
    with override_settings(TRACKING_FILTERED_DAYS=number):
        assert count_days(PERIOD.before().first, PERIOD.last, FIREFOX, 0) is None
        assert told() == before
    assert FilteredCount.objects.count() == 0


def test_a_day_with_too_many_bytes_is_read_from_its_rows(monkeypatch):
    before = told()
    roll_up(now=LATER)
    monkeypatch.setattr(kept_counts, "MAX_BYTES", 0)
    assert told() == before
    assert {bytes(row.lists) for row in FilteredCount.objects.all()} == {b""}
    assert told() == before
    assert len(statements()[1]) == 3


def test_days_are_counted_some_at_a_time():
    roll_up(now=LATER)
    first, last = PERIOD.before().first, PERIOD.last
    found = [count_days(first, last, FIREFOX, 0) for _ in range(DAYS)]
    assert found == [*(Progress(number, DAYS) for number in range(1, DAYS)), None]
    assert count_days(first, last, FIREFOX, 0) is None
    assert count_days(first, last, Filters(), 0) is None
    assert statements()[1] == []


def test_many_days_that_are_not_counted_are_added_up_by_the_database(monkeypatch):
    before = told()
    roll_up(now=LATER)
    CountedDay.objects.filter(day__gt=PERIOD.first).delete()
    monkeypatch.setattr(read, "MOST_OPEN_DAYS", 1)
    assert count_days(PERIOD.before().first, PERIOD.last, FIREFOX, 0) is None
    assert told() == before
    assert FilteredCount.objects.count() == 0


@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="in memory, a reader does not wait for a writer"
)
def test_two_who_ask_at_once_get_the_same():
    before = told()
    roll_up(now=LATER)
    found = []
    assert together(2, lambda: found.append(told())) == []
    assert found == [before, before]
    assert FilteredCount.objects.count() == DAYS
    assert statements()[1] == []


def test_a_database_that_takes_no_writes_is_read(caplog):
    before = told()
    roll_up(now=LATER)
    read_only, again = {
        "sqlite": ("PRAGMA query_only = 1", "PRAGMA query_only = 0"),
        "postgresql": (
            "SET default_transaction_read_only = on",
            "SET default_transaction_read_only = off",
        ),
        "mysql": ("SET SESSION TRANSACTION READ ONLY", "SET SESSION TRANSACTION READ WRITE"),
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(read_only)
    try:
        assert told() == before
        assert count_days(PERIOD.before().first, PERIOD.last, FIREFOX, 0) is None
    finally:
        with connection.cursor() as cursor:
            cursor.execute(again)
    assert "could not be kept" in caplog.text
    assert FilteredCount.objects.count() == 0


def test_lists_of_the_previous_period_are_counted_when_they_are_shown():
    period = PERIOD.before()
    before = overview(period, FIREFOX).as_dict()
    roll_up(now=LATER)
    told()
    rows = FilteredCount.objects.filter(day__range=(period.first, period.last))
    assert {bytes(row.lists) for row in rows} == {b""}
    assert len(statements()[1]) == 0
    assert overview(period, FIREFOX).as_dict() == before
    assert b"" not in {bytes(row.lists) for row in rows.all()}
    assert len(statements()[1]) == 0


def test_another_campaign_of_a_source_is_another_count():
    roll_up(now=LATER)
    letter = Filters(campaign="spring")
    told(letter)
    Source.objects.create(name="letter", slug="letter", campaign="spring")
    assert len(statements(letter)[1]) == 3
    assert statements(letter)[1] == []


def test_another_time_zone_is_another_count():
    roll_up(now=LATER)
    told()
    with override_settings(TIME_ZONE="America/New_York"):
        assert len(statements()[1]) == 3
    assert statements()[1] == []


def test_a_filter_of_any_length_has_a_short_key():
    keys = {Filters(page=page).condition().key for page in ("/", "/x" * 900, "/tea/\U0001f375", "")}
    assert {len(key) for key in keys} == {32}
    assert len(keys | {Filters().condition().key, Filters(link="/").condition().key}) == 6
    days = (FIRST, FIRST + DAY)
    assert count_days(*days, Filters(page="/x" * 900)) is None

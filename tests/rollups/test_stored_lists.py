"""Lists of counted days that are kept are those that the database adds up."""

from datetime import UTC, date, datetime

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from tests.support import brute_force
from tests.support.brute_force import custom_period
from tracking.hits import PageHit
from tracking.models import CountedDay, FilteredCount, LateDay
from tracking.recording import write
from tracking.reports import overview
from tracking.reports.top_lists import LISTS, listing
from tracking.rollups import folding, kept_counts, stored_lists
from tracking.rollups.build import roll_up

pytestmark = pytest.mark.django_db(transaction=True)

FIRST, LAST = date(2026, 3, 26), date(2026, 4, 1)
LATER = datetime(2026, 4, 10, 12, tzinfo=UTC)
#: All days are counted; some are not; days before the first are empty.
PERIODS = [
    custom_period("2026-03-29", "2026-03-31"),
    custom_period("2026-03-28", "2026-04-11", datetime(2026, 4, 11, 13, tzinfo=UTC)),
    custom_period("2026-03-01", "2026-03-27"),
]


@pytest.fixture(autouse=True)
def traffic():
    sources, readers = brute_force.mailings(), brute_force.readers()
    write(brute_force.traffic(FIRST, LAST, number=250, sources=sources, entities=readers))
    # More values than TRACKING_COUNTS_PER_FACET, and texts that differ in a letter.
    urls = [f"/{letter}{number}/" for letter in "aAä\U0001f375" for number in range(4)]
    write([_page(url, day) for day in (28, 30, 31) for url in urls[: day - 16]])


def _page(url, day, month=3):
    return PageHit(visitor="eve", url=url, time=datetime(2026, month, day, 12, tzinfo=UTC))


def found():
    """Return all reports, and pages of their lists."""
    reports = [overview(period).as_dict() | {"on_site": 0} for period in PERIODS]
    pages = [
        listing(name, period, limit=limit, offset=offset).as_dict()
        for period in PERIODS
        for name in LISTS
        for limit, offset in [(3, 0), (2, 3), (None, 1), (60, 0), (0, 0)]
    ]
    return reports, pages


def by_database():
    with override_settings(TRACKING_FILTERED_DAYS=0):
        return found()


def list_statements():
    """Return the statements of a report that read stored counts of lists."""
    with CaptureQueriesContext(connection) as queries:
        overview(PERIODS[0])
    return [query["sql"] for query in queries if "clicked_mailings" in query["sql"]]


@pytest.mark.parametrize("largest", [4, 1_000])
def test_they_are_those_of_the_database_after_all_changes(largest):
    with override_settings(TRACKING_COUNTS_PER_FACET=largest):
        before = by_database()
        roll_up(now=LATER)
        if largest == 1_000:  # else other values are the largest of their day
            assert by_database() == before
        for _turn in range(2):
            assert found() == by_database()
        assert FilteredCount.objects.exists()
        write([_page("/late/", 30), _page("/late/", 11, 4), _page("/late/", 26)])
        assert LateDay.objects.exists()
        assert found() == by_database()
        roll_up(now=LATER)
        assert found() == by_database()
        CountedDay.objects.filter(day=date(2026, 3, 30)).delete()
        assert found() == by_database()


def test_they_are_added_up_once():
    roll_up(now=LATER)
    assert len(list_statements()) == 1
    assert list_statements() == []
    assert FilteredCount.objects.count() == 1
    CountedDay.objects.filter(day=PERIODS[0].last).update(version="0" * 32)
    assert len(list_statements()) == 1
    assert list_statements() == []
    assert FilteredCount.objects.count() == 1


def test_months_that_are_stored_as_one_are_added_up_by_the_database():
    roll_up(now=LATER)
    found()
    assert folding.fold_some(date(2026, 4, 1), "default")
    assert found() == by_database()  # some of it is folded
    while folding.fold_some(date(2026, 4, 1), "default"):
        pass
    assert found() == by_database()


@pytest.mark.parametrize(
    ("module", "name"), [(stored_lists, "MAX_VALUES"), (kept_counts, "MAX_BYTES")]
)
def test_too_many_are_left_to_the_database(monkeypatch, module, name):
    roll_up(now=LATER)
    before = by_database()
    monkeypatch.setattr(module, name, 1)
    for _turn in range(2):
        assert found() == before
    kept = {(bytes(row.figures), bytes(row.lists)) for row in FilteredCount.objects.all()}
    assert (b"", b"") in kept

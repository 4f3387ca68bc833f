"""Days that are not counted are read in one statement for each table."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.support import brute_force
from tests.support.brute_force import custom_period
from tracking import recording
from tracking.models import CountedDay
from tracking.reports import Filters, overview
from tracking.rollups.build import roll_up

pytestmark = pytest.mark.django_db(transaction=True)

PERIOD = custom_period("2026-03-27", "2026-03-30")
LATER = datetime(2026, 4, 10, 12, tzinfo=UTC)


@pytest.fixture
def traffic():
    first = PERIOD.before().first
    recording.write(
        brute_force.traffic(
            first, PERIOD.last, sources=brute_force.mailings(), entities=brute_force.readers()
        )
    )


def statements_about_rows(*arguments):
    """Return how many statements of an overview read visits, pages or beacons."""
    overview(*arguments)  # content types are remembered
    with CaptureQueriesContext(connection) as queries:
        overview(*arguments)
    tables = ("tracking_visit", "tracking_pageview", "tracking_beacon")
    names = [connection.ops.quote_name(table) for table in tables]
    return sum(
        any(name in query["sql"] for name in names) and "scan" in query["sql"] for query in queries
    )


@pytest.mark.usefixtures("traffic")
def test_open_days_take_one_statement_for_each_table():
    assert statements_about_rows(PERIOD) == 3
    assert statements_about_rows(PERIOD, Filters(browser="Firefox")) == 3
    roll_up(now=LATER)
    assert statements_about_rows(PERIOD) == 0
    # However many runs of days are open.
    days = PERIOD.before().first, PERIOD.first + timedelta(days=1), PERIOD.last
    report = overview(PERIOD).as_dict()
    CountedDay.objects.filter(day__in=days).delete()
    assert statements_about_rows(PERIOD) == 3
    assert overview(PERIOD).as_dict() == report


@pytest.mark.usefixtures("traffic")
def test_a_filter_reads_no_table_that_it_says_nothing_about():
    assert statements_about_rows(PERIOD, Filters(page="/tea/")) == 2
    assert statements_about_rows(PERIOD, Filters(link="/news/")) == 1

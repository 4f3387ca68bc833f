"""Each day counts its largest values one by one, and all others as one, as a plain loop does."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import brute_force
from tests.support.brute_force import custom_period
from tracking.hits import Kind
from tracking.models import Beacon, CountedDay, DailyCount, LateDay, PageView, Visit
from tracking.reports import Filters, overview, top_lists
from tracking.reports.top_lists import LISTS, listing
from tracking.rollups import largest_values, read
from tracking.rollups.build import roll_up
from tracking.rollups.days import Intervals

pytestmark = pytest.mark.django_db(transaction=True)

FIRST = date(2026, 3, 28)
PERIOD = custom_period("2026-03-27", "2026-03-30")
LATER = datetime(2026, 4, 10, 12, tzinfo=UTC)

#: Values in the order of their letters, as no language sorts them.
VALUES = ["", "B", "Z", "a", "a b", "b", "z", "ä", "🍵"]

#: Lists of visits, and the column that each counts.
OF_VISITS = {"sources": "source", "mediums": "medium", "campaigns": "campaign", "systems": "os"}

#: A visit: day, half hour, value, visitor.
visits = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 47),
        st.sampled_from(VALUES),
        st.sampled_from(["anna", "bea", "cleo"]),
    ),
    max_size=14,
)


def save(drawn):
    """Save visits with a page and a click each."""
    for model in (PageView, Visit, Beacon, DailyCount, CountedDay, LateDay):
        model.objects.all().delete()
    for day, half_hours, value, visitor in drawn:
        time = brute_force.at(FIRST + timedelta(days=day)) + timedelta(minutes=30 * half_hours)
        names = dict.fromkeys(OF_VISITS.values(), value)
        visit = Visit.objects.create(
            visitor_id=visitor, started_at=time, ended_at=time, page_views=1, **names
        )
        PageView.objects.create(visit=visit, time=time, url=f"/{value}")
        Beacon.objects.create(kind=Kind.CLICK, time=time, url=value, visitor_id=visitor)


def largest(rows, value, who, time, by, number):
    """Return the numbers of each value that is among the largest of its day, and of the others."""
    days = defaultdict(lambda: defaultdict(list))
    for row in rows:
        days[brute_force.local_day(time(row))][value(row)].append(who(row))
    sums = defaultdict(lambda: (0, 0))
    for of_day in days.values():
        numbers = {value: (len(some), len(set(some))) for value, some in of_day.items()}
        in_order = sorted(filter(None, numbers), key=lambda value: (-numbers[value][by], value))
        kept = {"", *in_order[:number]} & set(numbers)
        merged = [one for value, some in of_day.items() if value not in kept for one in some]
        found = {value: numbers[value] for value in kept}
        if merged:
            found[None] = (len(merged), len(set(merged)))
        for key, (total, uniques) in found.items():
            sums[key] = (sums[key][0] + total, sums[key][1] + uniques)
    return dict(sums)


def shown(name, filters=None, **page):
    """Return figure and further numbers of a list by value; ``None`` is the key of the others."""
    found = listing(name, PERIOD, filters, **{"limit": None, **page})
    rows = {row.value: (row.figure, *row.numbers.values()) for row in found.rows}
    assert list(rows) == sorted(rows, key=lambda value: (-rows[value][0], value))
    assert found.total == len(found.rows)
    if found.other:
        rows[None] = (found.other.figure, *found.other.numbers.values())
    assert found.whole == sum(figure for figure, *_ in rows.values())
    return rows


def looped(number):
    """Return all lists as loops count them."""
    visits, pages, clicks = Visit.objects.all(), PageView.objects.all(), Beacon.objects.all()
    lists = {
        name: largest(
            visits,
            lambda visit: getattr(visit, column),  # noqa: B023 - called at once
            lambda visit: visit.visitor_id,
            lambda visit: visit.started_at,
            1,
            number,
        )
        for name, column in OF_VISITS.items()
    }
    visitor_of = dict(visits.values_list("pk", "visitor_id"))
    lists["pages"] = largest(
        pages, lambda page: page.url, lambda page: visitor_of[page.visit_id], _time, 0, number
    )
    lists["links"] = largest(
        clicks, lambda click: click.url, lambda click: click.visitor_id, _time, 0, number
    )
    for name, found in lists.items():
        if name in OF_VISITS:  # visitors before visits
            lists[name] = {value: (uniques, total) for value, (total, uniques) in found.items()}
        if not LISTS[name].none:
            lists[name].pop("", None)
    return lists


def _time(row):
    return row.time


@given(visits, st.integers(1, 4))
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
def test_lists_are_those_of_a_loop_before_and_after_days_are_counted(drawn, number):
    save(drawn)
    with override_settings(TRACKING_COUNTS_PER_FACET=number):
        expected = looped(number)
        assert {name: shown(name) for name in expected} == expected
        roll_up(now=brute_force.at(FIRST + timedelta(days=2)) + timedelta(hours=2))
        assert {name: shown(name) for name in expected} == expected
        everybody = Filters(browser="")
        assert {name: shown(name, everybody) for name in expected} == expected
        roll_up(now=LATER)
        assert {name: shown(name) for name in expected} == expected


def test_a_day_of_as_many_values_as_visits_has_few_counts_and_exact_totals():
    save((0, number % 48, f"value {number:03}", "anna") for number in range(100))
    with override_settings(TRACKING_COUNTS_PER_FACET=5):
        report = overview(PERIOD)
        roll_up(now=LATER)
        assert overview(PERIOD).as_dict() == report.as_dict()
    for facet in ("sources", "pages", "links"):
        counts = DailyCount.objects.filter(facet=facet)
        assert (counts.count(), sum(counts.values_list("total", flat=True))) == (6, 100)
        assert counts.get(is_other=True).total == 95
        assert counts.get(is_other=True).uniques == 1
    assert [row.value for row in report.lists["sources"].rows] == [
        f"value {number:03}" for number in range(5)
    ]
    other = report.lists["sources"].other
    assert (other.label, other.value, other.filter_key) == ("Other", "", "")
    assert report.figures["visits"].value == 100
    assert DailyCount.objects.filter(is_other=True).exclude(value="").count() == 0


@pytest.mark.parametrize("is_counted", [False, True])
def test_only_lines_that_are_shown_are_fetched(is_counted):
    values = [f"value {number:03}" for number in range(60)]
    save((day, n % 48, value, "anna") for day in range(2) for n, value in enumerate(values))
    if is_counted:
        roll_up(now=LATER)
    kinds = top_lists.kinds(LISTS)
    with override_settings(TRACKING_COUNTS_PER_FACET=20):
        days = read.Days.between(PERIOD.first, PERIOD.last)
        assert bool(days.open) != is_counted
        rows = read.site(days, lists=kinds, lists_from=days.first, limit=10).lines
        assert len(LISTS) <= len(rows) <= len(LISTS) * 11
        pages = {"pages": kinds["pages"]}
        page = read.site(days, lists=pages, lists_from=days.first, limit=10, offset=10).lines
        assert [row.place for row in page if not row.is_other] == [1, *range(11, 21)]
        none = listing("pages", PERIOD, limit=10, offset=1_000)
        assert (none.rows, none.total > 10) == ((), True)


def test_days_counted_here_and_there_are_added_up(monkeypatch):
    save((day % 3, day, "a", "anna") for day in range(9))
    roll_up(now=LATER)
    days = [FIRST + timedelta(days=n) for n in range(3)]
    CountedDay.objects.filter(day=days[1]).delete()
    assert [len(run.starts) for run in read.Days.between(*days[::2]).runs()] == [1]
    assert shown("sources") == {"a": (3, 9)}
    monkeypatch.setattr(largest_values, "_AT_ONCE", 2)
    CountedDay.objects.exclude(day=days[1]).delete()
    LateDay.objects.create(day=days[0])
    assert shown("sources") == {"a": (3, 9)}


def test_no_rows_are_no_counts():
    intervals = Intervals.of_days(FIRST, FIRST)
    nothing = Visit.objects.none().annotate(interval=intervals.index_expression("started_at"))
    assert list(largest_values.by_interval(nothing.values("interval"), "total", "default")) == []
    assert shown("sources") == {}
    assert SimpleNamespace(**listing("links", PERIOD).as_dict()).other is None

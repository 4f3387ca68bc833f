"""Counts of old days are added up by month, and reports about whole months stay the same."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.site.models import Affiliate
from tests.support import brute_force
from tests.support.brute_force import custom_period
from tests.support.concurrency import together
from tracking.hits import Hit, Kind
from tracking.models import Beacon, CountedDay, DailyCount, LateDay, PageView, SharedValue, Visit
from tracking.recording import write
from tracking.reports import campaign, overview, recipients
from tracking.reports.counts_per_object import counts_per_object
from tracking.reports.recipients import State
from tracking.reports.top_lists import listing
from tracking.rollups import completeness, folding, months
from tracking.rollups.build import roll_up
from tracking.rollups.days import start_of

pytestmark = pytest.mark.django_db(transaction=True)

#: The days of the tests: some of January, all of February, some of March and April.
FIRST, LAST = date(2026, 1, 20), date(2026, 4, 5)
LATER = datetime(2026, 4, 10, 12, tzinfo=UTC)
#: Up to here days are folded in most tests: January and February.
UNTIL = date(2026, 3, 15)

FOLDED = custom_period("2026-01-01", "2026-02-28", LATER)
ALL = custom_period("2026-01-01", "2026-04-10", LATER)


def fold(until=UNTIL):
    """Fold all there is to fold, and return how many counts there were."""
    number = 0
    while folded := folding.fold_some(until, "default"):
        number += folded
    return number


def stored():
    """Return all counts, without their primary keys."""
    fields = [field.name for field in DailyCount._meta.fields if field.name != "id"]
    return sorted(DailyCount.objects.values_list(*fields))


def told(period):
    """Return what the overview says of a period by month, apart from what is true only now."""
    return overview(replace(period, by_month=True)).as_dict() | {"on_site": 0}


def of_mailings(mailings):
    """Return what reports say of mailings, with their days added up by month."""
    found = []
    for source in mailings:
        report = campaign(source, LATER).as_dict()
        sums = defaultdict(Counter)
        for name, points in report.pop("days").items():
            for point in points:
                sums[name][point["first"][:7]] += point["value"]
        by_state = [recipients(source, state=state).total for state in (None, *State.values)]
        found.append((report, sums, by_state))
    return found


@pytest.fixture
def mailings():
    return brute_force.mailings()


@pytest.fixture
def traffic(mailings):
    hits = brute_force.traffic(
        FIRST, LAST, number=400, sources=mailings, entities=brute_force.readers(5)
    )
    write(hits)
    roll_up(now=LATER)
    return hits


def late_hits(day, source):
    start = start_of(day) + timedelta(hours=5)
    reader = brute_force.readers(1)[0]
    values = {"source": source, "entity": reader, "user_agent": brute_force.AGENTS[0]}
    return [
        Hit(kind=Kind.OPEN, time=start, **values),
        Hit(kind=Kind.CLICK, time=start + timedelta(minutes=1), url="/late/", **values),
    ]


def test_whole_months_say_the_same_once_they_are_folded(traffic, mailings):
    before = [told(FOLDED), told(ALL), of_mailings(mailings)]
    number = DailyCount.objects.count()
    assert fold() > number / 2
    assert DailyCount.objects.count() < number * 2 / 3
    assert months.first_single_day("default") == date(2026, 3, 1)
    old = DailyCount.objects.filter(day__lt=date(2026, 3, 1))
    assert set(old.values_list("day", flat=True)) == {date(2026, 1, 1), date(2026, 2, 1)}
    assert not old.filter(facet__startswith="hourly_").exists()
    assert [told(FOLDED), told(ALL), of_mailings(mailings)] == before
    figures = {name: figure.value for name, figure in overview(FOLDED).figures.items()}
    assert figures == brute_force.figures(FOLDED.start, FOLDED.end)


def test_folding_twice_changes_nothing(traffic):
    fold()
    once = stored()
    assert fold() == 0
    assert stored() == once


def test_sums_are_right_whenever_it_is_stopped(traffic, mailings):
    before = [told(FOLDED), told(ALL), of_mailings(mailings)]
    steps = 0
    while folding.fold_some(UNTIL, "default"):
        steps += 1
        if steps % 9 == 0:
            assert [told(FOLDED), told(ALL), of_mailings(mailings)] == before
    assert steps > 40
    assert [told(FOLDED), told(ALL), of_mailings(mailings)] == before


@pytest.mark.skipif(connection.vendor == "sqlite", reason="a database in memory has no queue")
def test_several_processes_fold_at_once(traffic, mailings):
    before = [told(FOLDED), told(ALL), of_mailings(mailings)]
    assert together(3, fold) == []
    assert fold() == 0
    assert [told(FOLDED), told(ALL), of_mailings(mailings)] == before


def test_columns_of_lists_stay_the_same(traffic, mailings):
    objects = Affiliate.objects.filter(pk__in=[source.pk for source in mailings])
    before = counts_per_object("source", objects)
    fold()
    assert counts_per_object("source", objects) == before


def test_late_hits_are_added_to_their_month(traffic, mailings):
    fold()
    before = stored()
    write(late_hits(date(2026, 2, 11), mailings[0]))
    assert LateDay.objects.exists()
    assert stored() == before
    roll_up(now=LATER)
    assert not LateDay.objects.exists()
    figures = {name: figure.value for name, figure in overview(FOLDED).figures.items()}
    assert figures == brute_force.figures(FOLDED.start, FOLDED.end)
    for source in mailings:
        assert brute_force.reported(campaign(source, LATER)) == brute_force.campaign(source)
    once = stored()
    assert {day for day, *_rest in once if day < date(2026, 3, 1)} == {
        date(2026, 1, 1),
        date(2026, 2, 1),
    }
    assert fold() == 0


def test_counting_all_days_again_keeps_months(traffic):
    fold()
    before = stored()
    roll_up(now=LATER, rebuild=True)
    assert stored() == before


def test_a_month_of_which_rows_were_deleted_keeps_its_counts(traffic, mailings):
    fold()
    before = told(FOLDED)
    middle = start_of(date(2026, 2, 10))
    Beacon.objects.filter(time__lt=middle).delete()
    completeness.note_deletion("beacon", middle, "default")
    write(late_hits(date(2026, 2, 20), mailings[0]))
    roll_up(now=LATER)
    roll_up(now=LATER, rebuild=True)
    assert told(FOLDED) == before


def test_days_that_were_never_counted_are_added(mailings):
    write(late_hits(date(2026, 2, 11), mailings[0]))
    roll_up(now=LATER)
    fold()
    Beacon.objects.all().delete()
    completeness.note_deletion("beacon", start_of(date(2026, 2, 12)), "default")
    assert overview(FOLDED).figures["clicks"].value == 1
    write(late_hits(date(2026, 2, 1), mailings[0]))
    write(late_hits(date(2026, 2, 5), mailings[0]))
    write(late_hits(date(2026, 1, 5), mailings[0]))
    roll_up(now=LATER)
    figures = overview(FOLDED).figures
    assert [figures[name].value for name in ("opens", "clicks", "daily_unique_clicks")] == [4, 4, 4]
    (links,) = listing("links", FOLDED).rows
    assert (links.value, links.figure) == ("/late/", 4)
    assert stored() == sorted(set(stored()))
    roll_up(now=LATER)
    assert overview(FOLDED).figures["clicks"].value == 4


@pytest.mark.parametrize("reason", ["late", "uncounted"])
def test_a_month_that_is_not_counted_is_not_folded(traffic, reason):
    day = date(2026, 2, 11)
    if reason == "late":
        LateDay.objects.create(day=day)
    else:
        CountedDay.objects.filter(day=day).delete()
    fold()
    assert months.first_single_day("default") == date(2026, 2, 1)
    roll_up(now=LATER)
    fold()
    assert months.first_single_day("default") == date(2026, 3, 1)


def test_only_whole_months_are_folded(traffic):
    fold(date(2026, 2, 28))
    assert months.first_single_day("default") == date(2026, 2, 1)
    fold(date(2026, 3, 1))
    assert months.first_single_day("default") == date(2026, 3, 1)


def test_a_site_without_counts_has_nothing_to_fold():
    assert fold() == 0
    assert months.first_single_day("default") < date(2000, 1, 1)


def test_counts_that_wait_are_told(traffic):
    expected = DailyCount.objects.filter(day__lt=date(2026, 3, 1)).count()
    assert folding.waiting(UNTIL, "default") == expected
    fold()
    assert folding.waiting(UNTIL, "default") == 0


class TestLists:
    """A month keeps its largest values, as a plain loop over its days finds them."""

    #: A visit: day of the month, value, visitor.
    visits = st.lists(
        st.tuples(
            st.integers(0, 58),
            st.sampled_from(["", "a", "b", "c", "d", "é" * 600, "é" * 600 + "!"]),
            st.sampled_from(["anna", "bea", "cleo"]),
        ),
        max_size=30,
    )

    @staticmethod
    def save(drawn):
        for model in (PageView, Visit, Beacon, DailyCount, CountedDay, LateDay, SharedValue):
            model.objects.all().delete()
        for number, (day, value, visitor) in enumerate(drawn):
            time = start_of(date(2026, 1, 1) + timedelta(days=day)) + timedelta(minutes=number)
            Visit.objects.create(
                visitor_id=visitor, started_at=time, ended_at=time, page_views=1, source=value[:90]
            )
            Beacon.objects.create(kind=Kind.CLICK, time=time, url=value, visitor_id=visitor)

    @staticmethod
    def sums(scope, facet, month):
        """Return what a month must keep of the counts of its days."""
        end = months.later_month(month)
        rows = DailyCount.objects.filter(scope=scope, facet=facet, day__gte=month, day__lt=end)
        found = defaultdict(lambda: (0, 0))
        keys = {}
        for row in rows:
            value = None if row.is_other else row.value
            keys[value] = row.key
            total, uniques = found[value]
            found[value] = (total + row.total, uniques + row.uniques)
        by = 1 if facet == "sources" else 0
        real = [value for value in found if value]
        large = sorted(real, key=lambda value: (-found[value][by], keys[value]))[:2]
        kept = {value: found[value] for value in found if value == "" or value in large}
        small = [numbers for value, numbers in found.items() if value not in kept]
        if small:
            kept[None] = tuple(map(sum, zip(*small, strict=True)))
        return kept

    @given(drawn=visits)
    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_the_largest_values_of_a_month(self, drawn):
        with override_settings(TRACKING_COUNTS_PER_FACET=2):
            self.save(drawn)
            roll_up(now=LATER)
            groups = [
                (facet, month)
                for facet in ("sources", "links")
                for month in (date(2026, 1, 1), date(2026, 2, 1))
            ]
            expected = {group: self.sums("", *group) for group in groups}
            fold()
            for facet, month in groups:
                rows = DailyCount.objects.filter(scope="", facet=facet, day=month)
                found = {
                    None if row.is_other else row.value: (row.total, row.uniques) for row in rows
                }
                assert found == expected[facet, month]
            assert (
                not DailyCount.objects.filter(value="")
                .exclude(is_other=False)
                .exclude(is_other=True)
            )
            once = stored()
            fold()
            assert stored() == once

    def test_late_values_do_not_let_a_month_grow(self, settings, mailings):
        settings.TRACKING_COUNTS_PER_FACET = 2
        self.save([(day, f"{day}", "anna") for day in range(31)])
        roll_up(now=LATER)
        fold()
        month = date(2026, 1, 1)
        of_month = DailyCount.objects.filter(facet="links", day=month)
        assert of_month.count() == 3
        Beacon.objects.all().delete()
        completeness.note_deletion("beacon", start_of(date(2026, 2, 1)), "default")
        CountedDay.objects.filter(day=date(2026, 1, 7)).delete()
        time = start_of(date(2026, 1, 7))
        for number in range(5):
            Beacon.objects.create(kind=Kind.CLICK, time=time, url=f"new{number}")
        roll_up(now=LATER)
        assert of_month.count() == 3
        assert sum(of_month.values_list("total", flat=True)) == 36

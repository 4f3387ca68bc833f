"""Reports are the same before and after days are counted."""

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
from tracking import retention
from tracking.hits import Hit, Kind, PageHit, Reference
from tracking.models import Beacon, CountedDay, DailyCount, LateDay, PageView, Visit
from tracking.recording import write
from tracking.reports import Period, campaign, overview, recipients
from tracking.reports.counts_per_object import counts_per_object
from tracking.rollups import build, days, read
from tracking.rollups.build import roll_up

#: A moment at which all days of these tests are over.
LATER = datetime(2026, 4, 10, 12, tzinfo=UTC)

FIRST, LAST = date(2026, 3, 26), date(2026, 4, 1)

pytestmark = pytest.mark.django_db(transaction=True)


def told(first=FIRST, last=LAST, sources=()):
    """Return all that reports say of some days, apart from what is true only now."""
    period = custom_period(str(first), str(last), LATER)
    report = overview(period).as_dict() | {"on_site": 0}
    return [report, *(campaign(source, LATER).as_dict() for source in sources)]


def looped(first=FIRST, last=LAST, zone="Europe/Berlin"):
    period = custom_period(str(first), str(last), LATER)
    return brute_force.figures(period.start, period.end, zone=zone)


def values(first=FIRST, last=LAST):
    figures = overview(custom_period(str(first), str(last), LATER)).figures
    return {name: figure.value for name, figure in figures.items()}


@pytest.fixture
def mailings():
    return brute_force.mailings()


@pytest.fixture
def traffic(mailings):
    hits = brute_force.traffic(
        FIRST, LAST, number=250, sources=mailings, entities=brute_force.readers(5)
    )
    write(hits)
    return hits


def test_reports_say_the_same_once_days_are_counted(traffic, mailings):
    before = told(sources=mailings)
    done = roll_up(now=LATER)
    assert done.days == (LATER.date() - brute_force.first_day()).days
    assert DailyCount.objects.count() == done.rows > 100
    assert not LateDay.objects.exists()
    assert told(sources=mailings) == before
    assert values() == looped()
    for source in mailings:
        assert brute_force.reported(campaign(source, LATER)) == brute_force.campaign(source)
    assert roll_up(now=LATER) == build.RollUpResult(0, 0, ())


def test_reports_read_no_raw_row_of_a_day_that_is_counted(traffic, mailings):
    roll_up(now=LATER)
    before = told(sources=mailings)
    PageView.objects.all()._raw_delete("default")
    Visit.objects.all()._raw_delete("default")
    Beacon.objects.filter(kind=Kind.OPEN)._raw_delete("default")
    assert told(last=LAST)[0] == before[0]
    for source, report in zip(mailings, before[1:], strict=True):
        after = campaign(source, LATER).as_dict()
        assert {n: after[n] for n in after if n not in {"began_at", "last_at", "quarters"}} == {
            n: report[n] for n in report if n not in {"began_at", "last_at", "quarters"}
        }


@pytest.mark.long
@pytest.mark.parametrize("is_counted_again", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_late_hits_correct_days_that_are_counted(mailings, is_counted_again, seed):
    tied = {"sources": mailings, "entities": brute_force.readers(5)}
    hits = brute_force.traffic(FIRST, LAST, number=300, seed=seed, **tied)
    on_time, late = hits[::2], hits[1::2]
    write(on_time)
    roll_up(now=LATER)
    write(late)
    write(late[:20] + on_time[:20])  # again
    assert LateDay.objects.exists()
    if is_counted_again:
        roll_up(now=LATER)
        assert not LateDay.objects.exists()
    assert values() == looped()
    for source in mailings:
        assert brute_force.reported(campaign(source, LATER)) == brute_force.campaign(source)


def test_a_visit_that_begins_earlier_than_was_known_moves_to_another_day():
    midnight = brute_force.at(date(2026, 3, 30))
    agent = brute_force.AGENTS[0]

    def page(minutes):
        time = midnight + timedelta(minutes=minutes)
        return PageHit(visitor="anna", url="/", time=time, user_agent=agent)

    write([page(10)])
    roll_up(now=LATER)
    write([page(-10)])
    assert sorted(LateDay.objects.values_list("day", flat=True).distinct()) == [
        date(2026, 3, 29), date(2026, 3, 30)
    ]  # fmt: skip
    for _ in range(2):
        visits = overview(custom_period("2026-03-29", "2026-03-30", LATER)).series["visits"].points
        assert [point.value for point in visits] == [1, 0]
        roll_up(now=LATER)


@pytest.mark.long
@given(
    st.lists(
        st.tuples(
            st.integers(0, 4 * 48),
            st.sampled_from([Kind.OPEN, Kind.CLICK, Kind.SENT]),
            st.sampled_from([0, 1, None]),
            st.sampled_from(["anna", None]),
            st.sampled_from(brute_force.AGENTS[:4]),
            st.booleans(),
        ),
        max_size=8,
    )
)
@settings(max_examples=8, suppress_health_check=list(HealthCheck))
def test_uniques_add_up_in_whatever_order_beacons_arrive(drawn):
    Beacon.objects.all().delete()
    for model in (DailyCount, CountedDay, LateDay):
        model.objects.all().delete()
    (source,) = brute_force.mailings(1)
    people = brute_force.readers(2)
    for half_hours, kind, entity, visitor, agent, is_counted in drawn:
        time = brute_force.at(date(2026, 3, 28)) + timedelta(minutes=30 * half_hours)
        hit = Hit(
            kind=kind,
            time=time,
            source=source,
            entity=None if entity is None else people[entity],
            visitor=visitor,
            url="/news/" if kind == Kind.CLICK else "",
            ip_address="192.0.2.1",
            user_agent=agent,
        )
        write([hit])
        if is_counted:
            roll_up(now=LATER)
    expected = brute_force.campaign(source)
    assert brute_force.reported(campaign(source, LATER)) == expected
    roll_up(now=LATER)
    assert brute_force.reported(campaign(source, LATER)) == expected


def test_a_hit_before_the_first_counted_day_makes_later_ones_old_acquaintances():
    (source,) = brute_force.mailings(1)
    (reader,) = brute_force.readers(1)
    for day in (date(2026, 3, 29), date(2026, 3, 28)):
        hit = Hit(kind=Kind.OPEN, time=brute_force.at(day), source=source, entity=reader)
        write([hit])
        roll_up(now=LATER)
    report = campaign(source, LATER)
    assert brute_force.reported(report) == brute_force.campaign(source)
    assert report.opened.confirmed == 1


def test_a_day_is_counted_an_hour_after_its_end(traffic):
    end = brute_force.at(date(2026, 3, 28))  # of the 27th
    roll_up(now=end + timedelta(minutes=59))
    assert CountedDay.objects.latest("day").day == date(2026, 3, 26)
    roll_up(now=end + timedelta(minutes=60))
    assert CountedDay.objects.latest("day").day == date(2026, 3, 27)


def test_hits_of_today_cost_no_statement_more(django_assert_num_queries):
    now = datetime.now(UTC)
    new = [Hit(kind=Kind.OPEN, time=now) for _ in range(3)]
    with django_assert_num_queries(_statements(write, new)):
        write([Hit(kind=Kind.OPEN, time=now) for _ in range(3)])
    assert not LateDay.objects.exists()
    old = [Hit(kind=Kind.OPEN, time=now - timedelta(days=n)) for n in (3, 3, 4)]
    assert _statements(write, old) == _statements(write, new[:0] + _fresh(new)) + 1
    assert LateDay.objects.count() == 2


def _fresh(hits):
    return [Hit(kind=hit.kind, time=hit.time) for hit in hits]


def _statements(function, *arguments):
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        function(*arguments)
    return len(queries)


def test_counts_outlive_their_rows(traffic, mailings):
    roll_up(now=LATER)
    before = told(sources=mailings)[0]
    age = (datetime.now(UTC) - brute_force.at(date(2026, 3, 30))) / timedelta(days=1)
    kept = {f"TRACKING_{name}_RETENTION": age for name in ("VISIT", "PAGE_VIEW", "BEACON")}
    with override_settings(**kept):
        removed = retention.clean_up()
    assert min(removed[name] for name in ("visit", "beacon")) > 10
    assert told(sources=mailings)[0] == before
    # Late hits for a day of which rows are gone, a rebuild, another one: nothing is lost.
    write(
        [
            Hit(
                kind=Kind.OPEN,
                time=brute_force.at(date(2026, 3, 27)),
                user_agent=brute_force.AGENTS[0],
            )
        ]
    )
    roll_up(now=LATER)
    roll_up(now=LATER, rebuild=True)
    assert told(sources=mailings)[0] == before
    assert not LateDay.objects.exists()


def test_what_is_gone_is_noted_once_and_never_goes_back(traffic):
    from tracking.rollups import completeness

    later, earlier = brute_force.at(date(2026, 3, 30)), brute_force.at(date(2026, 3, 1))
    for time in (later, earlier):
        completeness.note_deletion("beacon", time, "default")
        assert completeness.deleted_until("default") == {"beacon": later}


def test_another_time_zone_asks_for_a_rebuild(traffic, caplog):
    roll_up(now=LATER)
    with override_settings(TIME_ZONE="America/New_York"):
        assert roll_up(now=LATER).other_zones == ("Europe/Berlin",)
        assert "--rebuild" in caplog.text
        for day in days.span(FIRST, LAST):  # not right before that, and no error
            assert (
                overview(custom_period(str(day), str(day), LATER)).figures["visits"].value
                is not None
            )
        assert roll_up(now=LATER, rebuild=True).other_zones == ()
        assert roll_up(now=LATER).other_zones == ()
        assert values() == looped(zone="America/New_York")


def test_without_a_rebuild_days_are_counted_since(traffic):
    roll_up(now=LATER, since=date(2026, 3, 30))
    assert CountedDay.objects.earliest("day").day == date(2026, 3, 30)
    assert values() == looped()


@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="a database in memory has one writer, who does not wait"
)
def test_two_processes_count_each_day_once(traffic, mailings):
    before = told(sources=mailings)
    assert together(2, lambda: roll_up(now=LATER)) == []
    assert told(sources=mailings) == before


def test_a_row_written_while_its_day_is_counted_is_not_lost(traffic, monkeypatch):
    """The note of it stays, although the count may have come too early."""
    real = build._rows
    late = [
        Hit(
            kind=Kind.OPEN, time=brute_force.at(date(2026, 3, 27)), user_agent=brute_force.AGENTS[0]
        )
    ]

    def rows_then_a_hit(*arguments):
        found = list(real(*arguments))
        if late:
            write([late.pop()])
        return found

    monkeypatch.setattr(build, "_rows", rows_then_a_hit)
    roll_up(now=LATER)
    assert LateDay.objects.count() == 1
    assert values() == looped()
    roll_up(now=LATER)
    assert not LateDay.objects.exists()
    assert values() == looped()


def test_days_that_are_open_are_found_by_few_queries(traffic, django_assert_num_queries):
    roll_up(now=LATER)
    with django_assert_num_queries(1):
        assert read.Days.between(FIRST, LAST).open == []
    last = days.day_of(LATER)
    assert read.Days.between(FIRST, last).open == [last]
    late = days.span(FIRST, LAST)[1:4:2]
    LateDay.objects.bulk_create([LateDay(day=day) for day in late * 2])
    with django_assert_num_queries(2):
        assert read.Days.between(FIRST, LAST).open == late


def test_as_many_queries_however_many_days(
    traffic, mailings, django_assert_num_queries, django_assert_max_num_queries
):
    roll_up(now=LATER)
    # Its name, the ends of what is known of it, the counted days, the counts.
    with django_assert_num_queries(4):
        campaign(mailings[0], LATER)
    period = custom_period(str(FIRST), str(LAST), LATER)
    overview(period)  # keeps its lists
    with django_assert_max_num_queries(9):
        overview(period)


@pytest.mark.parametrize("year", [1, 1889, 2345, 9999])
def test_a_clock_that_is_wrong_by_ages_breaks_nothing(mailings, year):
    first, last = datetime(year, 1, 1, tzinfo=UTC), datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    for time in (first, last):
        write([Hit(kind=Kind.OPEN, source=mailings[0], entity=mailings[1], time=time)])
    assert roll_up().days == 0
    assert overview(Period.from_query({"period": "today"})).figures["opens"].value == 0
    report = campaign(mailings[0])
    assert (report.opened.total, report.began_at) == (0, None)  # not told of any day
    found = recipients(mailings[0])
    assert (found.total, found.rows[0].opens) == (1, 2)
    assert counts_per_object("source", list(Affiliate.objects.all()))


def test_keys_that_differ_in_capitals_only_are_two_recipients_on_later_days_too(mailings):
    readers = [Reference("site.product", key) for key in ("Tea", "tea")]
    for day in (FIRST, LAST):
        roll_up(now=brute_force.at(day))
        time, agent = brute_force.at(day), brute_force.AGENTS[0]
        write(
            [
                Hit(kind=Kind.OPEN, source=mailings[0], entity=one, time=time, user_agent=agent)
                for one in readers
            ]
        )
    assert campaign(mailings[0], LATER).opened.unique == 2
    roll_up(now=LATER)
    assert campaign(mailings[0], LATER).opened.unique == 2


def test_the_task_counts(traffic):
    from tracking.tasks import roll_up as task

    task()
    assert CountedDay.objects.exists()


def test_a_site_without_time_zones_is_counted(mailings):
    with override_settings(USE_TZ=False):
        write(brute_force.traffic(date(2026, 3, 30), date(2026, 3, 31), sources=mailings))
        before = told(sources=mailings)
        assert values()["visits"] == Visit.objects.filter(verdict="human").count() > 0
        roll_up(now=LATER)
        assert told(sources=mailings) == before
        write([Hit(kind=Kind.OPEN, time=brute_force.at(date(2026, 3, 30)))])
        assert LateDay.objects.get().day == date(2026, 3, 30)

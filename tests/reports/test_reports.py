"""What reports say is what a plain loop over the rows counts."""

import csv
import io
import json
import re
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from itertools import pairwise

import pytest
from django.http import QueryDict
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from tests.site.models import Affiliate
from tests.support import brute_force
from tests.support.brute_force import NOW, custom_period
from tracking.hits import Hit, Kind, Reference
from tracking.models import Beacon, Source
from tracking.recording import write
from tracking.reports import (
    BadQuery,
    Filters,
    Period,
    State,
    campaign,
    campaign_table,
    lines,
    listing,
    overview,
    overview_table,
    read_query,
    recipients,
)
from tracking.reports.csv_tables import DANGEROUS, safe
from tracking.reports.top_lists import LISTS
from tracking.rollups.build import roll_up


class TestPeriods:
    def test_named_periods_end_today_and_have_as_many_days(self):
        for name, days in {"today": 1, "7": 7, "30": 30, "90": 90}.items():
            period = Period.from_query({"period": name}, NOW)
            assert (period.days, period.last) == (days, date(2026, 4, 2))
            assert period.is_unfinished
            assert period.before().last == period.first - timedelta(days=1)
            assert period.before().days == days
        assert Period.from_query({}, NOW).days == 30

    def test_today_is_that_of_the_site(self):
        late = datetime(2026, 4, 2, 22, 30, tzinfo=UTC)  # half past midnight in Berlin
        assert Period.from_query({"period": "today"}, late).last == date(2026, 4, 3)

    @pytest.mark.parametrize(
        ("zone", "day", "hours"),
        [
            ("Europe/Berlin", "2026-03-29", 23),
            ("Europe/Berlin", "2025-10-26", 25),
            ("Europe/Berlin", "2026-03-30", 24),
            ("America/New_York", "2026-03-08", 23),
            ("Africa/Cairo", "2025-04-25", 23),  # there is no midnight
            ("Asia/Kathmandu", "2026-03-29", 24),
        ],
    )
    def test_a_day_has_as_many_hours_as_clocks_give_it(self, zone, day, hours):
        with override_settings(TIME_ZONE=zone):
            period = custom_period(day, day)
            buckets = period.buckets()
            assert len(buckets) == hours
            assert (buckets[0].start, buckets[-1].end) == (period.start, period.end)
            assert period.end - period.start == timedelta(hours=hours)
            assert period.zone == zone

    @pytest.mark.parametrize(
        ("first", "last", "unit", "number"),
        [
            ("2026-04-01", "2026-04-01", "hour", 24),
            ("2026-03-31", "2026-04-01", "day", 2),
            ("2026-01-01", "2026-03-31", "day", 90),
            ("2025-12-31", "2026-03-31", "week", 13),
            ("2025-04-02", "2026-04-02", "week", 53),
            ("2025-04-01", "2026-04-02", "month", 13),
        ],
    )
    def test_buckets_follow_each_other_and_fill_the_period(self, first, last, unit, number):
        period = custom_period(first, last)
        buckets = period.buckets()
        assert (period.unit, len(buckets)) == (unit, number)
        assert buckets[0].start == period.start
        assert buckets[-1].end == period.end
        assert all(a.end == b.start for a, b in pairwise(buckets))

    def test_the_last_bucket_is_unfinished_and_later_ones_are_ahead(self):
        buckets = Period.from_query({"period": "today"}, NOW).buckets()  # 11:30 in Berlin
        assert [b.is_unfinished for b in buckets] == [False] * 11 + [True] * 13
        assert [b.is_ahead for b in buckets] == [False] * 12 + [True] * 12
        assert [b.is_unfinished for b in custom_period("2026-03-31", "2026-04-01").buckets()] == [
            False, False
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "query",
        [
            "period=fortnight",
            "period=custom",
            "period=custom&first=2026-03-01",
            "period=custom&first=2026-03-02&last=2026-03-01",
            "period=custom&first=2026-02-30&last=2026-03-01",
            "period=custom&first=2026-03-01&last=2026-04-03",
            "period=custom&first=1800-01-01&last=2026-03-01",
            "period=custom&first=1999-01-01&last=2026-03-01",
            "period=custom&first=%00&last=%F0%9F",
            "country=Germany",
            "country=1%27",
            "device=toaster",
            "mailing=nonsense",
            "mailing=site.affiliate:",
            "mailing=no.such:1",
            "page=%00",
            "page=" + "x" * 3000,
        ],
    )
    def test_a_bad_query_is_told_and_never_fails(self, query):
        asked = read_query(QueryDict(query), NOW)
        assert len(asked.problems) == 1
        assert asked.period == Period.from_query({}, NOW)
        assert not asked.filters

    @given(
        st.dictionaries(
            st.sampled_from(["period", "first", "last", "page", "country", "mailing", "referrer"]),
            st.one_of(st.text(), st.dates().map(str), st.sampled_from(["custom", "7", "(none)"])),
        )
    )
    def test_any_query_gives_a_period_that_can_be_asked_for_again(self, params):
        asked = read_query(params, NOW)
        assert asked.period.days >= 1
        assert read_query(asked.as_query(), NOW) == type(asked)(
            period=asked.period, filters=asked.filters, problems=()
        )

    def test_a_day_is_written_one_way(self):
        with pytest.raises(BadQuery, match="is no day"):
            Period.from_query({"period": "custom", "first": "yesterday", "last": "2026-03-01"}, NOW)


@pytest.mark.django_db
class TestOverview:
    @pytest.mark.parametrize(
        ("zone", "first", "last"),
        [
            ("Europe/Berlin", "2026-03-28", "2026-03-30"),
            ("Europe/Berlin", "2025-10-26", "2025-10-26"),
            ("America/New_York", "2025-11-01", "2025-11-04"),
            ("Asia/Kathmandu", "2026-01-01", "2026-01-01"),
        ],
    )
    def test_every_figure_is_that_of_a_loop(self, zone, first, last):
        with override_settings(TIME_ZONE=zone):
            period = custom_period(first, last)
            before = period.before()
            days = (before.first - timedelta(days=1), period.last + timedelta(days=1))
            tied = {"sources": brute_force.mailings(), "entities": brute_force.readers()}
            hits = brute_force.traffic(*days, zone=zone, number=250, **tied)
            write(hits[:200])
            write(hits[150:])  # some are delivered twice
            report = overview(period)
            expected = brute_force.figures(period.start, period.end, zone=zone)
            expected_before = brute_force.figures(before.start, before.end, zone=zone)
            assert expected["opens"] > expected["unique_opens"] > 5
            assert {name: figure.value for name, figure in report.figures.items()} == expected
            assert {n: f.before for n, f in report.figures.items()} == expected_before
            for name, series in report.series.items():
                for point in series.points:
                    loop = brute_force.figures(point.bucket.start, point.bucket.end, zone=zone)
                    assert point.value == loop[name], (name, point.bucket)

    def test_lists_are_those_of_a_loop(self):
        write(brute_force.traffic(date(2026, 3, 20), date(2026, 3, 31), number=300))
        period = custom_period("2026-03-21", "2026-03-30")
        visits = brute_force.visits_between(period.start, period.end)
        pages = brute_force.pages_between(period.start, period.end)
        lists = overview(period).lists
        for name, column in {
            "sources": "source",
            "campaigns": "campaign",
            "browsers": "browser",
            "systems": "os",
            "devices": "device",
        }.items():
            values = {getattr(visit, column) for visit in visits}
            if name in {"sources", "campaigns"}:
                values.discard("")
            assert {row.value: row.figure for row in lists[name].rows} == {
                value: brute_force.a_day(
                    [visit for visit in visits if getattr(visit, column) == value],
                    lambda visit: visit.visitor_id,
                    lambda visit: visit.started_at,
                )
                for value in values
            }
        assert {row.value: row.numbers["visits"] for row in lists["referrers"].rows} == {
            value: sum(brute_force.host(visit.referrer) == value for visit in visits)
            for value in ("", "search.example", "blog.example")
        }
        assert [(row.value, row.figure) for row in lists["pages"].rows] == sorted(
            ((url, sum(page.url == url for page in pages)) for url in brute_force.PAGES),
            key=lambda item: (-item[1], item[0]),
        )
        assert lists["pages"].whole == len(pages)
        assert sum(row.share for row in lists["pages"].rows) == pytest.approx(1)

    @pytest.mark.parametrize(
        ("filters", "visit", "page", "beacon"),
        [
            (
                {"referrer": "blog.example"},
                lambda v: brute_force.host(v.referrer) == "blog.example",
                lambda p: brute_force.host(p.visit.referrer) == "blog.example",
                None,
            ),
            (
                {"referrer": "(none)", "source": "letter"},
                lambda v: v.referrer == "" and v.source == "letter",
                lambda p: p.visit.referrer == "" and p.visit.source == "letter",
                None,
            ),
            (
                {"os": "Linux", "device": "desktop"},
                lambda v: v.os == "Linux" and v.device == "desktop",
                lambda p: p.visit.os == "Linux" and p.visit.device == "desktop",
                lambda b: b.os == "Linux" and b.device == "desktop",
            ),
            (
                {"page": "/tea/"},
                lambda v: any(page.url == "/tea/" for page in v.pages.all()),
                lambda p: p.url == "/tea/",
                None,
            ),
        ],
    )
    def test_filters_are_those_of_a_loop(self, filters, visit, page, beacon):
        write(brute_force.traffic(date(2026, 3, 20), date(2026, 3, 31), number=300))
        period = custom_period("2026-03-22", "2026-03-30")
        report = overview(period, Filters.from_query(filters))
        expected = brute_force.figures(
            period.start, period.end, visit=visit, page=page, beacon=beacon
        )
        assert expected["visits"] > 0
        if beacon is None:
            for name in ("opens", "unique_opens", "clicks", "unique_clicks"):
                expected[name] = None
        assert {name: figure.value for name, figure in report.figures.items()} == expected

    def test_a_link_is_only_about_clicks(self):
        write(brute_force.traffic(date(2026, 3, 20), date(2026, 3, 31), number=300))
        period = custom_period("2026-03-20", "2026-03-31")
        report = overview(period, Filters(link=brute_force.LINKS[1]))
        clicks = brute_force.beacons_between(
            period.start, period.end, "click", keep=lambda b: b.url == brute_force.LINKS[1]
        )
        assert report.figures["clicks"].value == len(clicks) > 0
        assert report.figures["opens"].value is report.figures["visits"].value is None
        assert report.apart == ()
        assert report.lists["pages"].rows == ()

    def test_a_campaign_filters_beacons_by_our_sources(self):
        ours = Source.objects.create(name="Spring", slug="spring", campaign="spring")
        time = datetime(2026, 3, 20, 12, tzinfo=UTC)
        for source in (Reference.to(ours), None):
            write([Hit(kind=Kind.OPEN, source=source, time=time, user_agent=brute_force.AGENTS[0])])
        period = custom_period("2026-03-20", "2026-03-20")
        assert overview(period).figures["opens"].value == 2
        for filters in ({"campaign": "spring"}, {"mailing": f"tracking.source:{ours.pk}"}):
            report = overview(period, Filters.from_query(filters))
            assert report.figures["opens"].value == 1
        (row,) = report.lists["mailings"].rows
        assert (row.label, row.value) == ("Spring", f"tracking.source:{ours.pk}")

    def test_lists_are_told_in_pages(self):
        write(brute_force.traffic(date(2026, 3, 20), date(2026, 3, 31), number=300))
        period = custom_period("2026-03-20", "2026-03-31")
        whole = listing("pages", period, limit=None)
        parts = [listing("pages", period, limit=3, offset=offset) for offset in (0, 3, 6)]
        assert [row for part in parts for row in part.rows] == list(whole.rows)
        assert [part.has_more for part in parts] == [True, False, False]
        assert {part.total for part in parts} == {4}

    def test_nothing_is_nothing(self):
        report = overview(custom_period("2026-03-20", "2026-03-21"))
        assert report.figures["visits"].value == 0
        assert report.figures["visits"].change is None
        assert report.figures["bounce_rate"].value is None
        assert all(listing.rows == () for listing in report.lists.values())

    def test_without_page_views_visits_tell_how_many(self):
        with override_settings(TRACKING_PAGE_VIEWS=False):
            write(brute_force.traffic(date(2026, 3, 20), date(2026, 3, 20), number=100))
            period = custom_period("2026-03-20", "2026-03-20")
            pages = sum(v.page_views for v in brute_force.visits_between(period.start, period.end))
            assert overview(period).figures["page_views"].value == pages > 0

    def test_it_is_json(self):
        write(
            brute_force.traffic(
                date(2026, 3, 20), date(2026, 3, 31), sources=brute_force.mailings()
            )
        )
        told = json.loads(json.dumps(overview(custom_period("2026-03-20", "2026-03-31")).as_dict()))
        assert set(told["lists"]) == set(LISTS)
        assert told["period"]["time_zone"] == "Europe/Berlin"


@pytest.mark.django_db
class TestCampaign:
    @pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
    @pytest.mark.parametrize("seed", range(3))
    def test_every_count_is_that_of_a_loop(self, zone, seed):
        with override_settings(TIME_ZONE=zone):
            tied = {"sources": brute_force.mailings(), "entities": brute_force.readers(6)}
            write(
                brute_force.traffic(
                    date(2026, 3, 27), date(2026, 4, 1), number=250, seed=seed, zone=zone, **tied
                )
            )
            for source in tied["sources"]:
                report = campaign(source, NOW)
                assert brute_force.reported(report) == brute_force.campaign(source, zone)
                days = [point.value for point in report.days.opens if point.value is not None]
                assert sum(days) == report.opened.total > 0

    def test_a_row_of_any_model_can_be_asked_for(self):
        source = Affiliate.objects.create(name="<b>Anna</b>")
        assert campaign(source, NOW) == campaign(Reference.to(source), NOW)
        report = campaign(source, NOW)
        assert (report.name, report.sent, report.began_at) == ("<b>Anna</b>", None, None)
        assert report.click_to_open is report.open_rate is report.goal is None
        assert json.loads(json.dumps(report.as_dict()))["links"]["rows"] == []

    def test_the_first_day_is_told_by_quarters(self):
        (source,) = brute_force.mailings(1)
        sent = datetime(2026, 3, 28, 23, 10, tzinfo=UTC)  # clocks change an hour later
        times = [0, 4, 5, 19, 20, 24 * 60 - 11, 24 * 60 - 9, 24 * 60 + 60]
        write(
            [
                Hit(kind=Kind.SENT, source=source, time=sent),
                *(
                    Hit(
                        kind=Kind.OPEN,
                        source=source,
                        time=sent + timedelta(minutes=minutes),
                        user_agent=brute_force.AGENTS[0],
                    )
                    for minutes in times
                ),
            ]
        )
        report = campaign(source, NOW)
        quarters = [point.value for point in report.quarters.opens]
        assert len(quarters) == 96
        assert {n: value for n, value in enumerate(quarters) if value} == {0: 2, 1: 2, 2: 1, 95: 1}
        assert report.sent_at == report.began_at == sent

    def test_recipients_have_the_state_that_says_most(self):
        (source,) = brute_force.mailings(1)
        people = brute_force.readers(6)
        time = datetime(2026, 3, 20, 12, tzinfo=UTC)
        human, proxy, apple = brute_force.AGENTS[0], brute_force.AGENTS[2], brute_force.AGENTS[3]
        did = [
            [(Kind.OPEN, human), (Kind.CLICK, human), (Kind.OPEN, apple)],
            [(Kind.OPEN, proxy), (Kind.OPEN, human)],
            [(Kind.OPEN, apple), (Kind.OPEN, proxy)],
            [(Kind.OPEN, apple)],
            [],
            [],
        ]
        write([Hit(kind=Kind.SENT, source=source, entity=each, time=time) for each in people[:5]])
        minutes = iter(range(1, 100))
        for each, deeds in zip(people, did, strict=True):
            write(
                [
                    Hit(
                        kind=kind,
                        source=source,
                        entity=each,
                        user_agent=agent,
                        time=time + timedelta(minutes=next(minutes)),
                    )
                    for kind, agent in deeds
                ]
            )
        found = recipients(source)
        assert found.total == 5
        assert [(row.entity, row.state) for row in found.rows] == [
            (people[3], State.MACHINE),
            (people[2], State.PROXIED),
            (people[1], State.OPENED),
            (people[0], State.CLICKED),
            (people[4], State.NOTHING),
        ]
        first = found.rows[3]
        assert (first.opens, first.clicks, first.sent_at) == (1, 1, time)
        assert (first.first_at, first.last_at) == (
            time + timedelta(minutes=1), time + timedelta(minutes=3)
        )  # fmt: skip
        (nobody,) = recipients(source, state="nothing").rows
        assert (nobody.entity, nobody.first_at) == (people[4], None)
        (searched,) = recipients(source, search="READER2@").rows
        assert searched.entity == people[2]
        assert recipients(source, search="nobody").total == 0
        parts = [recipients(source, limit=2, offset=offset).rows for offset in (0, 2, 4)]
        assert [row for part in parts for row in part] == list(found.rows)
        with pytest.raises(BadQuery):
            recipients(source, state="asleep")
        report = campaign(source, NOW)
        assert report.sent == 5
        assert report.opened.as_dict() | {"total": 0} == {
            "confirmed": 2,
            "proxied": 1,
            "machine": 1,
            "total": 0,
            "proxied_total": 2,
            "machine_total": 3,
        }
        assert (report.engaged, report.click_to_open) == (3, 1 / 3)


@pytest.mark.django_db
class TestTables:
    def test_csv_of_each_table(self):
        (source,) = brute_force.mailings(1)
        tied = {"sources": [source], "entities": brute_force.readers()}
        write(brute_force.traffic(date(2026, 3, 27), date(2026, 4, 1), number=200, **tied))
        period = custom_period("2026-03-27", "2026-04-01")
        report = campaign(source)
        for name, number in {
            "recipients": recipients(source).total,
            "links": len(report.links.rows),
            "countries": len(report.countries.rows),
            "clients": len(report.clients.rows),
            "quarters": 96,
            "days": len(report.days.opens),
        }.items():
            assert len(read(campaign_table(name, source))) == number + 1, name
        for name in LISTS:
            assert len(read(overview_table(name, period))) == listing(name, period).total + 1
        assert len(read(overview_table("series", period))) == 7
        with pytest.raises(KeyError):
            overview_table("secrets", period)
        with pytest.raises(KeyError):
            campaign_table("secrets", source)

    def test_formulas_of_strangers_stay_text(self):
        source = Affiliate.objects.create(name="=cmd|' /C calc'!A0")
        url = '=HYPERLINK("https://evil.example")'
        write(
            [
                Hit(
                    kind=Kind.CLICK,
                    source=Reference.to(source),
                    url=url,
                    user_agent=brute_force.AGENTS[0],
                    time=NOW,
                )
            ]
        )
        assert read(campaign_table("links", source))[1][:2] == ["'" + url, "'" + url]
        period = custom_period("2026-04-02", "2026-04-02")
        assert read(overview_table("mailings", period))[1][1] == "'=cmd|' /C calc'!A0"


def read(table):
    text = "".join(lines(table))
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:], newline="")))


hostile = st.lists(st.sampled_from([*DANGEROUS, ";", ",", '"', "1+1"]) | st.text(max_size=3))


@given(hostile.map("".join))
def test_no_cell_of_a_stranger_begins_a_formula(text):
    cell = safe(text)
    for part in re.split("[;\t\r\n]", cell):
        assert not part.startswith(DANGEROUS)
    plain = text.replace("\0", "")
    assert cell.replace("'", "") == plain.replace("'", "")
    assert cell == plain or not set(plain).isdisjoint("".join(DANGEROUS))


def test_numbers_of_ours_stay_numbers():
    assert [safe(value) for value in (-3, 0, 1.5, None)] == ["-3", "0", "1.5", ""]


@pytest.mark.django_db
class TestWhatIsRead:
    def test_the_first_page_is_that_of_all(self, monkeypatch, django_assert_max_num_queries):
        tied = {"sources": brute_force.mailings(), "entities": brute_force.readers(12)}
        days = (date(2026, 3, 27), date(2026, 4, 1))
        hits = brute_force.traffic(*days, number=300, seed=4, **tied)
        time = max(hit.time for hit in hits) + timedelta(hours=1)
        (source, _other), people = tied["sources"], tied["entities"]
        at_once = [
            Hit(kind=Kind.OPEN, source=source, entity=each, time=time) for each in people[:5]
        ]
        write([*hits, *at_once])
        asked = [
            {"limit": limit, "offset": offset, "state": state}
            for limit in (1, 3, 7, 50)
            for offset in (0, 1, 4, 11)
            for state in (None, *State)
        ]
        pages = [recipients(source, **page) for page in asked]
        monkeypatch.setattr(import_module("tracking.reports.recipients"), "MAX_NEWEST", 0)
        assert pages == [recipients(source, **page) for page in asked]
        monkeypatch.undo()
        all_of = {state: recipients(source, state=state) for state in (None, *State)}
        assert all(len(one.rows) == one.total for one in all_of.values())
        assert {page.state: page.total for page in pages} == {
            state: one.total for state, one in all_of.items()
        }
        # The first and the last beacon; whether days are counted, how many there are, the newest,
        # what these did; their objects, in a savepoint.
        with django_assert_max_num_queries(9):
            recipients(source, limit=3)

    def test_counted_days_tell_how_many_recipients_there_are(self, monkeypatch):
        tied = {"sources": brute_force.mailings(), "entities": brute_force.readers(40)}
        days = (date(2026, 3, 27), date(2026, 4, 1))
        hits = brute_force.traffic(*days, number=400, seed=5, **tied)
        source, _other = tied["sources"]
        for some in (hits[100:], hits[:100]):  # half of them late
            write(some)
            expected = {state: recipients(source, state=state) for state in (None, *State)}
            roll_up()
            with monkeypatch.context() as patch:
                patch.setattr("django.db.models.QuerySet.count", lambda rows: 1 / 0)
                found = {state: recipients(source, state=state) for state in expected}
            assert found == expected
        # Rows that somebody has deleted are noticed at the end of the list.
        Beacon.objects.filter(entity_id=expected[None].rows[0].entity.pk).delete()
        assert recipients(source).total == expected[None].total - 1

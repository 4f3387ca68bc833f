"""The overview equals what a loop over the rows counts."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from django.test import override_settings

from tests.support import brute_force
from tests.support.brute_force import custom_period
from tracking.hits import Hit, Kind, Reference
from tracking.models import Source
from tracking.recording import write
from tracking.reports import Filters, listing, overview
from tracking.reports.top_lists import LISTS


@pytest.mark.django_db
class TestOverview:
    @pytest.mark.long
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
            assert expected["daily_unique_opens"] > expected["confirmed"] > 5
            assert {name: figure.value for name, figure in report.figures.items()} == expected
            assert {n: f.before for n, f in report.figures.items()} == expected_before
            for name, series in report.series.items():
                for point in series.points:
                    loop = brute_force.figures(point.bucket.start, point.bucket.end, zone=zone)
                    assert point.value == loop[name], (name, point.bucket)

    @pytest.mark.long
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

    @pytest.mark.long
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
            expected |= dict.fromkeys(brute_force.OF_BEACONS)
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
        assert report.non_human == ()
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

    def test_lists_have_pages(self):
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

    def test_without_page_views_visits_have_their_number(self):
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

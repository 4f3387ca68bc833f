"""Periods and their buckets."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from django.http import QueryDict
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from tests.support.brute_force import NOW, custom_period
from tracking.reports import BadQuery, Period, read_query
from tracking.reports.periods import as_stored, notes


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
        assert [b.is_future for b in buckets] == [False] * 12 + [True] * 12
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
    def test_a_bad_query_is_reported_and_never_fails(self, query):
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

    def test_days_that_are_counted_one_by_one_stay(self):
        period = custom_period("2026-03-02", "2026-03-20")
        assert as_stored(period, date(2026, 2, 1)) == (period, period.before())
        assert list(notes(*as_stored(period, date(2026, 2, 1)))) == []

    def test_without_the_days_before_there_is_no_previous_period(self):
        period = custom_period("2026-03-02", "2026-03-20")
        assert as_stored(period, date(2026, 3, 1)) == (period, None)
        (note,) = notes(period, None)
        assert "previous period" in note

    @pytest.mark.parametrize(
        ("asked", "shown", "before"),
        [
            ("2025-12-10 2025-12-10", "2025-12-01 2025-12-31", "2025-11-01 2025-11-30"),
            ("2025-12-31 2026-01-01", "2025-12-01 2026-01-31", "2025-10-01 2025-11-30"),
            ("2025-02-01 2026-04-01", "2025-02-01 2026-04-02", "2023-11-01 2025-01-31"),
            ("2016-03-30 2026-04-02", "2016-04-01 2026-04-02", "2006-03-01 2016-03-31"),
        ],
    )
    def test_a_cut_month_is_shown_as_a_whole(self, asked, shown, before):
        period = custom_period(*asked.split())
        found, previous = as_stored(period, date(2026, 1, 1))
        assert f"{found.first} {found.last}" == shown
        assert f"{previous.first} {previous.last}" == before
        assert found.unit == previous.unit == "month"
        assert found.as_dict()["by_month"]
        assert all(bucket.first.day == 1 for bucket in found.buckets())
        assert Period.from_query(found.as_query(), NOW).first == found.first
        assert as_stored(found, date(2026, 1, 1)) == (found, previous)
        (note,) = notes(found, previous)
        assert "whole months" in note

    def test_a_day_is_written_one_way(self):
        with pytest.raises(BadQuery, match="is not a day"):
            Period.from_query({"period": "custom", "first": "yesterday", "last": "2026-03-01"}, NOW)

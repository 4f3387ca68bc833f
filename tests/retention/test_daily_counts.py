"""Old counts of days are added up by the command, the task and the middleware."""

from datetime import datetime, time, timedelta

import pytest
from django.core.management import call_command
from django.db import DatabaseError
from django.utils import timezone

from tests.support.aged_rows import visits
from tracking.models import DailyCount, LateDay, Visit
from tracking.reports import Period, overview
from tracking.reports.plain_text import overview_text
from tracking.retention import clean_up, cleanup, delete_chunk
from tracking.rollups import folding, months
from tracking.rollups.build import roll_up

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def three_months_of_counts(settings):
    """Each day has a visit; counts of days are kept for a month and two days."""
    settings.TRACKING_DAILY_COUNT_RETENTION = 33
    for days in range(1, 100):
        visits(1, timezone.now() - noon(timezone.localdate() - timedelta(days=days)))
    roll_up(now=noon(timezone.localdate()))  # a day is counted an hour after its end


def noon(day):
    return timezone.make_aware(datetime.combine(day, time(12)))


def first_kept():
    return months.month_of(timezone.localdate() - timedelta(days=33))


def days_of_counts():
    return set(DailyCount.objects.values_list("day", flat=True))


def total():
    return sum(DailyCount.objects.filter(facet="visits").values_list("total", flat=True))


def is_done():
    old = {day for day in days_of_counts() if day < first_kept()}
    return {day.day for day in old} == {1} and months.first_single_day("default") == first_kept()


def test_the_clean_up_adds_up_old_days():
    expected = DailyCount.objects.filter(day__lt=first_kept()).count()
    assert clean_up(dry_run=True)["dailycount"] == expected
    assert clean_up(tables=["visit"]) == {"visit": 0}
    assert not is_done()
    told = []
    removed = clean_up(progress=lambda deleted: told.append(deleted["dailycount"]))
    assert removed["dailycount"] == told[-1] == expected
    assert told == sorted(told)
    assert is_done()
    assert total() == 99
    assert clean_up()["dailycount"] == clean_up(dry_run=True)["dailycount"] == 0


def test_counts_are_kept_as_long_as_the_setting_says(settings):
    settings.TRACKING_DAILY_COUNT_RETENTION = None
    assert "dailycount" not in clean_up()
    settings.TRACKING_DAILY_COUNT_RETENTION = 760
    assert clean_up()["dailycount"] == 0
    assert len(days_of_counts()) == 99


def test_turns_of_the_middleware_add_them_up_bit_by_bit():
    turns = 0
    while deleted := delete_chunk(20):
        assert 0 < deleted["dailycount"] < 20 + 31 * 24
        assert total() == 99
        turns += 1
    assert turns > 3
    assert is_done()


def test_a_clean_up_that_breaks_off_goes_on_later(monkeypatch):
    fold, left = folding.fold_some, iter(range(7))

    def break_off(*args):
        if next(left, None) is None:
            raise DatabaseError("gone")
        return fold(*args)

    monkeypatch.setattr(folding, "fold_some", break_off)
    with pytest.raises(DatabaseError):
        clean_up()
    monkeypatch.undo()
    assert total() == 99
    assert cleanup.clean_up(tables=["dailycount"])["dailycount"] > 0
    assert is_done()
    assert total() == 99


def test_the_command_says_what_it_did(capsys):
    call_command("tracking_cleanup", "--table", "dailycount")
    assert "older than 33 days, added up by month" in capsys.readouterr().out
    assert is_done()


def test_the_text_of_a_report_says_that_it_shows_months():
    clean_up()
    today = timezone.localdate()
    period = Period.custom(today - timedelta(days=80), today)
    text = overview_text(overview(period))
    assert "whole months are shown" in text
    before = Period.custom(first_kept(), first_kept() + timedelta(days=3))
    text = overview_text(overview(before))
    assert "The previous period is not shown" in text
    assert "compared with" not in text
    assert overview(before).as_dict()["before"] is None


def test_rows_that_are_late_are_added():
    clean_up()
    assert is_done()
    day = months.later_month(first_kept(), -1) + timedelta(days=10)
    visits(2, timezone.now() - noon(day))
    LateDay.objects.create(day=day)
    roll_up()
    assert total() == Visit.objects.count() == 101
    assert is_done()

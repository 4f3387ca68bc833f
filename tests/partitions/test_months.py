"""Months, and the keys that are made in them."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from tests.support.partitioned import key_of
from tracking.partitions.months import Month, key_time, months_between


@given(st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_every_key_is_in_the_month_of_its_moment(moment):
    month = Month.of(moment)
    assert month.first_key <= key_of(moment) < month.next.first_key
    assert month.start <= moment < month.next.start
    assert key_time(month.first_key) == month.start


@given(st.uuids())
def test_a_key_of_any_version_has_a_moment_or_none(key):
    moment = key_time(key)
    assert moment is None or Month.of(moment).first_key <= key


def test_months_follow_each_other_over_the_year():
    months = Month(2026, 11).following(3)
    assert months == [Month(2026, 11), Month(2026, 12), Month(2027, 1), Month(2027, 2)]
    assert list(months_between(Month(2026, 11), Month(2027, 2))) == months

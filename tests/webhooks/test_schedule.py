from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.webhooks import schedule

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def test_a_message_is_tried_for_three_days():
    total = sum(
        (schedule.delay_of_message(n) for n in range(1, schedule.MAX_ATTEMPTS)), timedelta()
    )
    assert timedelta(days=2) < total < timedelta(days=4)
    assert timedelta(days=3) < schedule.MAX_AGE < timedelta(days=4)


def test_delays_grow_and_vary():
    longest = 0.0
    for number in range(1, schedule.MAX_ATTEMPTS):
        delays = {schedule.delay_of_message(number).total_seconds() for _ in range(50)}
        assert len(delays) > 40
        assert max(delays) > longest
        longest = max(delays)


def test_an_endpoint_is_tried_at_least_each_half_hour():
    pauses = [schedule.pause_of_endpoint(failures) for failures in (1, 2, 3, 4, 50, 10_000)]
    assert pauses[0] < timedelta(seconds=7)
    assert max(pauses) <= timedelta(minutes=36)


def test_an_endpoint_asks_for_a_pause_of_a_day_at_most():
    assert schedule.pause_of_endpoint(1, 120.0) == timedelta(minutes=2)
    assert schedule.pause_of_endpoint(9, 0.0) == timedelta(0)
    assert schedule.pause_of_endpoint(1, 1e9) == timedelta(days=1)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0), (" 0 ", 0.0), ("Sun, 29 Nov 2026 12:01:00 GMT", 60.0),
        ("Sun, 29 Nov 2026 11:00:00 GMT", 0.0), ("Sun Nov 29 12:00:30 2026", 30.0),
        (None, None), ("", None), ("-1", None), ("soon", None), ("1.5", None), ("٣", None),
        ("Sun, 29 Nov 99999 12:01:00 GMT", None), ("9" * 500, 9_999_999_999.0),
    ],
)  # fmt: skip
def test_retry_after(header, seconds):
    assert schedule.retry_after(header, NOW) == seconds


@given(st.text())
def test_any_retry_after(text):
    seconds = schedule.retry_after(text, NOW)
    assert seconds is None or seconds >= 0

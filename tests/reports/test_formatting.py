"""Numbers as people read them."""

from datetime import timedelta
from fractions import Fraction

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from tracking.admin.charts import scales, units
from tracking.management.output import grouped
from tracking.reports import formatting

DASH = "\N{EN DASH}"


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (7, "7"), (1234, "1,234"), (1234567.0, "1,234,567"), (None, DASH)]
)
def test_counts_are_grouped_and_zero_is_not_unknown(value, text):
    assert formatting.count(value) == text


def test_numbers_follow_the_language_of_the_reader():
    with translation.override("de"):
        assert formatting.count(1234) == "1.234"
        assert formatting.rate(0.1234).startswith("12,3")


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0.0%"), (0.1234, "12.3%"), (1, "100.0%"), (None, DASH)]
)
def test_rates_have_one_decimal(value, text):
    assert formatting.rate(value) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"), [(2, 3, "66.7"), (1, 3, "33.3"), (1, 400, "0.3")]
)
def test_percentages_are_rounded_and_not_cut(part, whole, text):
    assert formatting.rate(part / whole) == f"{text}%"
    with translation.override("de"):
        assert formatting.rate(part / whole).startswith(text.replace(".", ","))


@given(st.integers(0, 5_000), st.integers(1, 5_000))
def test_a_percentage_is_within_half_of_its_last_digit(part, whole):
    exact = Fraction(100 * part, whole)
    shown = Fraction(formatting.rate(part / whole).rstrip("%").replace(",", ""))
    assert abs(shown - exact) <= Fraction(1, 20)
    axis = Fraction(units.RATES.axis(part / whole).rstrip("%").replace(",", ""))
    assert abs(axis - exact) <= Fraction(1, 2)


def test_commands_round_as_well():
    assert grouped(1234.96) == "1,235.0"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 s"),
        (12, "12 s"),
        (59.6, "1 min"),
        (252, "4 min 12 s"),
        (3600, "1 h"),
        (3725, "1 h 2 min"),
        (timedelta(minutes=2), "2 min"),
        (-5, "0 s"),
        (None, DASH),
    ],
)
def test_lengths_of_time_have_their_units(value, text):
    assert formatting.duration(value) == text


@pytest.mark.parametrize(
    ("value", "before", "change"),
    [
        (112, 100, ("+12%", "up", "up")),
        (88, 100, ("\N{MINUS SIGN}12%", "down", "down")),
        (100, 100, ("0%", "unchanged", "same")),
        (0, 4, ("\N{MINUS SIGN}100%", "down", "down")),
        (5000, 1, ("+499,900%", "up", "up")),
        (4, 0, None),
        (0, 0, None),
        (4, None, None),
        (None, 4, None),
    ],
)
def test_changes_have_a_sign_and_a_word(value, before, change):
    assert formatting.change(value, before) == change


@pytest.mark.parametrize(
    ("unit", "highest", "axis"),
    [
        (units.COUNTS, 87, ["0", "20", "40", "60", "80", "100"]),
        (units.COUNTS, 6000, ["0", "2,000", "4,000", "6,000"]),
        (units.COUNTS, 7_000_000, ["0", "2 M", "4 M", "6 M", "8 M"]),
        (units.COUNTS, 5_000_000, ["0", "1 M", "2 M", "3 M", "4 M", "5 M"]),
        (units.RATES, 0.42, ["0%", "10%", "20%", "30%", "40%", "50%"]),
        (units.RATES, 0.05, ["0%", "1%", "2%", "3%", "4%", "5%"]),
        (units.SECONDS, 100, ["0 s", "30 s", "1 min", "90 s", "2 min"]),
        (units.SECONDS, 4 * 3600, ["0 s", "1 h", "2 h", "3 h", "4 h"]),
    ],
)
def test_axes_have_units(unit, highest, axis):
    assert [unit.axis(tick) for tick in scales.ticks(highest, unit)] == axis


def test_the_largest_numbers_have_room():
    for exponent in range(19):
        assert len(units.COUNTS.axis(10**exponent)) <= 7

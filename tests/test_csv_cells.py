"""No cell of a CSV file begins a formula, and every text comes back."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.csv_cells import FORMULA_STARTS, guard, unguard

hostile = st.lists(
    st.sampled_from([*FORMULA_STARTS, ";", ",", '"', "'", "1+1"]) | st.text(max_size=3)
).map("".join)


@given(hostile)
def test_no_cell_of_a_stranger_begins_a_formula(text):
    cell = guard(text)
    for part in re.split("[;\t\r\n]", cell):
        assert not part.startswith(FORMULA_STARTS)
    plain = text.replace("\0", "")
    assert cell.replace("'", "") == plain.replace("'", "")
    assert cell == plain or not set(plain).isdisjoint("".join(FORMULA_STARTS))


@given(hostile)
def test_a_guarded_text_comes_back(text):
    assert unguard(guard(text)) == text.replace("\0", "")


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (-3, "-3"),
        (0, "0"),
        (1.5, "1.5"),
        (None, ""),
        (datetime(2026, 3, 29, 1, tzinfo=UTC), "2026-03-29T01:00:00+00:00"),
        ("=1+1", "'=1+1"),
        ("'=1+1", "''=1+1"),
        ("'s-Gravenhage", "'s-Gravenhage"),
        ("a;=1+1", "a;'=1+1"),
    ],
)
def test_only_what_could_be_a_formula_gets_an_apostrophe(value, cell):
    assert guard(value) == cell

"""How parameters of statements are written for each database."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.strategies import any_text, times
from tracking.db import inserts
from tracking.db.parameters import _is_canonical, _json_text, converters_for
from tracking.hits import Kind

pytestmark = pytest.mark.django_db

HYPOTHESIS = settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize(
    ("address", "canonical"),
    [
        ("2001:db8::7", True),
        ("2001:DB8::7", False),
        ("2001:db8:0:0:0:0:0:7", False),
        ("::ffff:192.0.2.7", False),
        ("192.0.2.7", False),
        ("2001:db8::7\0", False),
        ("fe80::1%eth0", False),
    ],
)
def test_canonical_addresses(address, canonical):
    assert _is_canonical(address) is canonical


@pytest.mark.parametrize(
    "data",
    [
        {"a": '\N{SNOWMAN} " \\ / \x7f \x01', "b": 2**63, "c": -(2**80), "d": None, "e": True},
        {"a": 10**4000},
        {"\udc80": "\udc80"},
        {7: 1, None: 2, True: 3, 1.5: 4, 1e300: 5},
        {"a": float("1e16"), "b": -0.0, "c": Kind.OPEN},
    ],
)
def test_what_two_encoders_could_spell_differently_is_the_same_value(data):
    postgresql = converters_for(FakePostgreSQL())
    assert json.loads(postgresql.json(data)) == json.loads(_json_text(data))


class FakePostgreSQL:
    vendor = "postgresql"


@HYPOTHESIS
@given(time=times)
def test_a_moment_is_spelled_as_postgresql_reads_it(time):
    spelled = converters_for(FakePostgreSQL()).time(time)
    assert datetime.fromisoformat(spelled).astimezone(UTC) == time.astimezone(UTC)


@HYPOTHESIS
@given(rows=st.lists(st.tuples(any_text | st.none(), any_text, st.none() | any_text), min_size=1))
def test_rows_without_special_characters_are_spelled_as_those_with_them(rows):
    rows = [tuple(v and v.replace("\0", "") for v in row) for row in rows]
    assert inserts._copy_text(rows) == inserts._escaped_copy_text(rows)

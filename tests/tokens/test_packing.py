"""Values in tokens come back equal and of the same type, or are refused."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

from tests.support.strategies import token_arguments, token_scalars, token_texts, token_values
from tracking.hits import Kind, Reference
from tracking.tokens import dumps, loads

SALT = "a purpose"

keywords = st.dictionaries(token_texts, token_values, max_size=4)

references = st.none() | st.builds(
    Reference,
    st.just("shop.affiliate"),
    st.integers().map(str) | st.uuids().map(str) | token_texts.filter(bool),
)


@given(args=token_arguments, kwargs=keywords)
def test_what_comes_back_is_equal_and_of_the_same_type(args, kwargs):
    payload = loads(dumps(args, kwargs, salt=SALT), salt=SALT)
    assert payload.args == args
    assert payload.kwargs == kwargs
    assert shape([payload.args, payload.kwargs]) == shape([args, kwargs])


def shape(value):
    """What equality overlooks: True is 1, 1 is 1.0, a date can be a datetime."""
    if isinstance(value, list):
        return [shape(item) for item in value]
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return type(value), getattr(value, "utcoffset", lambda: None)()


@given(
    url=st.none() | token_texts,
    source=references,
    entity=references,
    target=references,
    issued_at=st.none() | st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1)),
    args=st.lists(token_scalars, max_size=2),
    kwargs=st.dictionaries(token_texts, token_scalars, max_size=2),
)
def test_what_the_app_adds_comes_back_and_stays_apart_from_the_arguments(
    url, source, entity, target, issued_at, args, kwargs
):
    if issued_at is not None:
        issued_at = issued_at.replace(microsecond=0, tzinfo=UTC)
    added = {
        "url": url,
        "source": source,
        "entity": entity,
        "target": target,
        "issued_at": issued_at,
    }
    payload = loads(dumps(args, kwargs, salt=SALT, **added), salt=SALT)
    assert (payload.args, payload.kwargs) == (args, kwargs)
    assert {name: getattr(payload, name) for name in added} == added


def test_date_and_decimal_and_lazy_arguments_are_accepted():
    args = [date(2026, 2, 28), Decimal("19.90"), gettext_lazy("Yes"), mark_safe("<b>"), Kind.OPEN]
    payload = loads(dumps(args, {"id": UUID(int=7)}, salt=SALT), salt=SALT)
    assert payload.args == [date(2026, 2, 28), Decimal("19.90"), "Yes", "<b>", "open"]
    assert [type(value) for value in payload.args[2:]] == [str, str, str]
    assert payload.kwargs == {"id": UUID(int=7)}


def test_an_aware_datetime_keeps_its_offset():
    moment = datetime(2026, 3, 29, 1, 59, 59, 999999, tzinfo=timezone(timedelta(hours=-9.5)))
    (back,) = loads(dumps([moment], {}, salt=SALT), salt=SALT).args
    assert back == moment
    assert back.utcoffset() == moment.utcoffset()


@pytest.mark.parametrize(
    "moment",
    [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
    ],
)
def test_datetimes_that_utc_cannot_hold(moment):
    assert loads(dumps([moment], {}, salt=SALT), salt=SALT).args == [moment]


@pytest.mark.parametrize(
    ("args", "kwargs", "named"),
    [
        ([object()], {}, r"args\[0\] is a object"),
        ([1, {2}], {}, r"args\[1\] is a set"),
        ([], {"when": b"bytes"}, r"kwargs\['when'\] is a bytes"),
        ([], {"a": {"b": [1, (2,)]}}, r"kwargs\['a'\]\['b'\]\[1\] is a tuple"),
        ([{1: "x"}], {}, r"args\[0\] has the key 1"),
    ],
)
def test_other_types_are_refused_by_the_name_of_the_argument(args, kwargs, named):
    with pytest.raises(TypeError, match=named):
        dumps(args, kwargs, salt=SALT)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (float("nan"), r"args\[0\] is nan"),
        (float("inf"), r"args\[0\] is inf"),
        (Decimal("sNaN"), r"args\[0\] is Decimal\('sNaN'\)"),
        ("\ud800", r"args\[0\] is '\\ud800'"),
        (2**10_000, r"args\[0\] is an integer of 10,001 bits"),
    ],
)
def test_values_that_could_not_come_back_are_refused_by_name(value, named):
    with pytest.raises(ValueError, match=named):
        dumps([value], {}, salt=SALT)


def test_the_second_of_two_equal_hours_stays_the_second():
    moment = datetime(2026, 10, 25, 2, 30, fold=1)
    assert loads(dumps([moment], {}, salt=SALT), salt=SALT).args[0].fold == 1


def test_nesting_is_bounded():
    deep: list = []
    for _ in range(40):
        deep = [deep]
    with pytest.raises(ValueError, match="nested more than 24 deep"):
        dumps(deep, {}, salt=SALT)
    deep.append(deep)
    with pytest.raises(ValueError, match="nested more than 24 deep"):
        dumps([deep], {}, salt=SALT)

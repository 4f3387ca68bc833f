"""Strategies of Hypothesis that several tests draw from."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

# What COPY, JSON and the marks of inserts.py give a meaning to comes more often.
_special = st.sampled_from(
    ["\0", "\\", "\t", "\n", "\r", "\0N", "\0,", "\\N", "\\.", "\\u0000", '"']
)

any_text = st.lists(
    st.one_of(_special, st.text(st.characters(exclude_categories=["Cs"]), max_size=8)), max_size=5
).map("".join)

zones = st.sampled_from(
    [
        UTC,
        timezone(timedelta(hours=-9, minutes=-30)),
        timezone(timedelta(minutes=53, seconds=28)),
        ZoneInfo("UTC"),
        ZoneInfo("Europe/Berlin"),
    ]
)

# MariaDB knows no year before 1000.
times = st.datetimes(datetime(1000, 1, 3), datetime(9998, 12, 30), timezones=zones)

# What a token can carry.
token_texts = st.text(st.characters(exclude_categories=["Cs"]))

token_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**200), max_value=2**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | token_texts
    | st.dates()
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC))
    | st.datetimes(
        timezones=st.builds(
            lambda seconds: timezone(timedelta(seconds=seconds)), st.integers(-86399, 86399)
        )
    )
    | st.decimals(allow_nan=False)
    | st.uuids()
)

token_values = st.recursive(
    token_scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(token_texts, inner, max_size=4),
    max_leaves=10,
)

token_arguments = st.lists(token_values, max_size=4)

"""The key of a browser without a cookie."""

import re
from datetime import date

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from tracking.client_address import client_address
from tracking.identity import visitor_key
from tracking.rollups import days

SALT = b"s" * 32


def day_key(salt=SALT, **meta):
    request = RequestFactory(HTTP_USER_AGENT="Firefox").get("/", **meta)
    return visitor_key.day_key(request, client_address(request), salt)


def test_a_browser_without_cookie_is_the_same_all_day_long():
    assert day_key() == day_key()
    assert re.fullmatch(r"[\w-]{22}", day_key())


@pytest.mark.parametrize(
    "other",
    [
        {"REMOTE_ADDR": "203.0.113.9"},
        {"HTTP_USER_AGENT": "Chrome"},
        {"HTTP_ACCEPT_LANGUAGE": "de"},
        {"HTTP_HOST": "other.example"},
    ],
)
def test_another_browser_is_another_visitor(other):
    assert day_key(**other) != day_key()


def test_another_day_makes_another_key():
    assert day_key(b"t" * 32) != day_key()


def test_without_a_salt_the_secret_makes_one_for_the_day(monkeypatch, settings):
    def on(day):
        monkeypatch.setattr(days, "today", lambda: date(2026, 3, day))
        return day_key(None)

    assert on(1) == on(1) != on(2)
    before = on(1)
    settings.SECRET_KEY = "another secret that only the tests have"
    assert on(1) != before


def test_the_address_is_not_in_the_key():
    """Nor in what it is made of, once the salt is gone: it is a keyed hash."""
    key = day_key(REMOTE_ADDR="203.0.113.9")
    assert "203" not in key
    assert key != day_key(b"", REMOTE_ADDR="203.0.113.9")


@given(st.text(st.characters(codec="latin-1")))
def test_no_header_breaks_it(agent):
    assert len(day_key(HTTP_USER_AGENT=agent)) == visitor_key.KEY_LENGTH

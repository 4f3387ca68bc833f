"""Which browser sends a request."""

import re
from datetime import datetime

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from tracking.identity import visitor_key

SALT = b"s" * 32


def get(cookie=None, **meta):
    request = RequestFactory(HTTP_USER_AGENT="Firefox").get("/", **meta)
    if cookie is not None:
        request.COOKIES["visitor"] = cookie
    return request


def test_a_browser_without_cookie_is_the_same_all_day_long():
    first, second = visitor_key.recognise(get(), SALT), visitor_key.recognise(get(), SALT)
    assert first == second
    assert not first.has_cookie
    assert re.fullmatch(r"[\w-]{22}", first.key)


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
    assert visitor_key.day_key(get(**other), SALT) != visitor_key.day_key(get(), SALT)


def test_another_day_makes_another_key():
    assert visitor_key.day_key(get(), b"t" * 32) != visitor_key.day_key(get(), SALT)


def test_without_a_salt_the_secret_makes_one_for_the_day(monkeypatch, settings):
    def on(day):
        class Clock(datetime):
            @classmethod
            def now(cls, tz):
                return datetime(2026, 3, day, 12, tzinfo=tz)

        monkeypatch.setattr(visitor_key, "datetime", Clock)
        return visitor_key.day_key(get(), None)

    assert on(1) == on(1) != on(2)
    before = on(1)
    settings.SECRET_KEY = "another secret that only the tests have"
    assert on(1) != before


def test_the_address_is_not_in_the_key():
    """Nor in what it is made of, once the salt is gone: it is a keyed hash."""
    key = visitor_key.day_key(get(REMOTE_ADDR="203.0.113.9"), SALT)
    assert "203" not in key
    assert key != visitor_key.day_key(get(REMOTE_ADDR="203.0.113.9"), b"")


def test_a_cookie_of_ours_is_the_visitor_wherever_it_comes_from():
    key = visitor_key.recognise(get(), SALT).key
    cookie = visitor_key.cookie_for(key)
    there = get(cookie, REMOTE_ADDR="198.51.100.7", HTTP_USER_AGENT="Chrome")
    assert visitor_key.recognise(there, b"another day") == (key, True)


@pytest.mark.parametrize("change", [lambda c: c[:-1], lambda c: "x" + c[1:], lambda c: c + "x"])
def test_a_forged_cookie_is_no_cookie(change):
    cookie = change(visitor_key.cookie_for(visitor_key.day_key(get(), SALT)))
    assert visitor_key.recognise(get(cookie), SALT) == (visitor_key.day_key(get(), SALT), False)


def test_a_signature_for_something_else_is_no_cookie():
    from django.core.signing import Signer

    assert not visitor_key.recognise(get(Signer().sign("a" * 22)), SALT).has_cookie
    assert not visitor_key.recognise(get(visitor_key.cookie_for("a key of another length")), SALT)[
        1
    ]


def test_a_cookie_outlives_the_rotation_of_secrets(settings):
    settings.TRACKING_SECRET_KEYS = ["the old secret of these tests"]
    cookie = visitor_key.cookie_for("k" * 22)
    settings.TRACKING_SECRET_KEYS = [
        "the new secret of these tests",
        *settings.TRACKING_SECRET_KEYS,
    ]
    assert visitor_key.recognise(get(cookie), SALT) == ("k" * 22, True)
    settings.TRACKING_SECRET_KEYS = ["the new secret of these tests"]
    assert not visitor_key.recognise(get(cookie), SALT).has_cookie


def test_without_cookies_none_is_read(settings):
    cookie = visitor_key.cookie_for("k" * 22)
    settings.TRACKING_COOKIES = False
    assert visitor_key.recognise(get(cookie), SALT) == (visitor_key.day_key(get(), SALT), False)


@given(st.text(), st.text(st.characters(codec="latin-1")))
def test_nothing_that_strangers_send_breaks_it(cookie, agent):
    found = visitor_key.recognise(get(cookie, HTTP_USER_AGENT=agent), SALT)
    assert len(found.key) == visitor_key.KEY_LENGTH
    assert not found.has_cookie

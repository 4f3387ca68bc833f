"""The visitor's cookie."""

import pytest
import time_machine
from django.core.signing import Signer
from django.http import HttpResponse
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from tracking.identity import visitor_cookie

KEY = "k" * 22


def get(cookie=None):
    request = RequestFactory().get("/")
    if cookie is not None:
        request.COOKIES["visitor"] = cookie
    return request


def read(cookie):
    return visitor_cookie.read(get(cookie))


def test_a_cookie_of_ours_brings_its_key_back():
    assert read(visitor_cookie.sign(KEY)) == KEY
    assert read(None) is None


@pytest.mark.parametrize("change", [lambda c: c[:-1], lambda c: "x" + c[1:], lambda c: c + "x"])
def test_a_forged_cookie_is_no_cookie(change):
    assert read(change(visitor_cookie.sign(KEY))) is None


def test_a_signature_for_something_else_is_no_cookie():
    assert read(Signer().sign("a" * 22)) is None
    assert read(visitor_cookie.sign("a key of another length")) is None


def test_a_cookie_outlives_the_rotation_of_secrets(settings):
    settings.TRACKING_SECRET_KEYS = ["the old secret of these tests"]
    cookie = visitor_cookie.sign(KEY)
    settings.TRACKING_SECRET_KEYS = [
        "the new secret of these tests",
        *settings.TRACKING_SECRET_KEYS,
    ]
    assert read(cookie) == KEY
    settings.TRACKING_SECRET_KEYS = ["the new secret of these tests"]
    assert read(cookie) is None


def test_a_signature_is_that_of_django():
    """Cookies of earlier versions, which used Django's class, stay valid."""
    signer = Signer(salt="tracking.visitor")
    assert visitor_cookie.sign(KEY) == signer.sign(KEY)
    assert read(signer.sign(KEY)) == KEY
    assert read(signer.sign(KEY).replace(":", "")) is None


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.moment("2026-11-21T12:00:00+00:00")
def test_a_cookie_is_set_as_django_sets_it(secure, still_clock):
    request, ours, others = RequestFactory().get("/", secure=secure), HttpResponse(), HttpResponse()
    for key in (KEY, "o" * 22):
        visitor_cookie.set_on(request, ours, key)
        others.set_cookie(
            "visitor",
            visitor_cookie.sign(key),
            max_age=395 * 24 * 60 * 60,
            secure=secure,
            httponly=True,
            samesite="Lax",
        )
        assert str(ours.cookies) == str(others.cookies)


@pytest.mark.moment("2026-11-21T12:00:00+00:00")
def test_a_cookie_expires_thirteen_months_after_it_was_set():
    def expiry():
        response = HttpResponse()
        visitor_cookie.set_on(get(), response, KEY)
        return response.cookies["visitor"]["expires"]

    assert expiry() == expiry() == "Tue, 21 Dec 2027 12:00:00 GMT"
    with time_machine.travel("2026-11-22T12:00:00+00:00"):
        assert expiry() == "Wed, 22 Dec 2027 12:00:00 GMT"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "Cookie"),
        ("Accept-Encoding", "Accept-Encoding, Cookie"),
        ("cookie", "cookie"),
        ("*", "*"),
    ],
)
def test_no_cache_keeps_a_page_with_a_cookie_for_others(before, after):
    response = HttpResponse(headers={"Vary": before} if before else {})
    visitor_cookie.set_on(get(), response, KEY)
    assert response["Vary"] == after


def test_without_cookies_none_is_read(settings):
    cookie = visitor_cookie.sign(KEY)
    settings.TRACKING_COOKIES = False
    assert read(cookie) is None


@given(st.text())
def test_nothing_that_clients_send_is_taken_for_a_cookie(cookie):
    assert read(cookie) is None


def test_an_over_long_cookie_never_reaches_the_cache():
    visitor_cookie._verify.cache_clear()
    assert read("x" * (visitor_cookie.MAX_LENGTH + 1)) is None
    assert visitor_cookie._verify.cache_info().currsize == 0


def test_a_cookie_is_set_and_taken_back():
    response = HttpResponse()
    visitor_cookie.set_on(get(), response, KEY)
    cookie = response.cookies["visitor"]
    assert read(cookie.value) == KEY
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert response["Vary"] == "Cookie"
    response = HttpResponse()
    visitor_cookie.take_back(get(), response)
    assert not response.cookies
    visitor_cookie.take_back(get("anything"), response)
    assert response.cookies["visitor"]["max-age"] == 0
    assert response["Vary"] == "Cookie"


@pytest.mark.parametrize("cached", ["public, max-age=60", "s-maxage=60", "max-age=1, PUBLIC"])
def test_a_response_for_shared_caches_carries_no_cookie(cached):
    response = HttpResponse(headers={"Cache-Control": cached})
    visitor_cookie.set_on(get(), response, KEY)
    visitor_cookie.take_back(get("anything"), response)
    assert not response.cookies
    assert "Vary" not in response

"""What a request costs: calls of Python functions, which hardly vary, and not time."""

import os
import sys
from pathlib import Path

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

import tracking
from tracking import links, views
from tracking.backends import get_backend
from tracking.identity import visitor_cookie
from tracking.middleware import VisitorTrackingMiddleware

FOLDER = str(Path(tracking.__file__).parent) + os.sep
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


@pytest.fixture(autouse=True)
def site(settings, tmp_path, monkeypatch):
    settings.TRACKING_BACKEND = "tracking.backends.buffered.BufferedBackend"
    settings.TRACKING_SPOOL = str(tmp_path)
    # Its thread would write hits while they are counted.
    monkeypatch.setattr(get_backend(), "_start_thread", lambda: None)
    yield
    get_backend().spool.close()


def calls(function, make_request):
    """Return how many functions of the app a request calls once all is in the caches."""
    for _ in range(3):
        function(make_request())
    request, made = make_request(), []

    def note(frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(FOLDER):
            made.append(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        function(request)
    finally:
        sys.setprofile(None)
    return len(made)


def test_a_page_takes_few_calls():
    tracked = VisitorTrackingMiddleware(lambda request: HttpResponse("<p>"))
    cookie = visitor_cookie.sign("k" * 22)

    def page(**meta):
        return RequestFactory(HTTP_USER_AGENT=AGENT).get("/tea/", **meta)

    assert calls(tracked, lambda: page(HTTP_COOKIE=f"visitor={cookie}")) <= 37
    assert calls(tracked, page) <= 51
    assert calls(tracked, lambda: page(HTTP_SEC_FETCH_MODE="cors")) <= 7
    assert get_backend().spool.appended == 8


def test_a_pixel_takes_few_calls():
    path = links.pixel_url((), {"campaign": "spring"})
    token = path.rpartition("/")[2].removesuffix(".gif")

    def pixel():
        return RequestFactory(HTTP_USER_AGENT=AGENT).get(path)

    assert calls(lambda request: views.pixel(request, token), pixel) <= 53
    assert get_backend().spool.appended == 4

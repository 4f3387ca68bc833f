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
from tracking.caching import snapshots
from tracking.edge import EdgeWSGI
from tracking.edge.wsgi import EarlyRequest
from tracking.identity import visitor_cookie
from tracking.middleware import VisitorTrackingMiddleware
from tracking.pixel_callbacks import tracker

FOLDER = str(Path(tracking.__file__).parent) + os.sep
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


@pytest.fixture(autouse=True)
def site(settings, tmp_path, monkeypatch):
    settings.TRACKING_BACKEND = "tracking.backends.buffered.BufferedBackend"
    settings.TRACKING_SPOOL = str(tmp_path)
    # The refresh, twice a second, is no part of a request.
    monkeypatch.setattr(snapshots, "is_due", lambda: False)
    # Its thread would write hits while they are counted.
    monkeypatch.setattr(get_backend(), "_start_thread", lambda: None)
    yield
    get_backend().spool.close()


def calls(function, make_request):
    """Return the functions of the app that a request calls once all is in the caches."""
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
    return made


def test_a_page_takes_few_calls():
    tracked = VisitorTrackingMiddleware(lambda request: HttpResponse("<p>"))
    cookie = visitor_cookie.sign("k" * 22)

    def page(**meta):
        return RequestFactory(HTTP_USER_AGENT=AGENT).get("/tea/", **meta)

    known = calls(tracked, lambda: page(HTTP_COOKIE=f"visitor={cookie}"))
    assert len(known) <= 37, known
    new = calls(tracked, page)
    assert len(new) <= 51, new
    excluded = calls(tracked, lambda: page(HTTP_SEC_FETCH_MODE="cors"))
    assert len(excluded) <= 7, excluded
    assert get_backend().spool.appended == 8


def test_a_pixel_takes_few_calls():
    path = links.pixel_url((), {"campaign": "spring"})
    token = path.rpartition("/")[2].removesuffix(".gif")

    def pixel():
        return RequestFactory(HTTP_USER_AGENT=AGENT).get(path)

    made = calls(lambda request: views.pixel(request, token), pixel)
    assert len(made) <= 53, made
    assert get_backend().spool.appended == 4


def test_the_edge_makes_no_request_for_django(monkeypatch):
    monkeypatch.setattr(tracker, "_callbacks", {})
    path, made = links.pixel_url((), {"campaign": "spring"}), []
    edge = EdgeWSGI(lambda environ, start_response: made.append(environ))
    monkeypatch.setattr(EarlyRequest, "_make_rest", made.append)

    def environ():
        return RequestFactory(HTTP_USER_AGENT=AGENT).get(path, CONTENT_TYPE="").environ

    found = calls(lambda environ: edge(environ, lambda *_: None), environ)
    assert len(found) <= 45, found
    assert made == []
    assert get_backend().spool.appended == 4

"""The edge answers and records exactly as the views do."""

import json
from io import BytesIO
from wsgiref.util import setup_testing_defaults

import pytest
from asgiref.sync import async_to_sync
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished
from django.urls import reverse, set_script_prefix
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.site.models import Product
from tests.support.edge_requests import BANNED, Notebook, Request, ask_asgi, ask_wsgi, requests
from tests.support.processes import Site
from tracking import links, record_opens_and_clicks, tokens
from tracking.backends import get_backend
from tracking.edge import EdgeASGI, EdgeWSGI, asgi
from tracking.middleware import BannedIPMiddleware

MIDDLEWARE = [
    "tracking.middleware.BannedIPMiddleware",
    "tracking.middleware.VisitorTrackingMiddleware",
]
MEMORY = "tracking.backends.memory.MemoryBackend"

SETTINGS = f"""
MIDDLEWARE = {MIDDLEWARE}
TRACKING_BACKEND = {MEMORY!r}
TRACKING_TOKEN_MAX_AGE = 3600
LOGGING_CONFIG = None
SILENCED_SYSTEM_CHECKS = ["admin.E408", "admin.E409", "admin.E410"]
"""

OURS = {
    "pixel",
    "pixel HEAD",
    "pixel prefetched",
    "pixel opted out",
    "pixel untracked",
    "link",
    "link HEAD",
    "link to a target",
    "link to a target that has ended",
    "link that is too old",
}
DJANGO_S = {
    "banned",
    "banned link",
    "pixel POST",
    "pixel forged",
    "link forged",
    "link to a script",
    "pixel of a source",
    "target by number",
    "feed",
    "elsewhere",
}
UNCOUNTED = {
    "pixel HEAD",
    "pixel prefetched",
    "banned",
    "pixel untracked",
    "pixel opted out",
    "link that is too old",
    "link to a target that has ended",
    "pixel forged",
}

#: Requests of a real server close the connection of a transaction that they find open.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def site(settings):
    set_script_prefix("/")
    settings.MIDDLEWARE = MIDDLEWARE
    settings.TRACKING_BACKEND = MEMORY
    settings.TRACKING_TOKEN_MAX_AGE = 3600
    yield
    set_script_prefix("/")  # as each request of a server does


class Counting:
    """Django, and how often it was asked."""

    def __init__(self):
        self.handler = WSGIHandler()
        self.asked = 0

    def __call__(self, environ, start_response):
        self.asked += 1
        return self.handler(environ, start_response)


def test_each_request_gets_the_answer_and_the_record_of_the_views():
    django, behind = WSGIHandler(), Counting()
    edge = EdgeWSGI(behind)
    left_to_django = set()
    for name, request in requests().items():
        before = behind.asked
        assert ask_wsgi(edge, request) == ask_wsgi(django, request), name
        if behind.asked > before:
            left_to_django.add(name)
    assert OURS.isdisjoint(left_to_django)
    assert left_to_django >= DJANGO_S


def test_what_counts_is_recorded_and_the_rest_is_not():
    edge = EdgeWSGI(WSGIHandler())
    hits = {name: ask_wsgi(edge, request).hits for name, request in requests().items()}
    assert [hit["kind"] for hit in hits["pixel"] + hits["link"]] == ["open", "click"]
    assert hits["pixel"][0]["visitor"]
    for name in UNCOUNTED:
        assert hits[name] == [], name


@pytest.mark.slow
@pytest.mark.parametrize("callback", [(), ("--callback",)])
def test_an_event_loop_gives_the_same_too(tmp_path, callback):
    site = Site(tmp_path, SETTINGS)
    results = json.loads(site.run("-m", "tests.support.edge_requests", *callback))
    assert len(results["alone"]) > 50
    for name, outcome in results["alone"].items():
        assert results["edge"][name] == outcome, name
    assert bool(results["edge"]["callbacks"]) is bool(callback)


HEADERS = (
    "User-Agent",
    "Referer",
    "Cookie",
    "Sec-Purpose",
    "Sec-GPC",
    "DNT",
    "X-Forwarded-For",
    "Accept-Language",
    "Host",
)
text = st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["GET", "HEAD", "POST", "OPTIONS"]),
    st.one_of(
        text.map(lambda rest: "/t/" + rest),
        st.builds(
            lambda args, kwargs, cut, end: (
                "/t/" + tokens.dumps(args, kwargs, salt=tokens.PIXEL)[cut:] + end
            ),
            st.lists(st.integers() | st.text(max_size=9) | st.none(), max_size=3),
            st.dictionaries(
                st.text(max_size=5),
                st.floats(allow_nan=False, allow_infinity=False) | st.booleans(),
            ),
            st.sampled_from([0, 0, 0, 1]),
            st.sampled_from([".gif", ".gif", "", "/"]),
        ),
    ),
    st.dictionaries(
        st.sampled_from(HEADERS),
        text,
    ),
    st.sampled_from(["", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "unix", BANNED]),
)
def test_whatever_strangers_send_it_is_answered_as_django_answers(method, path, headers, address):
    request = Request(path.replace("%", "%25"), method, headers, address)
    assert ask_wsgi(EdgeWSGI(WSGIHandler()), request) == ask_wsgi(WSGIHandler(), request)


names = st.sampled_from([*(name.lower() for name in HEADERS), "x_forwarded_for", "content-type"])


@given(
    st.lists(
        st.tuples(
            names.map(str.encode) | st.binary(min_size=1, max_size=80).map(bytes.lower),
            text.map(lambda value: value.encode("latin-1")),
        ),
        max_size=6,
    ),
    st.sampled_from([None, ("192.0.2.1", 1), ("", 0)]),
)
def test_headers_are_read_as_django_reads_them(headers, client):
    scope = {"path": "/t/x.gif", "method": "GET", "headers": headers, "client": client}
    early, whole = asgi.EarlyRequest(scope), ASGIRequest(scope, BytesIO())
    kept = {k: v for k, v in whole.META.items() if k.startswith("HTTP_") or k == "REMOTE_ADDR"}
    assert {key: value for key, value in early.META.items() if key in kept} == kept
    assert early.META.items() <= whole.META.items()
    assert early.COOKIES == whole.COOKIES
    assert (early.path, early.META) == (whole.path, whole.META)


def test_callbacks_get_the_request_and_the_urls_of_the_site(callbacks):
    callbacks.register(Notebook)
    Notebook.seen.clear()
    ask_wsgi(EdgeWSGI(WSGIHandler()), Request(links.pixel_url(["a"], {"b": 1})))
    [(method, url, args, kwargs)] = Notebook.seen
    assert (method, args, kwargs) == ("GET", ("a",), "{'b': 1}")
    assert url.startswith("http://127.0.0.1/t/")


def test_a_site_without_our_middlewares_has_neither_bans_nor_visitors(settings):
    settings.MIDDLEWARE = []
    asked = requests()
    edge = EdgeWSGI(WSGIHandler())
    assert ask_wsgi(edge, asked["banned"]) == ask_wsgi(WSGIHandler(), asked["banned"])
    [hit] = ask_wsgi(edge, asked["banned"]).hits
    assert hit["visitor"] is None


def banning(get_response):
    """A middleware of the site that is a function, with ours within."""
    return BannedIPMiddleware(get_response)


def test_a_ban_holds_where_our_middleware_is_within_a_function(settings):
    settings.MIDDLEWARE = [f"{__name__}.banning"]
    asked = requests()
    for name in ("banned", "banned link"):
        answered = ask_wsgi(EdgeWSGI(WSGIHandler()), asked[name])
        assert (answered.status[:3], answered.hits) == ("403", [])


def test_nothing_is_asked_of_the_database_between_two_polls(django_assert_num_queries):
    edge = EdgeWSGI(WSGIHandler())
    pixel, link = Request(links.pixel_url()), Request(links.link_url("https://shop.example/"))
    ask_wsgi(edge, pixel)
    with django_assert_num_queries(0):
        for _ in range(5):
            assert ask_wsgi(edge, pixel).hits
            assert ask_wsgi(edge, link).hits


def test_a_site_that_insists_on_https_sends_who_comes_without_it_there(settings):
    settings.SECURE_SSL_REDIRECT = True
    settings.MIDDLEWARE = ["django.middleware.security.SecurityMiddleware"]
    asked = requests()
    edge = EdgeWSGI(WSGIHandler())
    refused = ask_wsgi(edge, asked["pixel"])
    assert (refused.status[:3], refused.hits) == ("301", [])
    answered = ask_wsgi(edge, asked["https"])
    assert answered.status == "200 OK"
    assert len(answered.hits) == 1


def test_a_prefix_of_the_server_is_no_part_of_the_path():
    def answered(environ, start_response):
        raise AssertionError("Django was asked")

    environ = {"SCRIPT_NAME": "/shop", "PATH_INFO": links.pixel_url(), "REQUEST_METHOD": "GET"}
    assert b"".join(_call(EdgeWSGI(answered), environ)).startswith(b"GIF89a")


def _call(application, environ):
    setup_testing_defaults(environ)
    return application(environ, lambda *_: None)


def test_without_urls_of_the_app_all_goes_to_django(settings, caplog):
    settings.ROOT_URLCONF = "tests.support.urls_without_pages"
    request = Request("/t/x.gif")
    assert ask_wsgi(EdgeWSGI(WSGIHandler()), request) == ask_wsgi(WSGIHandler(), request)
    assert "do not include tracking.urls" in caplog.text


def test_what_the_app_cannot_do_is_left_to_django_before_anything_is_recorded(monkeypatch):
    asked = requests()
    django, edge = WSGIHandler(), EdgeWSGI(WSGIHandler())

    def fail(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(record_opens_and_clicks, "_decode", fail)
    for name in ("pixel", "link"):
        assert ask_wsgi(edge, asked[name]) == ask_wsgi(django, asked[name])


def test_a_backend_that_fails_stops_nobody(monkeypatch, caplog):
    asked = requests()

    def refuse(_hit):
        raise OSError("no space left")

    monkeypatch.setattr(get_backend(), "send", refuse)
    edge = EdgeWSGI(WSGIHandler())
    assert ask_wsgi(edge, asked["pixel"]).status == "200 OK"
    assert ask_wsgi(edge, asked["link"]).status == "302 Found"
    assert [record.exc_info[0] for record in caplog.records] == [OSError] * 2


def test_other_kinds_of_connections_go_to_django():
    seen = []

    async def django(scope, receive, send):
        seen.append(scope["type"])

    async_to_sync(EdgeASGI(django))({"type": "websocket"}, None, None)
    assert seen == ["websocket"]


def test_rows_are_written_by_the_default_backend(settings):
    from tracking.models import Beacon

    settings.TRACKING_BACKEND = "tracking.backends.immediate.ImmediateBackend"
    edge = EdgeWSGI(WSGIHandler())
    path = links.pixel_url([], {"campaign": "spring"})
    for _ in range(2):
        assert b"".join(_call(edge, {"PATH_INFO": path, "REQUEST_METHOD": "GET"}))
    assert [beacon.data for beacon in Beacon.objects.all()] == [{"campaign": "spring"}] * 2


def test_a_prefix_of_the_server_is_part_of_what_the_site_s_models_answer(monkeypatch):
    monkeypatch.setattr(Product, "get_absolute_url", lambda self: reverse("tracking:health"))
    link = links.link_url(target=Product.objects.create())

    def asked(application):
        set_script_prefix("/")  # as it is in a thread that is new
        answered = []
        environ = {"SCRIPT_NAME": "/shop", "PATH_INFO": link, "REQUEST_METHOD": "GET"}
        setup_testing_defaults(environ)
        application(environ, lambda *what: answered.append(what))
        return answered

    [(_, headers)] = asked(WSGIHandler())
    assert dict(headers)["Location"] == "/shop/t/health"
    assert asked(EdgeWSGI(WSGIHandler())) == [("302 Found", headers)]


@pytest.mark.parametrize("kind", ["pixel", "link"])
def test_what_fails_after_a_hit_was_recorded_does_not_record_it_again(callbacks, kind):
    callbacks.register(Notebook)
    request = requests()[kind]
    Notebook.seen.clear()

    def fail(**_):
        raise RuntimeError("broken")

    request_finished.connect(fail)
    try:
        outcome = ask_wsgi(EdgeWSGI(WSGIHandler()), request)
    finally:
        request_finished.disconnect(fail)
    assert outcome.status in {"200 OK", "302 Found"}
    assert len(outcome.hits) == 1
    assert len(Notebook.seen) == 1


@pytest.mark.parametrize("kind", ["pixel", "link"])
def test_what_fails_after_a_hit_was_recorded_in_an_event_loop_does_not_either(callbacks, kind):
    callbacks.register(Notebook)
    request = requests()[kind]
    Notebook.seen.clear()

    async def fail(**_):
        raise RuntimeError("broken")

    request_finished.connect(fail)
    try:
        outcome = async_to_sync(ask_asgi)(EdgeASGI(ASGIHandler()), request)
    finally:
        request_finished.disconnect(fail)
    assert outcome.status in {"200", "302"}
    assert len(outcome.hits) == 1
    assert len(Notebook.seen) == 1

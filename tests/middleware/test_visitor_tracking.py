"""Tracking visitors by the middleware, from the request to the rows."""

import logging
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import OperationalError, connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.site.models import Affiliate
from tests.support.concurrency import together
from tracking import links, sync_and_async
from tracking.backends import BaseBackend, get_backend
from tracking.caching import snapshots
from tracking.models import Beacon, PageView, UntrackedUserAgent, Visit, Visitor
from tracking.reports.filters import Filters
from tracking.reports.periods import Period
from tracking.reports.top_lists import listing

TRACKING = "tracking.middleware.VisitorTrackingMiddleware"
BAN = "tracking.middleware.BannedIPMiddleware"
MEMORY = "tracking.backends.memory.MemoryBackend"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def tracked(settings):
    settings.MIDDLEWARE = [*django_settings.MIDDLEWARE, TRACKING]


@pytest.fixture
def memory(settings):
    settings.TRACKING_BACKEND = MEMORY
    return get_backend()


@pytest.fixture
def client():
    return Client(headers={"User-Agent": FIREFOX})


def test_a_page_view_is_recorded(client):
    client.get(
        "/page/1?utm_source=letter&utm_medium=email&secret=1",
        headers={"Referer": "https://a.example/"},
    )
    client.get("/page/2", headers={"Referer": "http://testserver/page/1"})
    visitor = Visitor.objects.get()
    assert (visitor.url, visitor.page_views, visitor.referrer) == (
        "/page/2",
        2,
        "https://a.example/",
    )
    assert visitor.user_agent == FIREFOX
    assert visitor.ip_address == "127.0.0.1"
    visit = Visit.objects.get()
    assert (visit.source, visit.medium, visit.entry_url) == ("letter", "email", "/page/1")
    assert list(Visitor.objects.active()) == [visitor]
    assert list(Visitor.objects.active(minutes=0)) == []


def test_a_visitor_is_recognised_by_the_cookie_from_anywhere(client):
    first = client.get("/page/1")
    cookie = first.cookies["visitor"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert cookie["max-age"] == 395 * 24 * 60 * 60
    assert not cookie["secure"]
    assert "Cookie" in first["Vary"]
    second = client.get("/page/2", REMOTE_ADDR="198.51.100.7", headers={"User-Agent": "Chrome"})
    assert "visitor" not in second.cookies  # never prolonged
    assert Visitor.objects.get().page_views == 2


def test_the_cookie_goes_over_tls_only_if_it_has_come_so(client):
    assert client.get("/page/1", secure=True).cookies["visitor"]["secure"]


def test_two_first_requests_of_one_browser_are_one_visitor():
    for _ in range(2):
        Client(headers={"User-Agent": FIREFOX}).get("/page/1")
    assert Visitor.objects.get().page_views == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="an in-memory database has one writer")
def test_two_hundred_concurrent_first_requests_of_one_browser_are_one_visitor(caplog):
    """django-user-tracking: page views lost under concurrency."""
    statuses = []

    def browse():
        # A client of its own each time: none of these requests has a cookie yet.
        clients = [Client(headers={"User-Agent": FIREFOX}) for _ in range(5)]
        statuses.extend(client.get("/page/1").status_code for client in clients)

    assert together(40, browse) == []
    assert statuses == [200] * 200
    assert Visitor.objects.get().page_views == Visit.objects.get().page_views == 200
    assert PageView.objects.count() == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_without_cookies_a_visitor_is_known_for_the_day(settings, client):
    settings.TRACKING_COOKIES = False
    response = client.get("/page/1")
    client.get("/page/2")
    client.get("/page/1", headers={"User-Agent": "Another"})
    assert not response.cookies
    assert "Vary" not in response
    assert sorted(Visitor.objects.values_list("page_views", flat=True)) == [1, 2]


def test_a_page_for_shared_caches_sets_no_cookie(client):
    response = client.get("/cached/")
    assert not response.cookies
    assert Visitor.objects.get().url == "/cached/"


@pytest.mark.parametrize("headers", [{"DNT": "1"}, {"Sec-GPC": "1"}])
def test_who_opts_out_is_not_tracked_and_loses_the_cookie(client, headers):
    client.get("/page/1")
    response = client.get("/page/2", headers=headers)
    assert response.cookies["visitor"]["max-age"] == 0
    assert Visitor.objects.get().page_views == 1


@pytest.mark.parametrize("headers", [{}, {"DNT": "1"}])
def test_no_cache_hands_the_cookie_of_one_reader_to_another(client, headers):
    client.get("/page/1")
    assert "Cookie" in client.get("/page/2", headers={"DNT": "1"})["Vary"]
    assert not client.get("/cached/", headers=headers).cookies


@pytest.fixture
def site_cache():
    cache.clear()
    yield
    cache.clear()


def test_a_cache_of_the_whole_site_is_filled_and_every_reader_counted(settings, site_cache):
    settings.MIDDLEWARE = [
        TRACKING,
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
    ]
    for number in range(5):
        reader = Client(headers={"User-Agent": FIREFOX}, REMOTE_ADDR=f"203.0.113.{number}")
        with CaptureQueriesContext(connection) as queries:
            assert reader.get("/numbered/").content == b"<p>1"
    assert Visitor.objects.filter(url="/numbered/").count() == 5
    assert not any("affiliate" in query["sql"] for query in queries)


def test_a_cookie_without_consent_is_not_read(settings, client):
    client.get("/page/1")
    settings.TRACKING_CONSENT = "tests.support.consent.not_asked"
    client.get("/page/1", REMOTE_ADDR="203.0.113.9")
    assert Visitor.objects.count() == 2


def test_the_consent_callable_may_be_given_itself(settings, client):
    settings.TRACKING_CONSENT = lambda request: request.path != "/page/1"
    client.get("/page/1")
    client.get("/page/2")
    assert Visitor.objects.get().page_views == 1


def test_who_was_not_asked_is_counted_without_a_cookie(settings, client):
    settings.TRACKING_CONSENT = "tests.support.consent.not_asked"
    assert not client.get("/page/1").cookies
    assert Visitor.objects.get().page_views == 1
    settings.TRACKING_CONSENT = "tests.support.consent.no"
    client.get("/page/1")
    assert Visitor.objects.get().page_views == 1
    settings.TRACKING_CONSENT = "tests.support.consent.yes"
    assert client.get("/page/1").cookies
    assert Visitor.objects.get().page_views == 2


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("post", "/page/1", {}),
        ("head", "/page/1", {}),
        ("get", "/page/1", {"Sec-Purpose": "prefetch"}),
        ("get", "/page/1", {"X-Requested-With": "XMLHttpRequest"}),
        ("get", "/missing", {}),
        ("get", "/admin/login/", {}),
        ("get", "/t/active", {}),
        ("get", "/static/x.html", {}),
        ("get", "/log-out/", {}),
    ],
)
def test_what_is_no_page_view_leaves_no_trace(client, memory, method, path, headers):
    response = getattr(client, method)(path, headers=headers)
    assert memory.hits == []
    assert "visitor" not in response.cookies


@pytest.mark.parametrize("headers", [{"Sec-Purpose": "prefetch"}, {"Sec-Fetch-Mode": "cors"}])
def test_nothing_is_made_for_what_is_no_page_view(client, memory, headers):
    request = client.get("/page/1", headers=headers).wsgi_request
    assert not hasattr(request, "_tracking_info")


def test_a_failing_page_is_not_counted(memory):
    client = Client(raise_request_exception=False)
    assert client.get("/failing/").status_code == 500
    assert memory.hits == []


def test_untracked_user_agents_are_not_tracked_from_the_next_request_on(client):
    """django-user-tracking: untracked agents take up to an hour to apply."""
    client.get("/page/1")
    UntrackedUserAgent.objects.create(keyword="FIREFOX")
    client.get("/page/2")
    assert Visitor.objects.get().page_views == 1
    client.get(links.pixel_url())
    assert not Beacon.objects.exists()
    UntrackedUserAgent.objects.all().delete()
    client.get("/page/3")
    assert Visitor.objects.get().page_views == 2


def test_the_settings_of_the_site_stay_as_they_are(client):
    """django-user-tracking mutates the site's settings."""
    before = dict(vars(django_settings._wrapped))
    client.get("/page/1")
    assert dict(vars(django_settings._wrapped)) == before


def test_times_are_aware(client):
    """django-user-tracking: naive times."""
    client.get("/page/1")
    assert timezone.is_aware(Visitor.objects.get().last_update)


# Beacons of a tracked browser.


def test_a_click_belongs_to_the_visitor_even_if_it_comes_first(client):
    client.get(links.link_url("https://shop.example/"))
    assert Beacon.objects.get().visitor is None
    client.get("/page/1")
    assert Beacon.objects.get().visitor == Visitor.objects.get()
    client.get(links.link_url("https://shop.example/"), REMOTE_ADDR="198.51.100.7")
    assert Visitor.objects.get().beacons.count() == 2


def test_a_click_of_who_opts_out_is_answered_and_not_recorded(client, settings):
    response = client.get(links.link_url("https://shop.example/"), headers={"Sec-GPC": "1"})
    assert response.status_code == 302
    assert not Beacon.objects.exists()
    settings.TRACKING_RESPECT_OPT_OUT = False
    client.get(links.link_url("https://shop.example/"), headers={"Sec-GPC": "1"})
    assert Beacon.objects.count() == 1


# Session and user.


def test_neither_queries_nor_session_access_are_added(memory, settings):
    """Counted, on the memory backend, beside the same site without us."""
    user = get_user_model().objects.create_user("anna")

    def costs(client):
        client.get("/page/1")  # the cookie; and what is read once per process
        for path in ("/page/1", "/greeting/", "/basket/"):
            with CaptureQueriesContext(connection) as queries:
                response = client.get(path)
            session = response.wsgi_request.session
            yield len(queries), session.accessed, session.modified, response.get("Vary")

    def both_readers():
        for logged_in in (False, True):
            client = Client(headers={"User-Agent": FIREFOX})
            if logged_in:
                client.force_login(user)
            yield from costs(client)

    with_us = list(both_readers())
    assert len(memory.hits) == 2 * 4
    settings.MIDDLEWARE = settings.MIDDLEWARE[:-1]
    assert list(both_readers()) == with_us
    assert with_us[0] == (0, False, False, None)
    assert len(memory.hits) == 2 * 4


def test_an_anonymous_reader_needs_no_session(client):
    client.get("/page/1")
    assert Session.objects.count() == 0
    assert Visitor.objects.get().session_key == ""


def test_logging_in_is_noticed_where_a_page_knows_it(client):
    user = get_user_model().objects.create_user("anna")
    client.get("/greeting/")
    assert Visitor.objects.get().user is None
    client.get("/log-in/anna", follow=True)
    visitor = Visitor.objects.get()
    assert visitor.user == user
    assert timezone.now() - visitor.logged_in_at < timedelta(minutes=1)
    assert visitor.session_key == client.session.session_key
    client.get("/page/1")
    assert Visitor.objects.get().user == user
    client.get("/log-out/", follow=True)
    assert Visitor.objects.get().user is None


def test_a_site_without_sessions_and_users_is_tracked_too(settings, client):
    settings.MIDDLEWARE = [TRACKING]
    client.get("/page/1")
    assert Visitor.objects.get().user is None


# What goes wrong, stays here.


class Broken(BaseBackend):
    def send(self, hit):
        raise RuntimeError("the queue is away")


@pytest.fixture
def one_error(caplog):
    yield
    errors = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert len(errors) == 1, [record.getMessage() for record in errors]
    assert errors[0].name.startswith("tracking.")


def test_a_backend_that_fails_leaves_the_page_served(client, settings, one_error):
    settings.TRACKING_BACKEND = f"{__name__}.Broken"
    assert client.get("/page/1").content == b"<p>1"


@pytest.mark.django_db(transaction=True)
def test_a_database_without_our_tables_leaves_the_page_served_and_its_own_work_done(
    client, one_error
):
    """django-user-tracking: a swallowed error poisons an outer transaction."""
    client.get("/page/1")
    name = Visitor._meta.db_table
    with connection.schema_editor() as editor:
        editor.alter_db_table(Visitor, name, f"{name}_away")
    try:
        with CaptureQueriesContext(connection):
            assert client.get("/basket/").status_code == 200
    finally:
        with connection.schema_editor() as editor:
            editor.alter_db_table(Visitor, f"{name}_away", name)
    assert Affiliate.objects.count() == 1
    assert Session.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ask", ["under WSGI", "under ASGI"])
def test_a_database_that_is_gone_is_one_line_of_the_log(settings, monkeypatch, one_error, ask):
    settings.MIDDLEWARE = [BAN, TRACKING]
    ask_async("/async-page/1")

    def gone(*args, **kwargs):
        raise OperationalError("server closed the connection unexpectedly")

    snapshots.changed("filters")  # so that this request looks whether anything is new
    monkeypatch.setattr("django.db.backends.utils.CursorWrapper.execute", gone)
    monkeypatch.setattr("django.db.backends.utils.CursorWrapper.executemany", gone)
    if ask == "under WSGI":
        assert Client().get("/page/2").content == b"<p>1"
    else:
        assert ask_async("/async-page/2")[0].content == b"<p>1"
    monkeypatch.undo()
    assert Visitor.objects.get().page_views == 1


def test_within_a_transaction_of_the_site_a_failure_is_rolled_back_to_a_savepoint(
    client, monkeypatch, one_error
):
    """The whole request in one transaction, as here in a test: it must go on."""
    from tracking.recording import one_page_view

    monkeypatch.setattr(one_page_view, "_assignments", lambda _sql: ["nonsense"])
    assert client.get("/basket/").status_code == 200
    assert Affiliate.objects.count() == 1
    assert not Visitor.objects.exists()


# Under ASGI.


def ask_async(*paths, **extra):
    async def visit():
        client = AsyncClient(headers={"User-Agent": FIREFOX})
        return [await client.get(path, **extra) for path in paths]

    return async_to_sync(visit)()


@pytest.mark.django_db(transaction=True)
def test_works_under_asgi(settings):
    get_user_model().objects.create_user("anna")
    responses = ask_async("/page/1", "/async-page/2", "/log-in/anna", "/greeting/")
    assert [response.status_code for response in responses] == [200, 200, 302, 200]
    assert responses[0].cookies["visitor"]
    visitor = Visitor.objects.get()
    assert (visitor.page_views, visitor.user.username) == (3, "anna")


@pytest.mark.django_db(transaction=True)
def test_consent_may_ask_the_database_under_asgi(settings):
    settings.TRACKING_CONSENT = f"{__name__}.by_affiliates"
    ask_async("/async-page/1")
    assert Visitor.objects.count() == 1


def by_affiliates(request):
    return Affiliate.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_the_event_loop_is_not_left_for_a_page(settings, monkeypatch):
    """With a backend that does not wait, an asynchronous page makes no thread hop of ours."""
    settings.MIDDLEWARE = [TRACKING]
    settings.TRACKING_BACKEND = MEMORY
    ask_async("/async-page/1")
    monkeypatch.setattr(sync_and_async, "sync_to_async", None)
    monkeypatch.setattr(snapshots, "is_due", lambda: False)
    ask_async("/async-page/2", "/async-page/3")
    assert len(get_backend().hits) == 3


# Whatever comes.


@pytest.mark.long
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    query=st.text(max_size=60),
    referrer=st.text(st.characters(codec="latin-1"), max_size=60),
    host=st.sampled_from(["testserver", "evil.example", "", "[::1", "a b"]),
    cookie=st.text(st.characters(codec="ascii", exclude_characters=";\r\n"), max_size=60),
)
def test_nothing_that_strangers_send_breaks_a_page(query, referrer, host, cookie):
    client = Client(
        headers={"User-Agent": FIREFOX, "Referer": referrer, "Cookie": f"visitor={cookie}"}
    )
    response = client.get("/page/x", {"utm_source": query}, HTTP_HOST=host)
    assert response.status_code in {200, 400}
    if response.status_code == 200:
        assert PageView.objects.count() > 0


def test_nobody_is_shown_as_logged_in_after_logging_out(client, django_user_model):
    """The response of LogoutView is a redirect, and the next page may not ask for the user."""
    django_user_model.objects.create_user("anna")
    client.get("/log-in/anna")
    client.get("/greeting/")
    assert Visitor.objects.get().user.username == "anna"
    assert client.get("/log-out/").status_code == 302
    client.get("/page/1")
    visitor = Visitor.objects.get()
    assert (visitor.user, visitor.logged_in_at, visitor.session_key) == (None, None, "")
    assert Visit.objects.get().user.username == "anna"


def test_logging_out_works_while_visitors_cannot_be_written(
    client, django_user_model, monkeypatch, caplog
):
    def fail(key):
        raise OperationalError("away")

    django_user_model.objects.create_user("anna")
    client.get("/log-in/anna")
    monkeypatch.setattr("tracking.recording.visitors.log_out", fail)
    assert client.get("/log-out/").status_code == 302
    assert "Logging out the visitor failed" in caplog.text


#: Referrers, and the site and channel of the visits that they led to.
CAME_FROM = [
    ("https://www.google.com/", "Google", "search"),
    ("https://www.google.com:443/", "Google", "search"),
    ("https://www.google.com./", "Google", "search"),
    ("https://google.co.uk/", "Google", "search"),
    ("android-app://com.google.android.googlequicksearchbox/", "Google", "search"),
    ("https://www.bing.com/search?q=x", "Bing", "search"),
    ("https://t.co/abc", "X", "social"),
    ("https://lm.facebook.com/", "Facebook", "social"),
    ("https://chatgpt.com/", "ChatGPT", "assistant"),
    ("https://example.com/page", "", "internal"),
    ("about:blank", "", "direct"),
    ("javascript:alert(1)", "", "direct"),
    ("https://www.google.com@evil.example/x", "evil.example", "referral"),
]


def test_a_visit_names_the_site_that_led_to_it(settings):
    settings.ALLOWED_HOSTS = ["www.example.com"]
    for number, (referrer, _site, _channel) in enumerate(CAME_FROM):
        headers = {
            "Host": "www.example.com",
            "User-Agent": f"{FIREFOX}.{number}",
            "Referer": referrer,
        }
        assert Client(headers=headers).get("/page/1").status_code == 200
    visits = Visit.objects.order_by("started_at")
    assert [(visit.referrer_site, visit.channel) for visit in visits] == [
        (site, channel) for _referrer, site, channel in CAME_FROM
    ]
    assert not Visit.objects.filter(referrer__contains="@").exists()
    today = Period.from_query({"period": "today"})
    found = listing("referrers", today)
    assert {row.label: row.figure for row in found.rows} == {
        "Google (Search engine)": 5,
        "Bing (Search engine)": 1,
        "X (Social)": 1,
        "Facebook (Social)": 1,
        "ChatGPT (AI assistant)": 1,
        "evil.example": 1,
        "Direct": 2,
    }
    for row in found.rows:
        chosen = Filters.from_query({row.filter_key: row.filter_value})
        assert listing("referrers", today, chosen).whole == row.figure
        assert listing("pages", today, chosen).whole == row.figure
    for spelling in ("google.de", "www.google.com"):
        assert Filters.from_query({"referrer": spelling}).referrer == "Google"


def test_the_referrer_of_a_beacon_has_the_spelling_of_a_visit(client):
    for referrer in ("https://me:secret@WWW.Blog.example:443/a#b", "about:blank"):
        client.get(links.pixel_url(), headers={"Referer": referrer})
    referrers = Beacon.objects.order_by("time").values_list("referrer", flat=True)
    assert list(referrers) == ["https://www.blog.example/a", ""]

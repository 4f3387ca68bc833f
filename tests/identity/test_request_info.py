"""What one request tells."""

import copy
import gc
import pickle
import weakref
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory
from django.utils.functional import SimpleLazyObject

from tests.support import clocks
from tracking import client_address, exclusions
from tracking.caching import snapshots
from tracking.hits import Kind
from tracking.identity import browser_consent, daily_salt, visitor_cookie
from tracking.identity.browser_consent import Consent
from tracking.identity.request_info import RequestInfo
from tracking.rollups import days

KEY = "k" * 22


def tracked(request):
    RequestInfo.track_visitor(request)
    return RequestInfo.of(request)


# One object for each request.


def test_each_part_is_found_once_and_only_if_it_is_needed(monkeypatch, settings):
    found = []

    def count(module, name):
        original = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args: found.append(name) or original(*args))

    count(client_address, "client_address")
    count(exclusions, "opts_out")
    count(exclusions, "exclude_request")
    count(browser_consent, "ask")
    count(visitor_cookie, "read")
    count(daily_salt, "today")
    settings.TRACKING_CONSENT = lambda request: True
    request = RequestFactory().get("/", HTTP_DNT="0")
    info = tracked(request)
    assert RequestInfo.of(request) is info
    assert found == []
    for _ in range(2):
        assert info.address == info.recorded_address == "127.0.0.1"
        assert found == ["client_address"]
    for _ in range(2):
        assert (info.exclusion, info.consent, info.opts_out) == (None, Consent.TRACK, False)
        assert len(info.visitor_key) == 22
    assert sorted(found) == [
        "ask",
        "client_address",
        "exclude_request",
        "opts_out",
        "read",
        "today",
    ]


def test_a_request_is_freed_at_once():
    """Without the garbage collector, which a reference back would need."""
    gc.disable()
    try:
        request = RequestFactory().get("/")
        _ = RequestInfo.of(request).user_agent
        freed = weakref.ref(request)
        del request
        assert freed() is None
    finally:
        gc.enable()


def test_a_request_can_still_be_pickled_and_copied():
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.7")
    del request.environ["wsgi.input"], request.environ["wsgi.errors"], request._read_started
    request.META = {key: value for key, value in request.META.items() if isinstance(value, str)}
    request.environ = {}
    assert tracked(request).address == "192.0.2.7"
    for other in (pickle.loads(pickle.dumps(request)), copy.copy(request), copy.deepcopy(request)):
        info = RequestInfo.of(other)
        assert (info.address, info.tracks_visitors) == ("192.0.2.7", True)


# Exclusions.


@pytest.mark.parametrize(
    ("method", "meta", "reason"),
    [
        ("GET", {}, None),
        ("HEAD", {"HTTP_DNT": "1"}, "method HEAD"),
        ("GET", {"HTTP_PURPOSE": "prefetch", "HTTP_DNT": "1"}, "Purpose: prefetch"),
        ("GET", {"HTTP_DNT": "1"}, "opt-out"),
        ("GET", {"HTTP_USER_AGENT": "Uptime/1"}, "untracked user agent"),
    ],
)
def test_the_first_reason_not_to_count_is_given(monkeypatch, method, meta, reason):
    keywords = exclusions.Keywords(["uptime"])
    loaded = exclusions.untracked_agents._loaded._replace(content=keywords)
    monkeypatch.setattr(exclusions.untracked_agents, "_loaded", loaded)
    request = RequestFactory().generic(method, "/", **meta)
    assert tracked(request).exclusion == reason


def test_where_visitors_are_not_tracked_keywords_are_not_known(monkeypatch):
    monkeypatch.setattr(exclusions.untracked_agents, "_loaded", None)
    request = RequestFactory().get("/", HTTP_USER_AGENT="Uptime/1")
    assert RequestInfo(request).exclusion is None


# Visitors.


def key_of(cookie=None, **meta):
    request = RequestFactory(HTTP_USER_AGENT="Firefox").get("/", **meta)
    if cookie:
        request.COOKIES["visitor"] = cookie
    return tracked(request).make_raw_hit(Kind.OPEN).visitor


def test_a_cookie_is_the_visitor_wherever_it_comes_from():
    cookie = visitor_cookie.sign(KEY)
    assert key_of(cookie, REMOTE_ADDR="198.51.100.7", HTTP_USER_AGENT="Chrome") == KEY


def test_without_a_cookie_of_ours_the_visitor_has_the_key_of_the_day(settings):
    assert key_of("forged") == key_of() != key_of(REMOTE_ADDR="198.51.100.7")
    settings.TRACKING_COOKIES = False
    assert key_of(visitor_cookie.sign(KEY)) == key_of()


def test_who_was_not_asked_is_not_known_by_a_cookie(settings):
    settings.TRACKING_CONSENT = lambda request: None
    assert key_of(visitor_cookie.sign(KEY)) == key_of()


def test_who_refuses_has_no_key(settings):
    assert key_of(HTTP_DNT="1") is None
    settings.TRACKING_CONSENT = lambda request: False
    assert key_of(visitor_cookie.sign(KEY)) is None


def test_without_visitors_there_is_no_key():
    request = RequestFactory().get("/")
    assert RequestInfo(request).make_raw_hit(Kind.OPEN).visitor is None


# Hits.


def test_a_hit_tells_what_the_request_says():
    request = RequestFactory().get(
        "/x?secret=1",
        REMOTE_ADDR="::ffff:192.0.2.7",
        headers={"User-Agent": "Mail/1", "Referer": "https://webmail.example/"},
    )
    hit = RequestInfo(request).make_raw_hit(Kind.OPEN, data={"a": 1}).to_hit()
    assert (hit.user_agent, hit.referrer) == ("Mail/1", "https://webmail.example/")
    assert hit.ip_address == "192.0.2.7"
    assert hit.data == {"a": 1}
    assert abs((datetime.now(UTC) - hit.time).total_seconds()) < 60


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("Größe".encode(), "Größe"),
        ("Größe".encode("latin-1"), "Größe"),
        ("手紙".encode(), "手紙"),
    ],
)
def test_headers_are_read_as_utf_8_or_latin_1(sent, expected):
    request = RequestFactory().get("/", HTTP_USER_AGENT=sent.decode("latin-1"))
    assert RequestInfo(request).make_raw_hit(Kind.OPEN).user_agent == expected


def test_headers_set_by_the_site_as_text_stay():
    request = RequestFactory().get("/", HTTP_USER_AGENT="手紙")
    assert RequestInfo(request).make_raw_hit(Kind.OPEN).user_agent == "手紙"


# Pages.


def hit_of(request):
    return RequestInfo(request).make_raw_page_hit().to_hit()


def page_hit(**meta):
    return hit_of(RequestFactory().get("/tea/?q=1", **meta))


def test_a_page_is_known_by_its_path():
    hit = page_hit()
    assert (hit.url, hit.user, hit.session_key) == ("/tea/", None, None)
    assert len(hit.visitor) == 22


@pytest.mark.parametrize(
    ("referrer", "kept"),
    [
        ("https://search.example/?q=tea", "https://search.example/?q=tea"),
        ("http://testserver/cart/", ""),
        ("http://TESTSERVER:80/cart/", ""),
        ("http://testserver:8000/cart/", "http://testserver:8000/cart/"),
        ("https://testserver/cart/", ""),
        ("http://testserver.evil.example/", "http://testserver.evil.example/"),
        ("http://[broken", ""),
        ("", ""),
        # One spelling.
        ("https://www.google.com:443/?q=tea", "https://www.google.com/?q=tea"),
        ("HTTPS://WWW.Google.com./Tea", "https://www.google.com/Tea"),
        ("https://me:secret@blog.example/tea#top", "https://blog.example/tea"),
        ("https://www.google.com@evil.example/x", "https://evil.example/x"),
        ("android-app://com.google.android.gm/", "android-app://com.google.android.gm/"),
        ("http://[2001:db8::7]:8000/", "http://[2001:db8::7]:8000/"),
        # Our own hosts.
        ("https://www.testserver/cart/", ""),
        ("https://testserver./cart/", ""),
        ("https://me@testserver/cart/", ""),
        ("https://shop.ours.example/", ""),
        ("https://www.ours.example/", ""),
        # No other site.
        ("about:blank", ""),
        ("javascript:alert(1)", ""),
        ("tea", ""),
    ],
)
def test_a_page_of_the_same_site_is_no_referrer(settings, referrer, kept):
    settings.ALLOWED_HOSTS = ["testserver", ".ours.example"]
    assert page_hit(HTTP_REFERER=referrer).referrer == kept


def test_a_host_that_is_not_ours_breaks_nothing():
    from_outside = {"HTTP_REFERER": "https://a.example/", "HTTP_HOST": "evil.example"}
    assert page_hit(**from_outside).referrer == "https://a.example/"
    assert page_hit(**{**from_outside, "HTTP_REFERER": "https://evil.example/"}).referrer == ""
    for host in ("", "[", "a b", "evil.example:x"):
        assert page_hit(**{**from_outside, "HTTP_HOST": host}).referrer in {
            "",
            "https://a.example/",
        }


@pytest.mark.parametrize(
    ("query", "campaign"),
    [
        ("", {}),
        ("q=1&source=x", {}),
        ("utm_source=letter&utm_medium=email", {"source": "letter", "medium": "email"}),
        ("utm_campaign=spring+sale&utm_term=%C3%A4&utm_content=%ff", {
            "campaign": "spring sale", "term": "ä", "content": "\N{REPLACEMENT CHARACTER}",
        }),
        ("utm_source=a&utm_source=b&utm_id=7", {"source": "b"}),
        ("utm_source=+spring++sale+&utm_medium=%20", {"source": "spring sale"}),
        ("utm_source=a&utm_source=", {"source": "a"}),
        ("utm_source[]=a&utm_medium%5B0%5D=b", {"source": "a", "medium": "b"}),
        ("utm_source=a&amp;utm_medium=b&amp;amp;utm_term=c", {
            "source": "a", "medium": "b", "term": "c",
        }),
        ("utm_source=x&" + "&".join(f"p{n}=1" for n in range(2_000)), {"source": "x"}),
    ],
)  # fmt: skip
def test_the_campaign_is_that_of_the_query(query, campaign):
    assert page_hit(QUERY_STRING=query).campaign == campaign


class Counted:
    """A user of whom we know whether somebody has asked for it."""

    is_authenticated = True
    pk = 7
    asked = 0


def lazily():
    Counted.asked += 1
    return Counted()


def test_the_user_is_known_only_if_the_page_has_asked():
    request = RequestFactory().get("/")
    request.user = SimpleLazyObject(lazily)
    before = Counted.asked
    assert hit_of(request).user is None
    assert Counted.asked == before
    assert request.user.pk == 7
    assert hit_of(request).user == "7"


def test_a_user_that_was_asked_for_otherwise_is_known_too():
    request = RequestFactory().get("/")
    request.user = SimpleLazyObject(lazily)
    request._acached_user = AnonymousUser()
    assert hit_of(request).user == ""
    request.user = Counted()
    assert hit_of(request).user == "7"


def test_a_hit_carries_no_more_than_is_stored():
    """A spool of 8 kB headers fills the disk."""
    long = "x" * 8_000
    request = RequestFactory().get(
        f"/{long}?utm_source={long[:3000]}",
        headers={"User-Agent": long, "Referer": f"https://a.example/{long}"},
    )
    info = tracked(request)
    page, beacon = info.make_raw_page_hit().to_hit(), info.make_raw_hit(Kind.OPEN)
    texts = (page.url, page.referrer, page.user_agent, beacon.referrer, beacon.user_agent)
    assert [len(text) for text in texts] == [512] * 5
    assert len(page.campaign["source"]) == 200


# Midnight.


def test_after_midnight_a_browser_without_cookie_has_the_key_of_before_too(
    outside_of_tests, db, monkeypatch
):
    clock = clocks.of_snapshots(monkeypatch)
    midnight = days.start_of(days.today())
    clock.now = midnight.timestamp() - 60
    daily_salt.today()

    def page(cookie=None):
        snapshots.refresh()
        request = RequestFactory(HTTP_USER_AGENT="Firefox").get("/")
        if cookie:
            request.COOKIES["visitor"] = visitor_cookie.sign(cookie)
        return tracked(request).make_raw_page_hit()

    before = page()
    assert (before.previous_visitor, before.has_cookie) == (None, False)
    clock.pass_by(60)
    after = page()
    assert after.visitor != before.visitor
    assert (after.previous_visitor, after.has_cookie) == (before.visitor, False)
    with_cookie = page(KEY)
    assert (with_cookie.visitor, with_cookie.previous_visitor) == (KEY, None)
    assert with_cookie.has_cookie
    clock.pass_by(1799)
    assert page().previous_visitor == before.visitor
    clock.pass_by(1)
    assert (page().visitor, page().previous_visitor) == (after.visitor, None)


@pytest.mark.parametrize("has_salt_after", [False, True])
def test_without_a_salt_before_midnight_the_key_of_before_is_found(monkeypatch, has_salt_after):
    """The database was away: the keys were made with the site's secret."""
    today = days.today()
    before, after = today - days.DAY, today
    monkeypatch.setattr(daily_salt, "today", lambda: None)
    monkeypatch.setattr(daily_salt, "yesterday", lambda: None)
    monkeypatch.setattr(days, "today", lambda: before)
    request = RequestFactory().get("/")
    old = tracked(request).visitor_key
    monkeypatch.setattr(days, "today", lambda: after)
    monkeypatch.setattr(daily_salt, "today", lambda: b"s" * 32 if has_salt_after else None)
    monkeypatch.setattr(daily_salt, "yesterday", lambda: daily_salt.DaySalt(before, None))
    request = RequestFactory().get("/")
    info = tracked(request)
    assert info.previous_key == old != info.visitor_key


def test_at_midnight_itself_no_key_is_its_own_predecessor(monkeypatch):
    """The key was found right before, the rest right after."""
    monkeypatch.setattr(daily_salt, "today", lambda: b"s" * 32)
    salt = daily_salt.DaySalt(days.today() - days.DAY, b"s" * 32)
    monkeypatch.setattr(daily_salt, "yesterday", lambda: salt)
    request = RequestFactory().get("/")
    assert tracked(request).previous_key is None

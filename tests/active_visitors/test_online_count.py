"""The template tags that count visitors online."""

import threading
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.conf import settings as django_settings
from django.db import DatabaseError, connection
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.support.concurrency import in_threads
from tracking.active_visitors import online_count
from tracking.caching import ttl
from tracking.db.column_values import storable_text
from tracking.identity.request_info import RequestInfo
from tracking.models import Visitor
from tracking.models.visitors import url_key

pytestmark = pytest.mark.django_db


def render(source, path="/tea/", **context):
    if path:
        context["request"] = RequestFactory().get("/")
        context["request"].path = path
    return Template("{% load tracking_tags %}" + source).render(Context(context))


#: Paths that some collations of MariaDB take for each other.
TEXTS = ("/🍵", "/🍺", "/cafe", "/café", "/Tea", "/tea")

ON_SITE = "{% visitors_on_site as n %}{{ n }}"
ON_PAGE = "{% visitors_on_page as n %}{{ n }}"


def visitor(url="/tea/", minutes=0, **values):
    moment = timezone.now() - timedelta(minutes=minutes)
    return Visitor.objects.create(url=url, last_update=moment, **values)


def test_visitors_on_site_and_on_page():
    visitor()
    visitor()
    visitor("/cart/")
    visitor(minutes=11)
    assert render(ON_SITE) == "3"
    assert render(ON_PAGE) == "2"
    assert render(ON_PAGE, "/cart/") == "1"
    assert render(ON_PAGE, "/empty/") == "0"
    assert render(ON_PAGE, path=None) == "0"


def test_machines_do_not_count():
    visitor(verdict="bot")
    assert render(ON_SITE) == "0"


def test_how_long_somebody_is_active_is_a_setting(settings):
    visitor(minutes=11)
    settings.TRACKING_TIMEOUT = 15
    assert render(ON_SITE) == "1"


@pytest.mark.usefixtures("outside_of_tests")
def test_a_number_in_every_page_costs_no_query_each(django_assert_num_queries, monkeypatch):
    visitor()
    now = time.monotonic()
    monkeypatch.setattr(ttl, "time", SimpleNamespace(monotonic=lambda: now))
    render(ON_SITE + ON_PAGE)
    with django_assert_num_queries(0):
        assert [render(ON_SITE + ON_PAGE) for _ in range(3)] == ["11"] * 3


@pytest.mark.usefixtures("outside_of_tests")
def test_a_number_is_asked_for_again_after_a_few_seconds(monkeypatch):
    visitor()
    assert render(ON_SITE) == "1"
    Visitor.objects.all().update(last_update=timezone.now() - timedelta(hours=1))
    assert render(ON_SITE) == "1"
    now = ttl.time.monotonic()
    monkeypatch.setattr(ttl.time, "monotonic", lambda: now + online_count.MAX_AGE)
    assert render(ON_SITE) == "0"


@pytest.mark.usefixtures("outside_of_tests")
def test_what_is_remembered_is_not_without_end(monkeypatch):
    monkeypatch.setattr(ttl, "MAX_RESULTS", 3)
    for number in range(10):
        online_count.on_page(f"/{number}/")
    assert len(online_count._cached_count) <= 3


def test_in_tests_of_a_site_a_page_has_the_same_queries_each_time(django_assert_num_queries):
    for number in (1, 2, 3):
        Visitor.objects.bulk_create([Visitor(url="/tea/", last_update=timezone.now())])
        with django_assert_num_queries(6):  # two counts, each in a savepoint
            assert render(ON_SITE + ON_PAGE) == f"{number}{number}"


@pytest.mark.parametrize("path", ["/a\0b/", "/" + "x" * 3_000])
def test_a_page_is_found_by_what_is_kept_of_its_path(path):
    visitor(storable_text(path))
    assert render(ON_PAGE, path) == "1"


def test_the_reader_of_the_first_page_is_here(settings):
    settings.MIDDLEWARE = [
        *django_settings.MIDDLEWARE,
        "tracking.middleware.VisitorTrackingMiddleware",
    ]
    assert Client().get("/counting/").content == b"1 1"


@pytest.fixture
def tracked(settings):
    settings.MIDDLEWARE = [
        *django_settings.MIDDLEWARE,
        "tracking.middleware.VisitorTrackingMiddleware",
    ]


def later(monkeypatch):
    """Let what is remembered expire."""
    now = ttl.time.monotonic()
    monkeypatch.setattr(ttl.time, "monotonic", lambda: now + online_count.MAX_AGE)


def test_a_reader_who_comes_from_another_page_is_counted_on_this_one(tracked, monkeypatch):
    visitor("/counting/")
    visitor("/counting/")
    reader = Client()
    reader.get("/page/1")
    assert reader.get("/counting/").content == b"3 3"
    assert reader.get("/counting/").content == b"3 3"  # from memory
    later(monkeypatch)
    assert reader.get("/counting/").content == b"3 3"  # the reader's row is among them now


def test_a_reader_is_counted_on_the_first_page_besides_two_others(tracked):
    visitor("/counting/")
    visitor("/counting/")
    assert Client().get("/counting/").content == b"3 3"


def test_a_reader_without_cookie_is_counted_once(tracked, settings, monkeypatch):
    settings.TRACKING_COOKIES = False
    visitor("/counting/")
    for _ in range(3):
        assert Client().get("/counting/").content == b"2 2"
        later(monkeypatch)


def test_a_page_that_asks_for_consent_later_may_still_change_it(tracked, settings):
    settings.TRACKING_CONSENT = lambda request: getattr(request, "agreed", True)
    request = RequestFactory().get("/counting/")
    RequestInfo.track_visitor(request)
    info = RequestInfo.of(request)
    assert info.visitor_so_far() is not None
    request.agreed = False
    assert info.visitor_so_far() is None


def test_many_visitors_are_counted_and_not_read(monkeypatch):
    monkeypatch.setattr(online_count, "MAX_KEYS", 3)
    for _ in range(5):
        visitor()
    visitor("/cart/")
    assert online_count.on_site("new") == 6
    assert online_count.on_page("/tea/", "new") == 5
    assert online_count.on_page("/cart/", "new") == 2


def test_paths_that_differ_are_different_pages():
    for path in TEXTS:
        visitor(path)
    assert [online_count.on_page(path) for path in TEXTS] == [1] * len(TEXTS)


def test_the_count_of_a_page_reads_no_other_page():
    """It was one row per URL: 3.6 s with 200,000 visitors."""
    visitor()
    with CaptureQueriesContext(connection) as queries:
        online_count.on_page("/tea/")
    [query] = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
    assert "GROUP BY" not in query
    assert url_key("/tea/") in query


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads the plan of SQLite")
def test_counts_are_read_from_an_index():
    active = Visitor.objects.active().humans().order_by()
    assert "COVERING INDEX tracking_visitor_verdict" in active.values("verdict").explain()
    page = active.filter(url_key="a").values("verdict")
    assert "COVERING INDEX tracking_visitor_page" in page.explain()


@pytest.mark.usefixtures("outside_of_tests")
def test_one_thread_asks_and_the_others_get_the_last_answer():
    asked, may_answer = threading.Event(), threading.Event()
    answers = iter([1, 2])

    def ask():
        answer = next(answers)
        if answer == 2:
            asked.set()
            assert may_answer.wait(10)
        return answer

    query = ttl.CachedQuery(Visitor, ask, lambda _took: 0)
    assert query() == 1
    found = []
    thread = threading.Thread(target=lambda: found.append(query()))
    thread.start()
    assert asked.wait(10)
    assert [query() for _ in range(8)] == [1] * 8
    may_answer.set()
    thread.join()
    assert found == [2]


@pytest.mark.usefixtures("outside_of_tests")
def test_the_first_answer_is_asked_for_once():
    asked = []

    def ask():
        asked.append(1)
        time.sleep(0.2)
        return 7

    query = ttl.CachedQuery(Visitor, ask, lambda _took: 60)
    assert in_threads(*[query] * 4) == [7] * 4
    assert len(asked) == 1


def test_a_query_that_fails_is_asked_again():
    answers = iter([DatabaseError("away"), 3])

    def ask():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    query = ttl.CachedQuery(Visitor, ask, lambda _took: 60)
    with pytest.raises(DatabaseError):
        query()
    assert query() == 3


def test_a_page_without_request_says_so_where_the_site_is_developed(settings):
    settings.DEBUG = True
    assert "django.template.context_processors.request" in render(ON_PAGE, path=None)


def test_a_page_does_not_break_where_nobody_can_be_counted(monkeypatch, caplog):
    def away(reader):
        raise DatabaseError("away")

    monkeypatch.setattr(online_count, "on_site", away)
    assert render(ON_SITE) == "0"
    assert "Counting visitors failed" in caplog.text

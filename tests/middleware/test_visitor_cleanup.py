import asyncio
import logging
import threading
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.utils import timezone

from tracking import retention
from tracking.middleware import VisitorCleanUpMiddleware
from tracking.models import SharedValue, Visitor
from tracking.retention import turns

pytestmark = pytest.mark.django_db

urlpatterns = [path("page", lambda request: HttpResponse("the page"))]


@pytest.fixture(autouse=True)
def site(settings):
    """A site that has nothing but the middleware and a page."""
    settings.MIDDLEWARE = ["tracking.middleware.VisitorCleanUpMiddleware"]
    settings.ROOT_URLCONF = __name__


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock that stands still: ``clock[0]`` is its time in seconds, on the wall as well."""
    start = timezone.now()
    hands = [1000.0]
    monkeypatch.setattr(turns, "monotonic", lambda: hands[0])
    monkeypatch.setattr(turns, "_claimed_at", {})
    monkeypatch.setattr(timezone, "now", lambda: start + timedelta(seconds=hands[0] - 1000))
    return hands


def old_visitors(number):
    then = timezone.now() - timedelta(days=2)
    Visitor.objects.bulk_create(
        [Visitor(session_start=then, last_update=then) for _ in range(number)]
    )


def test_once_a_minute_a_request_takes_some_old_rows_with_it(client, clock):
    old_visitors(1_200)
    for seconds, left in [(0, 700), (1, 700), (59.9, 700), (60.1, 200), (90, 200), (121, 0)]:
        clock[0] = 1000.0 + seconds
        response = client.get("/page")
        assert (response.status_code, response.content) == (200, b"the page")
        assert Visitor.objects.count() == left


@pytest.mark.usefixtures("without_threads")
def test_all_other_requests_ask_nothing_of_the_database(client, django_assert_num_queries):
    """The predecessor's defect: a DELETE on every request over an unindexed column."""
    old_visitors(1_200)
    with CaptureQueriesContext(connection) as queries:
        client.get("/page")
    assert len([query for query in queries if query["sql"].startswith("DELETE")]) == 1
    with django_assert_num_queries(0):
        for _ in range(20):
            client.get("/page")


def test_in_tests_of_a_site_all_requests_have_the_same_queries(client, django_assert_num_queries):
    old_visitors(1_200)
    for _ in range(3):
        with django_assert_num_queries(0):
            client.get("/page")
    assert Visitor.objects.count() == 700
    assert connection.force_debug_cursor is False


@pytest.mark.usefixtures("outside_of_tests")
def test_no_request_waits_for_the_clean_up(client, clock, monkeypatch):
    """A database that hangs would hold it up."""
    started, finished = [], threading.Event()

    def wait(*args):
        started.append(threading.current_thread())
        finished.wait(10)

    monkeypatch.setattr("tracking.db.threads.can_query", lambda using: True)
    monkeypatch.setattr(retention, "claim_turn", wait)
    for _ in range(5):
        assert client.get("/page").content == b"the page"
        clock[0] += 61
    [thread] = started
    assert (thread.name, thread.is_alive()) == ("tracking-clean-up", True)
    finished.set()
    thread.join(10)
    client.get("/page")
    assert len(started) == 2
    started[1].join(10)


@pytest.mark.usefixtures("outside_of_tests")
@pytest.mark.django_db(transaction=True)
def test_a_thread_deletes_old_rows(client, monkeypatch):
    monkeypatch.setattr("tracking.db.threads.can_query", lambda using: True)
    old_visitors(1)
    client.get("/page")
    for thread in threading.enumerate():
        if thread.name == "tracking-clean-up":
            thread.join(10)
    assert not Visitor.objects.exists()


def test_the_delete_of_a_request_is_bounded(client, monkeypatch):
    monkeypatch.setattr(VisitorCleanUpMiddleware, "limit", 3)
    old_visitors(5)
    client.get("/page")
    assert Visitor.objects.count() == 2


@pytest.mark.usefixtures("without_threads")
def test_of_two_processes_one_has_the_turn(client):
    old_visitors(1_200)
    client.get("/page")
    turns._claimed_at.clear()  # as in another process
    with CaptureQueriesContext(connection) as queries:
        client.get("/page")
    assert not [query for query in queries if query["sql"].startswith("DELETE")]
    assert Visitor.objects.count() == 700


def test_a_turn_that_another_process_has_had_is_an_hour_ago(client):
    SharedValue.objects.create(name="cleanup", changed_at=timezone.now() - timedelta(hours=1))
    old_visitors(1)
    client.get("/page")
    assert not Visitor.objects.exists()


@pytest.mark.parametrize("part", ["claim_turn", "delete_chunk"])
def test_a_database_that_fails_leaves_the_page_and_one_line_in_the_log(
    part, client, clock, monkeypatch, caplog
):
    def fail(*args):
        raise OperationalError("gone away")

    monkeypatch.setattr(retention, part, fail)
    if part == "claim_turn":  # as the real one does
        monkeypatch.setitem(turns._claimed_at, "cleanup", clock[0] - 61)
    response = client.get("/page")
    assert (response.status_code, response.content) == (200, b"the page")
    [record] = [r for r in caplog.records if r.name.startswith("tracking")]
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "Clean-up failed")


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_is_asked_again_a_minute_later(client, clock, caplog):
    def refuse(*args):
        raise OperationalError("gone away")

    old_visitors(1)
    with connection.execute_wrapper(refuse):
        for _ in range(5):
            assert client.get("/page").content == b"the page"
    messages = [r.getMessage() for r in caplog.records if r.name.startswith("tracking")]
    assert messages == ["Clean-up failed"]
    clock[0] += 61
    client.get("/page")
    assert not Visitor.objects.exists()


def test_a_setting_without_sense_does_not_stop_the_page(client, settings, caplog):
    settings.TRACKING_CLEANUP_TIMEOUT = "24"
    old_visitors(1)
    assert client.get("/page").status_code == 200
    assert Visitor.objects.exists()
    assert "TRACKING_CLEANUP_TIMEOUT is '24'" in caplog.text


def test_a_page_that_fails_is_not_its_business(rf):
    def fail(request):
        raise KeyError("the site's own")

    old_visitors(1)
    with pytest.raises(KeyError):
        VisitorCleanUpMiddleware(fail)(rf.get("/"))
    assert Visitor.objects.exists()


# Under ASGI.


def test_it_is_native_in_both_worlds():
    async def get_response(request):
        return HttpResponse("the page")

    assert VisitorCleanUpMiddleware.sync_capable
    assert VisitorCleanUpMiddleware.async_capable
    assert iscoroutinefunction(VisitorCleanUpMiddleware(get_response))
    assert not iscoroutinefunction(VisitorCleanUpMiddleware(lambda request: HttpResponse()))


@pytest.mark.usefixtures("without_threads")
def test_only_a_clean_up_that_is_due_leaves_the_event_loop(clock, monkeypatch):
    threads = []
    monkeypatch.setattr(
        VisitorCleanUpMiddleware,
        "clean_up",
        lambda self: threads.append(threading.current_thread()),
    )

    async def get_response(request):
        return HttpResponse("the page")

    middleware = VisitorCleanUpMiddleware(get_response)

    async def requests():
        for _ in range(3):
            response = await middleware(RequestFactory().get("/"))
            assert response.content == b"the page"

    asyncio.run(requests())
    assert len(threads) == 3  # nobody has claimed
    assert threading.main_thread() not in threads
    turns._claimed_at["cleanup"] = clock[0]
    asyncio.run(requests())
    assert len(threads) == 3


def test_under_asgi_it_cleans_up_as_well():
    old_visitors(700)

    async def requests():
        client = AsyncClient()
        return [await client.get("/page") for _ in range(3)]

    responses = async_to_sync(requests)()
    assert [response.content for response in responses] == [b"the page"] * 3
    assert Visitor.objects.count() == 200
    Client().get("/page")
    assert Visitor.objects.count() == 200


def test_under_asgi_a_failure_leaves_the_page(monkeypatch, caplog):
    def fail(limit):
        raise OperationalError("gone away")

    async def request():
        return await AsyncClient().get("/page")

    monkeypatch.setattr(retention, "delete_chunk", fail)
    assert async_to_sync(request)().content == b"the page"
    assert [r.getMessage() for r in caplog.records if r.name.startswith("tracking")] == [
        "Clean-up failed"
    ]


@pytest.mark.django_db
def test_a_middleware_that_is_new_cleans_up_at_its_first_request():
    """As each test of a site has it, whatever another one has done in this minute."""
    for _ in range(2):
        Visitor.objects.create(last_update=timezone.now() - timedelta(days=2))
        VisitorCleanUpMiddleware(lambda request: HttpResponse())(RequestFactory().get("/"))
        assert not Visitor.objects.exists()
        SharedValue.objects.all().delete()

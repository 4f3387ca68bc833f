"""Private API of Django and asgiref: these tests fail when a release changes it."""

import asyncio
import logging
import pickle

import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync, iscoroutinefunction, sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core import mail
from django.db import DataError, connection, transaction
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory, utils
from django.utils.log import log_response

from tests.site.models import Affiliate
from tracking import compat


class Marked:
    def __getattr__(self, name):
        if name not in compat.COROUTINE_MARK:
            raise AttributeError(name)
        return compat.COROUTINE_MARK[name]

    def __call__(self):
        pass


def test_the_mark_makes_any_object_a_coroutine_function():
    assert iscoroutinefunction(Marked())
    assert len(compat.COROUTINE_MARK) == 1


def test_only_the_tasks_of_a_loop_are_in_it():
    loop, seen = asyncio.new_event_loop(), []

    async def task():
        seen.append(compat.is_in_event_loop())
        seen.append(await loop.run_in_executor(None, compat.is_in_event_loop))
        loop.call_soon(callback)

    def callback():
        seen.append(compat.is_in_event_loop())
        loop.stop()

    seen.append(compat.is_in_event_loop())
    waiting = loop.create_task(task())
    loop.run_forever()
    loop.close()
    assert waiting.done()
    assert seen == [False, True, False, False]


@pytest.fixture
def request_with_user(db):
    """A request whose user nobody has asked for, as Django's middlewares leave it."""
    request = RequestFactory().get("/")
    SessionMiddleware(lambda request: None).process_request(request)
    AuthenticationMiddleware(lambda request: None).process_request(request)
    return request


def test_a_user_is_known_once_it_is_loaded(request_with_user, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert compat.loaded_user(request_with_user) is None
    assert not request_with_user.session.accessed
    assert request_with_user.user.is_anonymous  # loads it
    assert compat.loaded_user(request_with_user).is_anonymous


def test_a_user_that_asynchronous_code_has_loaded_is_known(request_with_user):
    async_to_sync(request_with_user.auser)()
    assert compat.loaded_user(request_with_user).is_anonymous


def test_a_user_that_get_user_has_cached_is_known(request_with_user):
    from django.contrib.auth.middleware import get_user

    get_user(request_with_user)
    assert compat.loaded_user(request_with_user).is_anonymous


def test_a_user_that_code_has_set_is_known():
    request = RequestFactory().get("/")
    assert compat.loaded_user(request) is None
    request.user = get_user_model()(pk=7)
    assert compat.loaded_user(request).pk == 7


def test_a_response_can_be_kept_out_of_the_log(caplog):
    def logged(response):
        with caplog.at_level(logging.WARNING, "django.request"):
            log_response("Forbidden", response=response, request=RequestFactory().get("/"))
        return len(caplog.records)

    response = HttpResponse(status=403)
    compat.keep_out_of_log(response)
    assert logged(response) == 0
    assert logged(HttpResponse(status=403)) == 1


def test_a_context_has_a_thread_once_code_has_run_in_it():
    async def use():
        async with ThreadSensitiveContext() as context:
            before = compat.has_thread(context)
            await sync_to_async(lambda: None)()
            return before, compat.has_thread(context)

    assert asyncio.run(use()) == (False, True)


@pytest.mark.django_db
def test_functions_of_on_commit_are_found_unless_rolled_back():
    def first():
        pass

    def rolled_back():
        pass

    before = compat.pending_on_commit(connection)
    transaction.on_commit(first)
    with transaction.atomic():
        transaction.on_commit(rolled_back, robust=True)
        assert compat.pending_on_commit(connection) == [*before, first, rolled_back]
        transaction.set_rollback(True)
    assert compat.pending_on_commit(connection) == [*before, first]


@pytest.mark.django_db
def test_savepoints_have_ids():
    before = compat.savepoint_ids(connection)
    with transaction.atomic(), transaction.atomic(savepoint=False):
        inside = compat.savepoint_ids(connection)
        assert len(inside) == len(before) + 1
        assert inside[:-1] == before
        assert all(isinstance(id_, str) for id_ in inside)
    assert compat.savepoint_ids(connection) == before


@pytest.mark.django_db
def test_rows_are_deleted_by_one_statement(django_assert_num_queries):
    Affiliate.objects.bulk_create([Affiliate(name="old"), Affiliate(name="old")])
    Affiliate.objects.create(name="new")
    with django_assert_num_queries(1):
        assert compat.delete_rows_only(Affiliate.objects.filter(name="old")) == 2
    assert Affiliate.objects.get().name == "new"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="asks the driver of PostgreSQL")
@pytest.mark.django_db
def test_the_driver_has_copy_if_it_says_so():
    with connection.cursor() as cursor:
        assert hasattr(cursor, "copy") is compat.has_copy()


@pytest.mark.django_db
def test_a_statement_past_the_cursor_of_django_is_checked():
    driver_error = connection.Database.DataError
    with pytest.raises(DataError), compat.checked_statement(connection):
        raise driver_error
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(transaction.TransactionManagementError):
            compat.checked_statement(connection).__enter__()


# Responses.


@pytest.mark.parametrize("response", [HttpResponse(), StreamingHttpResponse(), FileResponse()])
def test_a_header_is_read_without_an_error_that_is_caught(response):
    response["X-Tea"] = "Green"
    assert compat.raw_headers(response)["x-tea"] == ("X-Tea", "Green")
    assert "x-coffee" not in compat.raw_headers(response)


def test_a_copied_response_is_like_another_one_and_shares_nothing_with_it():
    def make():
        return HttpResponse(b"GIF", status=203, headers={"Content-Type": "image/gif", "X-Tea": "1"})

    template = make()
    copied, other = compat.copy_response(template), make()
    assert vars(copied).keys() == vars(other).keys()
    assert copied.serialize() == other.serialize()
    copied["X-Tea"] = "2"
    copied.write(b"more")
    copied.set_cookie("a", "b")
    copied._resource_closers.append(print)
    copied.closed = True
    assert copied.content == b"GIFmore"
    assert (template.serialize(), template.closed) == (other.serialize(), False)
    assert not template.cookies
    assert template._resource_closers == []


def test_a_cookie_made_without_checks_is_like_one_of_django():
    response = HttpResponse()
    response.set_cookie("a", "b:c_d-e", max_age=7, secure=True, httponly=True, samesite="Lax")
    other = HttpResponse()
    other.cookies["a"] = compat.make_morsel("a", "b:c_d-e", dict(response.cookies["a"]))
    assert other.cookies == response.cookies
    assert str(other.cookies) == str(response.cookies)
    assert pickle.loads(pickle.dumps(other.cookies)) == response.cookies


# Tests.


def test_the_environment_of_tests_is_known(monkeypatch):
    assert compat.is_test_environment()
    monkeypatch.delattr(utils._TestState, "saved_data")
    assert not compat.is_test_environment()  # though mail.outbox is there, as with locmem
    assert hasattr(mail, "outbox")


@pytest.mark.django_db
def test_queries_can_be_kept_out_of_the_log(django_assert_num_queries):
    with django_assert_num_queries(2):
        Affiliate.objects.count()
        with compat.unlogged_queries():
            Affiliate.objects.count()
        Affiliate.objects.count()

"""Private API of Python, Django and asgiref that the app cannot do without.

For each part there is a test in ``tests/test_compat.py`` that fails when a new release changes it.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.cookies import Morsel, SimpleCookie
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, markcoroutinefunction
from django.core import mail
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.functional import LazyObject, empty

#: The attribute by which a function is marked as a coroutine function, and its value.
COROUTINE_MARK: Mapping[str, Any] = vars(markcoroutinefunction(lambda: None))


def is_in_event_loop() -> bool:
    """Return whether a task of an event loop runs this code.

    Code that a loop merely surrounds, such as tests with Playwright, may wait.
    """
    # get_running_loop() and current_task() raise if no loop runs in this thread, which is slow.
    return asyncio._get_running_loop() is not None and asyncio.current_task() is not None


def is_test_environment() -> bool:
    """Return whether the tests of a site run here, by Django's test runner or pytest-django.

    Both call ``django.test.utils.setup_test_environment()``. ``django.core.mail.outbox`` is no
    proof of it: the email backend ``locmem`` makes it, too.
    """
    utils = sys.modules.get("django.test.utils")
    return utils is not None and hasattr(getattr(utils, "_TestState", None), "saved_data")


def running_test() -> object:
    """Return an object that is another one in each test of a site; ``None`` outside of tests.

    With pytest it is the name of the test. Django's test cases begin each test with a new list
    ``mail.outbox``.
    """
    if not is_test_environment():
        return None
    name, _, _phase = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")
    return sys.intern(name) if name else getattr(mail, "outbox", None)


@contextmanager
def unlogged_queries() -> Iterator[None]:
    """Keep the queries of the block out of ``connection.queries`` and ``assertNumQueries``."""
    logging = [one for one in connections.all(initialized_only=True) if one.force_debug_cursor]
    for connection in logging:
        connection.force_debug_cursor = False
    try:
        yield
    finally:
        for connection in logging:
            connection.force_debug_cursor = True


def loaded_user(request: HttpRequest) -> Any:
    """Return ``request.user`` if it has been loaded, else ``None``; it is never loaded for this."""
    user: Any = request.__dict__.get("user")
    if isinstance(user, LazyObject) and user._wrapped is empty:
        # Code may have used django.contrib.auth.get_user() or request.auser() instead.
        user = getattr(request, "_cached_user", None) or getattr(request, "_acached_user", None)
    return user


def raw_headers(response: HttpResponseBase) -> dict[str, tuple[str, str]]:
    """Return the names and values of a response's headers, by their names in lower case.

    Django's own ``get()`` raises and catches two errors for a header that is missing.
    """
    headers: dict[str, tuple[str, str]] = response.headers._store
    return headers


def make_morsel(name: str, value: str, attributes: Mapping[str, object]) -> "Morsel[str]":
    """Return a cookie, as ``SimpleCookie`` holds it; without the checks, which take long.

    Args:
        name: a valid name.
        value: text that needs no quotes in a cookie.
        attributes: all attributes that a ``Morsel`` has.
    """
    morsel: Morsel[str] = Morsel.__new__(Morsel)
    dict.update(morsel, attributes)
    state = {"key": name, "value": value, "coded_value": value}
    morsel.__setstate__(state)  # type: ignore[attr-defined]
    return morsel


def copy_response(response: HttpResponse) -> HttpResponse:
    """Return a copy of a response that has not been changed since it was made.

    That takes a third of the time of making another one.
    """
    copied = type(response).__new__(type(response))
    vars(copied).update(vars(response))
    headers = type(response.headers).__new__(type(response.headers))
    headers._store = response.headers._store.copy()
    copied.headers = headers
    copied.cookies = SimpleCookie()
    copied._resource_closers = []  # type: ignore[attr-defined]
    copied._container = list(response._container)  # type: ignore[attr-defined]
    return copied


def keep_out_of_log(response: HttpResponse) -> None:
    """Keep Django from logging a response with status 4xx or 5xx."""
    response._has_been_logged = True  # type: ignore[attr-defined]


def has_thread(context: ThreadSensitiveContext) -> bool:
    """Return whether code has run in the thread of a context."""
    return context in SyncToAsync.context_to_thread_executor


def pending_on_commit(connection: BaseDatabaseWrapper) -> list[Callable[[], object]]:
    """Return the functions that ``transaction.on_commit`` will call for the open transaction.

    Functions of savepoints that were rolled back are not among them.
    """
    return [entry[1] for entry in connection.run_on_commit]


def is_in_test_case(connection: BaseDatabaseWrapper) -> bool:
    """Return whether a test of a site runs in a transaction of this connection.

    That transaction is rolled back after the test, so ``on_commit`` calls nothing.
    """
    return any(getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)


def savepoint_ids(connection: BaseDatabaseWrapper) -> tuple[str, ...]:
    """Return the ids of the open savepoints of a connection, outermost first."""
    return tuple(filter(None, connection.savepoint_ids))


def delete_rows_only(rows: QuerySet[Any]) -> int:
    """Delete rows in one statement, without signals and without looking at related rows.

    Returns:
        How many were deleted.
    """
    return rows._raw_delete(rows.db)


def has_copy() -> bool:
    """Return whether Django's PostgreSQL backend uses psycopg 3, which has ``cursor.copy()``."""
    # Importing this needs one of the drivers.
    from django.db.backends.postgresql.psycopg_any import is_psycopg3  # noqa: PLC0415

    return is_psycopg3


@contextmanager
def checked_statement(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Treat a statement that bypasses Django's cursor like any other.

    It is refused in a broken transaction, and errors of the driver become Django's.

    Raises:
        django.db.Error: the statement failed, or the transaction is broken.
    """
    connection.validate_no_broken_transaction()
    with connection.wrap_database_errors:
        yield

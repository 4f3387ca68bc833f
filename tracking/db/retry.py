"""Run a transaction again that the database did not take for a reason that passes."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

ATTEMPTS = 8
#: Longest pause before the second attempt, in seconds; it doubles with each further attempt.
MAX_FIRST_WAIT = 0.02

#: SQLSTATE of PostgreSQL: serialization failure, deadlock.
_SQLSTATES = frozenset({"40001", "40P01"})
#: Error numbers of MariaDB and MySQL: record changed since last read, lock wait timeout, deadlock.
_ERRNOS = frozenset({1020, 1205, 1213})

T = TypeVar("T")


def retry_transaction(using: str, work: Callable[[], T]) -> T:
    """Return what ``work`` returns; run it again after a deadlock, or on a new connection.

    When two transactions wait for each other, the database aborts one and documents that it
    should be repeated. When a connection has died since it was last used, as after a restart of
    the database, a new one is made, once. Inside a transaction of the site, ``work`` runs once:
    repeating that transaction is for the site to decide.

    Args:
        using: the alias of the database.
        work: opens a transaction of its own, and can safely run again.

    Raises:
        django.db.OperationalError, django.db.InterfaceError: another error, a deadlock in each of
            ``ATTEMPTS`` attempts, or the new connection fails, too.
    """
    connection = connections[using]
    if connection.in_atomic_block:
        return work()
    old = connection.connection
    for attempt in range(ATTEMPTS - 1):
        try:
            return work()
        except (OperationalError, InterfaceError) as error:
            if _is_deadlock(error):
                time.sleep(random.uniform(0, MAX_FIRST_WAIT * 2**attempt))  # noqa: S311 - no secret
            elif old is not None and _has_died(connection, old):
                old = None
                connection.close()
            else:
                raise
    return work()


def _is_deadlock(error: OperationalError | InterfaceError) -> bool:
    cause = error.__cause__
    if getattr(cause, "sqlstate", None) in _SQLSTATES:
        return True
    return bool(error.args) and error.args[0] in _ERRNOS


def _has_died(connection: BaseDatabaseWrapper, old: object) -> bool:
    # Django replaces a connection on which not even a rollback succeeds.
    return connection.connection is not old or not connection.is_usable()

"""Retry a transaction that the database aborted because of a deadlock."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connections

ATTEMPTS = 8
#: Longest pause before the second attempt, in seconds; it doubles with each further attempt.
MAX_FIRST_WAIT = 0.02

#: SQLSTATE of PostgreSQL: serialization failure, deadlock.
_SQLSTATES = frozenset({"40001", "40P01"})
#: Error numbers of MariaDB and MySQL: record changed since last read, lock wait timeout, deadlock.
_ERRNOS = frozenset({1020, 1205, 1213})

T = TypeVar("T")


def retry_on_deadlock(using: str, work: Callable[[], T]) -> T:
    """Return what ``work`` returns; run it again after a deadlock.

    When two transactions wait for each other, the database aborts one and documents that it
    should be repeated. Inside a transaction of the site, ``work`` runs once: repeating that
    transaction is for the site to decide.

    Args:
        using: the alias of the database.
        work: opens a transaction of its own, and can safely run again.

    Raises:
        django.db.OperationalError: another error, or a deadlock in each of ``ATTEMPTS`` attempts.
    """
    if connections[using].in_atomic_block:
        return work()
    for attempt in range(ATTEMPTS - 1):
        try:
            return work()
        except OperationalError as error:
            if not _is_deadlock(error):
                raise
        time.sleep(random.uniform(0, MAX_FIRST_WAIT * 2**attempt))  # noqa: S311 - no secret
    return work()


def _is_deadlock(error: OperationalError) -> bool:
    cause = error.__cause__
    if getattr(cause, "sqlstate", None) in _SQLSTATES:
        return True
    return bool(error.args) and error.args[0] in _ERRNOS

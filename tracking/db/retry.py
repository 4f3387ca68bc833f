"""Doing a transaction again that the database has given up for another one."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connections

ATTEMPTS = 8
#: Seconds that are waited at most before the second attempt; twice as long before each further.
FIRST_WAIT = 0.02

#: SQLSTATE of PostgreSQL: serialization failure, deadlock.
_SQLSTATES = frozenset({"40001", "40P01"})
#: Error numbers of MariaDB and MySQL: record changed since last read, lock wait timeout, deadlock.
_ERRNOS = frozenset({1020, 1205, 1213})

T = TypeVar("T")


def again_after_deadlock(using: str, work: Callable[[], T]) -> T:
    """Return what ``work`` returns, trying again where the database asks for just that.

    Two transactions that wait for each other are nobody's fault: the database ends one,
    and documents that it is to be repeated. Inside of a transaction of the site that is
    not ours to decide, so there it is done once.

    Args:
        using: the alias of the database.
        work: what opens a transaction of its own, and can be done again.

    Raises:
        django.db.OperationalError: another one, or it has failed each time.
    """
    if connections[using].in_atomic_block:
        return work()
    for attempt in range(ATTEMPTS - 1):
        try:
            return work()
        except OperationalError as error:
            if not _is_deadlock(error):
                raise
        time.sleep(random.uniform(0, FIRST_WAIT * 2**attempt))  # noqa: S311 - no secret
    return work()


def _is_deadlock(error: OperationalError) -> bool:
    cause = error.__cause__
    if getattr(cause, "sqlstate", None) in _SQLSTATES:
        return True
    return bool(error.args) and error.args[0] in _ERRNOS

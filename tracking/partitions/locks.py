"""Waiting for a table without making others wait."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import sleep
from typing import TypeVar

from django.db import OperationalError, connections, transaction

from tracking.partitions.catalog import run

#: Milliseconds that a lock is waited for. Whoever comes meanwhile waits behind us, even who only
#: reads: with a report that takes minutes before us, the whole site would.
LOCK_TIMEOUT = 2_000

#: So often it is tried, with a rest of so many seconds between.
ATTEMPTS = 30
REST = 1.0

#: SQLSTATE of PostgreSQL: lock not available, deadlock.
_IN_THE_WAY = frozenset({"55P03", "40P01"})

T = TypeVar("T")


class Busy(Exception):
    """Somebody else has held the table all the while; nothing was changed."""


def patiently(using: str, work: Callable[[], T]) -> T:
    """Return what ``work`` returns, in a transaction; again if somebody is in the way.

    Args:
        using: the alias of the database, which is PostgreSQL.
        work: what takes its locks, and can be done again.

    Raises:
        Busy: somebody always was.
        RuntimeError: it was called inside of a transaction, which would keep the locks.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic(using=using, durable=True), _short_waits(using):
                return work()
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in _IN_THE_WAY:
                raise
            if attempt == ATTEMPTS:
                raise Busy(str(error)) from error
        sleep(REST)
    raise AssertionError("unreachable")


@contextmanager
def _short_waits(using: str) -> Iterator[None]:
    connection = connections[using]
    run(
        connection,
        f"SET LOCAL lock_timeout = {LOCK_TIMEOUT}",
        # A table whose foreign keys are still to be looked at cannot be altered.
        "SET CONSTRAINTS ALL IMMEDIATE",
    )
    yield
    # What comes after in the same transaction, in a test, is as it was.
    run(connection, "SET LOCAL lock_timeout TO DEFAULT", "SET CONSTRAINTS ALL DEFERRED")

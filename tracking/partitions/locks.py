"""Lock a table without making others wait long."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import sleep
from typing import TypeVar

from django.db import OperationalError, connections, transaction

from tracking.partitions.catalog import execute
from tracking.partitions.errors import TableBusy

#: Milliseconds to wait for a lock. Whoever comes meanwhile waits behind us, even to read: with
#: a long report ahead of us, the whole site would stop.
LOCK_TIMEOUT = 2_000

#: Attempts, and the pause between them in seconds.
ATTEMPTS = 30
PAUSE = 1.0

#: SQLSTATE of PostgreSQL: lock not available, deadlock.
_LOCK_SQLSTATES = frozenset({"55P03", "40P01"})

T = TypeVar("T")


def retry_while_locked(using: str, work: Callable[[], T]) -> T:
    """Return what ``work`` returns, run in a transaction; repeat it while the table is locked.

    Args:
        using: the alias of the database, which must be PostgreSQL.
        work: takes its locks, and can safely run again.

    Raises:
        TableBusy: the table was locked at each attempt.
        RuntimeError: called inside a transaction, which would keep the locks.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic(using=using, durable=True), _short_lock_timeout(using):
                return work()
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in _LOCK_SQLSTATES:
                raise
            if attempt == ATTEMPTS:
                raise TableBusy(str(error)) from error
        sleep(PAUSE)
    raise AssertionError("unreachable")


@contextmanager
def _short_lock_timeout(using: str) -> Iterator[None]:
    connection = connections[using]
    execute(
        connection,
        f"SET LOCAL lock_timeout = {LOCK_TIMEOUT}",
        # A table with pending foreign key checks cannot be altered.
        "SET CONSTRAINTS ALL IMMEDIATE",
    )
    yield
    # Restored for the rest of the transaction, if this is a test.
    execute(connection, "SET LOCAL lock_timeout TO DEFAULT", "SET CONSTRAINTS ALL DEFERRED")

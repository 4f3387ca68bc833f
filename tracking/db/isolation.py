"""Run code that may fail without harm to the caller or to its transaction."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import TracebackType

from django.db import Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tracking.db import missing_tables


class log_errors(AbstractContextManager[None, bool]):  # noqa: N801 - reads as a statement
    """Log what the block raises, with its traceback, and go on after the block.

    Missing tables are one line, without a traceback.

        with log_errors(logger, "Tracking of %r", path):
            backend.send(hit)

    Args:
        logger: logs the failure, as an error.
        action: what the block does; the log line is ``action`` followed by "failed".
        args: values for the ``%s`` in ``action``.
    """

    def __init__(self, logger: logging.Logger, action: str, *args: object) -> None:
        self._logger = logger
        self._action = action
        self._args = args

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if isinstance(error, Exception) and not missing_tables.is_known(error):
            self._log()
        return error is None or isinstance(error, Exception)

    def _log(self, prefix: str = "") -> None:
        self._logger.exception(prefix + self._action + " failed", *self._args)


class log_errors_with_savepoints(log_errors):  # noqa: N801
    """Like :class:`log_errors`, and roll back what the block did to open transactions.

    For code of the site, which may query any database: each open transaction gets a
    savepoint, and returns to it if the block fails. Takes the same arguments.
    """

    _stack: ExitStack | None = None

    def __enter__(self) -> None:
        in_transaction = open_transactions()
        if not in_transaction:
            return
        self._stack = ExitStack()
        try:
            _set_savepoints(self._stack, in_transaction)
        except Error:
            # Without a savepoint nothing can be rolled back, but the block may well succeed.
            self._log("Savepoint for: ")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        try:
            if self._stack is not None:
                self._stack.__exit__(kind, error, traceback)
        except Exception:  # noqa: BLE001 - the promise is to raise nothing
            self._log()
            return error is None or isinstance(error, Exception)
        return super().__exit__(kind, error, traceback)


@contextmanager
def savepoints() -> Iterator[None]:
    """Set a savepoint in each open transaction; without one this costs nothing.

    A database error inside a transaction invalidates all that the site has done in it so
    far, unless there is a savepoint to return to.
    """
    with ExitStack() as stack:
        _set_savepoints(stack, open_transactions())
        yield


def open_transactions() -> list[BaseDatabaseWrapper]:
    """Return the connections of this thread that are in a transaction."""
    return [
        connection
        for connection in connections.all(initialized_only=True)
        if connection.in_atomic_block
    ]


def _set_savepoints(stack: ExitStack, in_transaction: Iterable[BaseDatabaseWrapper]) -> None:
    for connection in in_transaction:
        stack.enter_context(transaction.atomic(using=connection.alias))

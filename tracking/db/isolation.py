"""Running code that may fail so that its failure stays its own."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import TracebackType

from django.db import Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper


class contained(AbstractContextManager[None, bool]):  # noqa: N801 - reads as a statement
    """Run a block whose failure must not reach the reader.

    What the block raises is logged with its traceback and goes no further::

        with contained(logger, "Tracking of %r", path):
            backend.send(hit)

    Args:
        logger: where the failure is logged, as an error.
        doing: what the block does, with ``%s`` for ``args``; it starts the log line.
        args: what goes into ``doing``.
    """

    def __init__(self, logger: logging.Logger, doing: str, *args: object) -> None:
        self._logger = logger
        self._doing = doing
        self._args = args

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if isinstance(error, Exception):
            self._log()
        return error is None or isinstance(error, Exception)

    def _log(self, prefix: str = "") -> None:
        self._logger.exception(prefix + self._doing + " failed", *self._args)


class isolated(contained):  # noqa: N801
    """Run a block whose failure must not reach the site's transaction either.

    For code of the site, which may ask the database whatever it likes: a savepoint is set
    in each open transaction, and gone back to if the block fails. Takes the same arguments.
    """

    _stack: ExitStack | None = None

    def __enter__(self) -> None:
        inside = _open_transactions()
        if not inside:
            return
        self._stack = ExitStack()
        try:
            _set_savepoints(self._stack, inside)
        except Error:
            # Nothing can be rolled back then, and most of the block may not need it.
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
        except Exception:  # noqa: BLE001 - this is the place that promises to take anything
            self._log()
            return error is None or isinstance(error, Exception)
        return super().__exit__(kind, error, traceback)


@contextmanager
def savepoint() -> Iterator[None]:
    """Set a savepoint in each transaction that is open; outside of any it costs nothing.

    A database error inside a transaction poisons all that the site has done in it so
    far, unless there is a savepoint to go back to.
    """
    with ExitStack() as stack:
        _set_savepoints(stack, _open_transactions())
        yield


def _open_transactions() -> list[BaseDatabaseWrapper]:
    return [open_ for open_ in connections.all(initialized_only=True) if open_.in_atomic_block]


def _set_savepoints(stack: ExitStack, inside: Iterable[BaseDatabaseWrapper]) -> None:
    for connection in inside:
        stack.enter_context(transaction.atomic(using=connection.alias))

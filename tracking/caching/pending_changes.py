"""Changes in open transactions: only the thread that made them sees them.

A change is a function that ``transaction.on_commit`` calls. So Django itself drops it, and the
content that was read with it, if the change is rolled back, even to a savepoint::

    change = pending_changes.note("words", using, on_commit)
    change.content = load(using)               # read within the transaction
    pending_changes.find("words").content

While there is no open transaction with a change, :data:`live` is empty, and nothing is looked up.
"""

from collections.abc import Callable, Iterator
from typing import Any
from weakref import ref

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tracking import compat
from tracking.db.isolation import open_transactions

#: The content of a change that was not read yet.
UNREAD: Any = object()


class PendingChange:
    """A change in an open transaction.

    Attributes:
        name: the name of the snapshot.
        using: the alias of the database.
        savepoints: the ids of the savepoints that it was made in.
        content: what the transaction sees, or :data:`UNREAD`.
    """

    def __init__(
        self,
        name: str,
        connection: BaseDatabaseWrapper,
        on_commit: Callable[[], object],
        previous: "PendingChange | None",
    ) -> None:
        self.name = name
        self.using = connection.alias
        self.savepoints = compat.savepoint_ids(connection)
        self.content = UNREAD
        self._connection = ref(connection)
        self._on_commit = on_commit
        # None if it is the first: one that held itself would be looked up until it is collected.
        self._first: PendingChange | None = previous and (previous._first or previous)
        self._previous = previous
        self._is_called = False
        key = id(self)
        live[key] = ref(self, lambda _: live.pop(key, None))

    def __call__(self) -> None:
        """Call ``on_commit``, once for all changes of the transaction."""
        # ``TestCase.captureOnCommitCallbacks`` calls this without a commit.
        first = self._first or self
        if not first._is_called and not self.is_pending():
            first._is_called = True
            self._on_commit()

    def drop_content_that_cannot_return(self) -> None:
        """Drop what was read before changes that will not be rolled back without this one."""
        place = self._open_savepoints()
        previous = self._previous
        while previous is not None and previous._open_savepoints() == place:
            previous.content = UNREAD
            previous = previous._previous
        self._previous = previous

    def _open_savepoints(self) -> tuple[str, ...]:
        connection = self._connection()
        still_open = () if connection is None else compat.savepoint_ids(connection)
        return tuple(one for one in self.savepoints if one in still_open)

    def is_pending(self) -> bool:
        """Return whether its transaction is open."""
        connection = self._connection()
        return connection is not None and any(change is self for change in _all_of(connection))


#: All changes that may be pending, by id.
live: "dict[int, ref[PendingChange]]" = {}


def is_noted(name: str, using: str) -> bool:
    """Return whether the open transaction of this thread has a change of a snapshot.

    Args:
        name: the name of the snapshot.
        using: the alias of the database.
    """
    return _last(name, connections[using]) is not None


def note(name: str, using: str, on_commit: Callable[[], object]) -> None:
    """Note a change in the open transaction of this thread.

    Args:
        name: the name of the snapshot.
        using: the alias of the database.
        on_commit: called after the commit.
    """
    connection = connections[using]
    last = _last(name, connection)
    if last is not None:
        last.drop_content_that_cannot_return()
        if last.savepoints == compat.savepoint_ids(connection):
            last.content = UNREAD
            return
    # A rollback to a savepoint takes away this change and its content, and leaves the last one.
    transaction.on_commit(PendingChange(name, connection, on_commit, last), using=using)


def of_this_thread(name: str) -> PendingChange | None:
    """Return the last change of a snapshot in the open transactions of this thread."""
    if live:
        for connection in open_transactions():
            if (change := _last(name, connection)) is not None:
                return change
    return None


def find(name: str) -> PendingChange | None:
    """Return the last change of a snapshot that this thread may see.

    In tests those of other threads are seen as well: what a test changes is to be seen by the
    requests that it sends, whatever thread or event loop responds to them.
    """
    change = of_this_thread(name)
    if change is None and compat.is_test_environment():
        others = [made for made in map(_alive, list(live.values())) if made and made.name == name]
        return next((made for made in reversed(others) if made.is_pending()), None)
    return change


def _alive(reference: "ref[PendingChange]") -> PendingChange | None:
    return reference()


def _last(name: str, connection: BaseDatabaseWrapper) -> PendingChange | None:
    return next((change for change in _all_of(connection) if change.name == name), None)


def _all_of(connection: BaseDatabaseWrapper) -> Iterator[PendingChange]:
    """Yield the changes in the open transaction of a connection, the last one first."""
    for function in reversed(compat.pending_on_commit(connection)):
        if isinstance(function, PendingChange):
            yield function

"""Small tables in memory, reloaded in every process when they change.

    words = Snapshot("words", load_words, ())

    words.get()          # the rows, from memory
    changed("words")     # call this after changing the table, in the same transaction

Each change writes a new random token for the snapshot to :class:`~tracking.models.SharedValue`.
Each process reads all tokens with one query, at most every ``INTERVAL`` seconds and only while it
serves requests, and reloads each snapshot whose token it does not know. So a change takes effect
everywhere within ``INTERVAL``, and at once in the process that made it.

Tokens are random rather than counters, so that a rolled-back change is seen as a difference,
too. Rows read within a transaction that changed them may still be rolled back: they are read
again at each poll until that transaction ends. (Rolling back to a savepoint may remove rows
but not a token that was written before it.)

A request first calls :func:`is_due`, which is one comparison, and then :func:`refresh`, which
queries the database::

    if snapshots.is_due():
        snapshots.refresh()            # in an event loop: by sync_to_async
    words.current

While the database is down, the last content stays in use. A snapshot that cannot be loaded keeps
its last content, too, and the others are refreshed regardless.
"""

import logging
import math
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from time import monotonic, time
from typing import Any, Generic, Protocol, TypeVar

from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import post_migrate
from django.utils import timezone

from tracking import compat
from tracking.db import missing_tables
from tracking.db.isolation import open_transactions, savepoints
from tracking.models import SharedValue

logger = logging.getLogger(__name__)

#: Seconds between two polls of the tokens.
INTERVAL = 0.5
#: Seconds after a failure before the database is queried again, so that requests need not wait.
BACKOFF = 5.0
#: Seconds that a request waits for the first load if another thread is loading.
MAX_WAIT = 5.0

#: The times "now" and "never".
NOW, NEVER = -math.inf, math.inf

#: ``transaction_status`` of psycopg for a transaction that can only be rolled back.
_INERROR = 3

T = TypeVar("T")


class Refreshable(Protocol):
    """What the poller refreshes."""

    @property
    def name(self) -> str:
        """Its name in the log."""

    @property
    def is_uncommitted(self) -> bool:
        """Whether its content rests on a change that may still be rolled back."""

    @property
    def expires_at(self) -> float:
        """The POSIX time at which it must be reloaded even without a change."""

    @property
    def is_loaded(self) -> bool:
        """Whether it was loaded since the process started."""

    def reload_if_changed(self, values: Mapping[str, str], using: str) -> None:
        """Reload the content if the shared values say that it changed.

        Args:
            values: all shared values by name; the value of a snapshot is its token.
            using: the alias of the database that they were read from.
        """

    def reset(self) -> None:
        """Drop the content, as before the first load."""


class Snapshot(Generic[T]):
    """The content of a table, in memory.

    Attributes:
        current: the content as last loaded; reading it needs no query.
    """

    #: Content changes only when the table does.
    expires_at = NEVER

    def __init__(self, name: str, load: Callable[[str], T], empty: T) -> None:
        """Make the snapshot and register it with the poller of this process.

        Args:
            name: its name for :func:`changed`; 50 characters at most.
            load: returns the content, given the alias of the database.
            empty: the content before the first load.
        """
        self.name = name
        self._load = load
        self._empty = empty
        self.reset()
        register(self)

    def reset(self) -> None:
        """Go back to the empty content."""
        self.current = self._empty
        self.is_loaded = self.is_uncommitted = False
        self._token = ""

    def get(self) -> T:
        """Return the content, refreshed if a poll is due."""
        if is_due():
            refresh()
        return self.current

    def reload_if_changed(self, values: Mapping[str, str], using: str) -> None:
        """Load the content if its token is new, or the last content may be rolled back."""
        # The token was read before the rows: the next poll finds a change made in between.
        token = values.get(self.name, "")
        if self.is_uncommitted or not self.is_loaded or token != self._token:
            with savepoints():  # a failure must not break the transaction for the others
                self.current = self._load(using)
            self._token = token
            self.is_loaded = True
            self.is_uncommitted = _is_uncommitted(self.name, token, using)


class _PendingChange:
    """A change in the open transaction of this process, called when it is committed.

    It is registered with ``transaction.on_commit``, so Django drops it if the change is rolled
    back, even to a savepoint; that list also tells which changes are pending. A call alone
    proves no commit: ``TestCase.captureOnCommitCallbacks`` calls it without one.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.token = secrets.token_hex(16)

    def __call__(self) -> None:
        refresh_soon()


def _pending_changes(name: str, using: str) -> Iterator[_PendingChange]:
    """Yield the changes of a snapshot in the open transaction of this thread."""
    connection = connections[using]
    if connection.in_atomic_block:
        for function in compat.pending_on_commit(connection):
            if isinstance(function, _PendingChange) and function.name == name:
                yield function


def _is_uncommitted(name: str, token: str, using: str) -> bool:
    """Return whether a token that was read may still be rolled back."""
    return any(change.token == token for change in _pending_changes(name, using))


class _Poller:
    """Decides when the shared values are read, and by which thread."""

    def __init__(self) -> None:
        self.refreshables: list[Refreshable] = []
        #: When the next poll is due, on the monotonic clock.
        self.next_at = NOW
        self._requests = 0
        self._is_failing = False
        #: When those that could not be loaded are tried again, on the monotonic clock.
        self._backed_off: dict[Refreshable, float] = {}
        self.reset_locks()

    def reset_locks(self) -> None:
        """Start with free locks."""
        self._polling = threading.Lock()
        self._scheduling = threading.Lock()

    def refresh_soon(self, *, respect_backoff: bool = False) -> None:
        """Make a poll due now.

        Args:
            respect_backoff: do nothing if the last poll failed and the next one is scheduled.
        """
        with self._scheduling:
            if respect_backoff and self._is_failing:
                return
            self._backed_off = {}
            self._requests += 1
            self.next_at = NOW

    def run(self) -> bool:
        """Poll. If another thread is polling, wait for it only before the first load.

        Returns:
            Whether nothing failed.
        """
        acquired = self._polling.acquire(blocking=False)
        if not acquired and not self._is_loaded():
            acquired = self._polling.acquire(timeout=MAX_WAIT)
        if not acquired:
            return True
        try:
            # A broken transaction of the site says nothing about the database: the poll stays
            # due for the next request.
            if monotonic() >= self.next_at and not any(map(_is_broken, open_transactions())):
                return self._poll()
        finally:
            self._polling.release()
        return True

    def _poll(self) -> bool:
        requests = self._requests
        if self._is_loaded():  # other threads use the last content meanwhile
            self._schedule(MAX_WAIT, requests)
        try:
            with savepoints():
                self._refresh_all()
        except Exception as error:
            if not missing_tables.is_known(error):
                logger.exception(
                    "Polling for changes failed; bans and other cached tables keep their last "
                    "known state, next attempt in %s s",
                    BACKOFF,
                )
            self._schedule(BACKOFF, requests, is_failing=True)
            return False
        self._schedule(self._seconds_to_next(), requests, is_failing=bool(self._backed_off))
        return True

    def _refresh_all(self) -> None:
        """Read the shared values; let each refreshable reload, regardless of the others."""
        # From the primary database: replicas that lag differently would alternate.
        using = router.db_for_write(SharedValue)
        values = dict(SharedValue.objects.using(using).values_list("name", "value"))
        for refreshable in list(self.refreshables):
            if monotonic() < self._backed_off.get(refreshable, NOW):
                continue
            self._backed_off.pop(refreshable, None)
            try:
                refreshable.reload_if_changed(values, using)
            except Exception:
                logger.exception(
                    "Loading the %s failed; using their last known state, next attempt in %s s",
                    refreshable.name,
                    BACKOFF,
                )
                self._backed_off[refreshable] = monotonic() + BACKOFF

    def _schedule(self, seconds: float, requests: int, *, is_failing: bool = False) -> None:
        """Set when the next poll is due, unless one was requested since ``requests``."""
        with self._scheduling:
            self._is_failing = is_failing
            if self._requests == requests:
                self.next_at = monotonic() + seconds

    def _seconds_to_next(self) -> float:
        if any(refreshable.is_uncommitted for refreshable in self.refreshables):
            return NOW
        first = min((refreshable.expires_at for refreshable in self.refreshables), default=NEVER)
        return min(INTERVAL, first - time())

    def _is_loaded(self) -> bool:
        return all(refreshable.is_loaded for refreshable in self.refreshables)


def _is_broken(connection: BaseDatabaseWrapper) -> bool:
    """Return whether a transaction can only be rolled back and refuses queries."""
    # An error that the site caught without a savepoint is known to PostgreSQL's driver only.
    info = getattr(connection.connection, "info", None)
    return (
        transaction.get_rollback(using=connection.alias)
        or getattr(info, "transaction_status", None) == _INERROR
    )


_poller = _Poller()


def register(refreshable: Refreshable) -> None:
    """Let the poller of this process refresh an object."""
    _poller.refreshables.append(refreshable)
    _poller.refresh_soon()


def is_due() -> bool:
    """Return whether it is time to :func:`refresh`. Costs one comparison."""
    return monotonic() >= _poller.next_at


def refresh() -> bool:
    """Bring all snapshots up to date. Queries the database; never raises because of it.

    Returns:
        Whether the database answered, as far as it was queried; failures are logged.
    """
    return _poller.run()


def refresh_soon() -> None:
    """Make a refresh due now, unless the last one failed and its pause is not over."""
    _poller.refresh_soon(respect_backoff=True)


def changed(name: str, using: str | None = None) -> None:
    """Let all processes reload a snapshot whose table has changed.

    Call it in the transaction of the change, so that both become visible together.

    Args:
        name: the name of the snapshot.
        using: the alias of the changed database; by default the router decides.

    Raises:
        django.db.Error: the token could not be written; other processes keep the old content.
    """
    using = using or router.db_for_write(SharedValue)
    # One token is enough for all changes of one transaction.
    if not any(_pending_changes(name, using)):
        change = _PendingChange(name)
        _save_token(name, change.token, using)
        if connections[using].in_atomic_block:
            transaction.on_commit(change, using=using)
    _poller.refresh_soon()


def _save_token(name: str, token: str, using: str) -> None:
    # Not update_or_create(): if two transactions lock a row that does not exist yet, MariaDB
    # aborts one of them.
    target = connections[using].features.supports_update_conflicts_with_target
    SharedValue.objects.using(using).bulk_create(
        [SharedValue(name=name, value=token, changed_at=timezone.now())],
        update_conflicts=True,
        update_fields=["value", "changed_at"],
        unique_fields=["name"] if target else None,
    )


def reset_all() -> None:
    """Drop all content, for tests that must not see that of earlier tests."""
    for refreshable in _poller.refreshables:
        refreshable.reset()
    _poller.refresh_soon()


def _reset_after_fork() -> None:
    # Another thread of the parent may have held a lock; it does not exist in the child.
    _poller.reset_locks()
    _poller.refresh_soon()


# Windows has no fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)


def _refresh_after_migrate(**_: Any) -> None:
    # Also sent by ``flush``, with which TransactionTestCase empties all tables between tests.
    _poller.refresh_soon()


post_migrate.connect(_refresh_after_migrate)

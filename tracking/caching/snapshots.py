"""In-process snapshots of small tables that all processes of a site must agree on.

    words = Snapshot("words", load_words, ())

    words.get()          # the rows, from memory
    changed("words")     # whoever has changed the table says so, in the same transaction

Every change puts a new random token beside the rows (:class:`~tracking.models.SharedValue`).
Each process reads the tokens of all snapshots by one query, twice a second at most and
only while there are requests, and loads what has a token that it does not know. So a
change is in force everywhere within ``INTERVAL``, and at once where it was made.

Tokens are random, and no counters, so that a change that is rolled back is seen as a
difference too. What a process has read of its own transaction is provisional until
that is over, and read anew by each look: a savepoint that is rolled back takes rows with
it, but not the token that was written before it.

A request asks :func:`is_due`, which is one comparison, and only then :func:`refresh`, which
waits for the database::

    if snapshots.is_due():
        snapshots.refresh()            # in an event loop, by way of a thread
    words.current

Where the database is away, the last state stays in force. What cannot be loaded keeps its
last state too, and stands in the way of nothing else.
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

from tracking.db.isolation import savepoints
from tracking.models import SharedValue

logger = logging.getLogger(__name__)

#: Seconds between two looks at the tokens.
INTERVAL = 0.5
#: Seconds after a failure for which the database is left alone: not every request is to wait.
BACKOFF = 5.0
#: Seconds that a request waits for the first load, if another thread is at it.
MAX_WAIT = 5.0

#: The time for what is due now, and for what never is.
NOW, NEVER = -math.inf, math.inf

T = TypeVar("T")


class Refreshable(Protocol):
    """What is brought up to date by the poll.

    Attributes:
        name: how the log calls it.
        is_loaded: whether it has ever been.
        is_uncommitted: whether it rests on a change that may still be rolled back.
        expires_at: the POSIX time from which it is out of date by itself.
    """

    @property
    def name(self) -> str: ...

    @property
    def is_uncommitted(self) -> bool: ...

    @property
    def expires_at(self) -> float: ...

    @property
    def is_loaded(self) -> bool: ...

    def reload_if_changed(self, values: Mapping[str, str], using: str) -> None:
        """Catch up with what is agreed on.

        Args:
            values: the table ``SharedValue``, by name.
            using: the alias of the database that it was read from.
        """

    def reset(self) -> None:
        """Go back to what was there before anything was loaded."""


class Snapshot(Generic[T]):
    """The content of a table, in memory.

    Attributes:
        current: the content as far as it is known, without a look at the database.
    """

    #: A content ends only by a change.
    expires_at = NEVER

    def __init__(self, name: str, load: Callable[[str], T], empty: T) -> None:
        """Make the snapshot, and let it take part in the poll of this process.

        Args:
            name: what :func:`changed` calls it; 50 characters at most.
            load: returns the content, from the database whose alias it is given.
            empty: what is there before anything could be loaded.
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
        """Return the content, after a look at the database if one is due."""
        if is_due():
            refresh()
        return self.current

    def reload_if_changed(self, values: Mapping[str, str], using: str) -> None:
        """Load the content, if the token says that it is another one, or it may be gone."""
        # The token was read before the rows: a change in between is found by the next look.
        token = values.get(self.name, "")
        if self.is_uncommitted or not self.is_loaded or token != self._token:
            with savepoints():  # what fails here must not keep the others from being read
                self.current = self._load(using)
            self._token = token
            self.is_loaded = True
            self.is_uncommitted = _is_uncommitted(self.name, token, using)


class _PendingChange:
    """A change of this process whose transaction is not over. Called once it is committed.

    It waits for that in Django's list, which forgets what is rolled back, to a savepoint or
    altogether; so does who asks there what is still open. That it was called says nothing:
    ``TestCase.captureOnCommitCallbacks`` calls what is never committed.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.token = secrets.token_hex(16)

    def __call__(self) -> None:
        refresh_soon()


def _uncommitted_changes(name: str, using: str) -> Iterator[_PendingChange]:
    """Yield the changes of a table that the open transaction of this thread has in it."""
    connection = connections[using]
    if connection.in_atomic_block:
        for entry in connection.run_on_commit:
            if isinstance(entry[1], _PendingChange) and entry[1].name == name:
                yield entry[1]


def _is_uncommitted(name: str, token: str, using: str) -> bool:
    """Return whether a token that was read may still be rolled back."""
    return any(change.token == token for change in _uncommitted_changes(name, using))


class _Poller:
    """When the tokens are looked at, and by whom."""

    def __init__(self) -> None:
        self.refreshables: list[Refreshable] = []
        self.next_at = NOW
        self._requests = 0
        self._is_failing = False
        #: Until when those are left alone that could not be loaded, on the monotonic clock.
        self._backed_off: dict[Refreshable, float] = {}
        self.reset_locks()

    def reset_locks(self) -> None:
        """Begin with locks that nobody holds."""
        self._polling = threading.Lock()
        self._setting = threading.Lock()

    def refresh_soon(self, *, respect_backoff: bool = False) -> None:
        """Make the poll due now.

        Args:
            respect_backoff: not if the last one has failed and is to be tried again later.
        """
        with self._setting:
            if respect_backoff and self._is_failing:
                return
            self._backed_off = {}
            self._requests += 1
            self.next_at = NOW

    def run(self) -> bool:
        """Poll, unless another thread is at it: it is waited for only if nothing is loaded.

        Returns:
            Whether nothing has failed.
        """
        got_it = self._polling.acquire(blocking=False)
        if not got_it and not self._is_loaded():
            got_it = self._polling.acquire(timeout=MAX_WAIT)
        if not got_it:
            return True
        try:
            # Where a transaction of the site is broken, that is not the database's fault: who
            # comes next may ask it.
            if monotonic() >= self.next_at and not any(map(_is_broken, _open_transactions())):
                return self._poll()
        finally:
            self._polling.release()
        return True

    def _poll(self) -> bool:
        requests = self._requests
        if self._is_loaded():  # the others go on with that meanwhile
            self._postpone(MAX_WAIT, requests)
        try:
            with savepoints():
                self._follow()
        except Exception:
            logger.exception("Reading what all processes agree on failed; the last state stays")
            self._postpone(BACKOFF, requests, is_failing=True)
            return False
        self._postpone(self._seconds_to_next(), requests, is_failing=bool(self._backed_off))
        return True

    def _follow(self) -> None:
        """Read the tokens, and let each refreshable catch up with them, whatever the others do."""
        # From where is written: replicas that lag behind each other would take turns.
        using = router.db_for_write(SharedValue)
        values = dict(SharedValue.objects.using(using).values_list("name", "value"))
        for refreshable in list(self.refreshables):
            if monotonic() < self._backed_off.get(refreshable, NOW):
                continue
            self._backed_off.pop(refreshable, None)
            try:
                refreshable.reload_if_changed(values, using)
            except Exception:
                logger.exception("Loading the %s failed; their last state stays", refreshable.name)
                self._backed_off[refreshable] = monotonic() + BACKOFF

    def _postpone(self, seconds: float, requests: int, *, is_failing: bool = False) -> None:
        """Say when the next poll is due, unless somebody has wished for one since."""
        with self._setting:
            self._is_failing = is_failing
            if self._requests == requests:
                self.next_at = monotonic() + seconds

    def _seconds_to_next(self) -> float:
        """Return the seconds for which what was read is good."""
        if any(refreshable.is_uncommitted for refreshable in self.refreshables):
            return NOW
        first = min((refreshable.expires_at for refreshable in self.refreshables), default=NEVER)
        return min(INTERVAL, first - time())

    def _is_loaded(self) -> bool:
        return all(refreshable.is_loaded for refreshable in self.refreshables)


def _open_transactions() -> Iterator[BaseDatabaseWrapper]:
    """Yield the connections of this thread that are in a transaction."""
    return (one for one in connections.all(initialized_only=True) if one.in_atomic_block)


def _is_broken(connection: BaseDatabaseWrapper) -> bool:
    """Return whether a transaction can only be rolled back, and refuses to be asked anything."""
    # Of an error that the site has caught by itself only PostgreSQL knows: psycopg's INERROR.
    info = getattr(connection.connection, "info", None)
    return connection.needs_rollback or getattr(info, "transaction_status", None) == 3  # noqa: PLR2004


_poller = _Poller()


def register(refreshable: Refreshable) -> None:
    """Let something take part in the poll of this process."""
    _poller.refreshables.append(refreshable)
    _poller.refresh_soon()


def is_due() -> bool:
    """Return whether it is time to :func:`refresh`. Costs one comparison."""
    return monotonic() >= _poller.next_at


def refresh() -> bool:
    """Bring all snapshots up to date. Waits for the database, and never raises because of it.

    Returns:
        Whether the database has answered, as far as it was asked; if not, that is logged.
    """
    return _poller.run()


def refresh_soon() -> None:
    """Make a refresh due now, unless the database has just failed."""
    _poller.refresh_soon(respect_backoff=True)


def changed(name: str, using: str | None = None) -> None:
    """Tell all processes that the table behind a snapshot has another content.

    Call it within the transaction of the change, so that both are seen together.

    Args:
        name: the name of the snapshot.
        using: the alias of the database that was changed; by default where the router
            writes to.

    Raises:
        django.db.Error: nobody could be told.
    """
    using = using or router.db_for_write(SharedValue)
    # One token serves all changes that are committed together.
    if not any(_uncommitted_changes(name, using)):
        change = _PendingChange(name)
        _save_token(name, change.token, using)
        if connections[using].in_atomic_block:
            transaction.on_commit(change, using=using)
    _poller.refresh_soon()


def _save_token(name: str, token: str, using: str) -> None:
    # Not update_or_create(): of two transactions that lock a row which does not exist yet,
    # MariaDB ends one.
    target = connections[using].features.supports_update_conflicts_with_target
    SharedValue.objects.using(using).bulk_create(
        [SharedValue(name=name, value=token, changed_at=timezone.now())],
        update_conflicts=True,
        update_fields=["value", "changed_at"],
        unique_fields=["name"] if target else None,
    )


def reset_all() -> None:
    """Forget everything, for tests that must not see what another one has left."""
    for refreshable in _poller.refreshables:
        refreshable.reset()
    _poller.refresh_soon()


def _reset_after_fork() -> None:
    # Another thread of the parent may have held a lock, and does not exist here.
    _poller.reset_locks()
    _poller.refresh_soon()


# Not on Windows, which has no fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)


def _refresh_after_migrate(**_: Any) -> None:
    # ``flush`` says so too, with which TransactionTestCase empties all tables between tests.
    _poller.refresh_soon()


post_migrate.connect(_refresh_after_migrate)

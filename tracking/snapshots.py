"""In-process snapshots of small tables that all processes of a site must agree on.

    words = Snapshot("words", load_words, ())

    words.get()          # the rows, from memory
    changed("words")     # whoever has changed the table says so, in the same transaction

Every change puts a new random token beside the rows (:class:`~tracking.models.Agreed`).
Each process reads the tokens of all snapshots by one query, twice a second at most and
only while there are requests, and loads what has a token that it does not know. So a
change is in force everywhere within ``INTERVAL``, and at once where it was made.

Tokens are random, and no counters, so that a change that is rolled back is seen as a
difference too. What a process has read of its own transaction is provisional until
that is committed.

A request asks :func:`due`, which is one comparison, and only then :func:`refresh`, which
waits for the database::

    if snapshots.due():
        snapshots.refresh()            # under ASGI: await snapshots.arefresh()
    words.current

Where the database is away, the last state stays in force.
"""

import logging
import math
import os
import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from time import monotonic, time
from typing import Generic, Protocol, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections, router, transaction
from django.utils import timezone

from tracking.isolation import savepoint
from tracking.models import Agreed

logger = logging.getLogger(__name__)

#: Seconds between two looks at the tokens.
INTERVAL = 0.5
#: Seconds after a failure for which the database is left alone: not every request is to wait.
RETRY = 5.0
#: Seconds that a request waits for the first load, if another thread is at it.
WAIT = 5.0

#: The time for what is due now, and for what never is.
NOW, NEVER = -math.inf, math.inf

T = TypeVar("T")


class Follower(Protocol):
    """What is brought up to date by the poll.

    Attributes:
        loaded: whether it has ever been.
        provisional: whether it rests on a change that may still be rolled back.
        until: the POSIX time from which it is out of date by itself.
    """

    provisional: bool
    until: float

    @property
    def loaded(self) -> bool: ...

    def follow(self, values: Mapping[str, str], using: str) -> None:
        """Catch up with what is agreed on.

        Args:
            values: the table ``Agreed``, by name.
            using: the alias of the database that it was read from.
        """

    def forget(self) -> None:
        """Go back to what was there before anything was loaded."""


class Snapshot(Generic[T]):
    """The content of a table, in memory.

    Attributes:
        current: the content as far as it is known, without a look at the database.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[str], T],
        empty: T,
        until: Callable[[T], float] = lambda _content: NEVER,
    ) -> None:
        """Make the snapshot, and let it take part in the poll of this process.

        Args:
            name: what :func:`changed` calls it; 50 characters at most.
            load: returns the content, from the database whose alias it is given.
            empty: what is there before anything could be loaded.
            until: returns the POSIX time from which a content is out of date, though
                nobody has changed the table.
        """
        self.name = name
        self._load = load
        self._empty = empty
        self._until = until
        self.forget()
        follow(self)

    def forget(self) -> None:
        """Go back to the empty content."""
        self.current = self._empty
        self.loaded = self.provisional = False
        self.until = NEVER
        self._token = ""

    def get(self) -> T:
        """Return the content, after a look at the database if one is due."""
        if due():
            refresh()
        return self.current

    def follow(self, values: Mapping[str, str], using: str) -> None:
        """Load the content, if the token or the clock says that it is another one."""
        # The token was read before the rows: a change in between is found by the next look.
        token = values.get(self.name, "")
        self.provisional = _uncommitted.has_read(self.name, token)
        if not self.loaded or token != self._token or time() >= self.until:
            self.current = self._load(using)
            self.until = self._until(self.current)
            self._token = token
            self.loaded = True


class _Change:
    """A change of this process whose transaction is not over. Called once it is committed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.token = secrets.token_hex(16)
        #: Whether a snapshot of this process may rest on it, so that what is changed after
        #: it needs a token of its own.
        self.is_read = False

    def __call__(self) -> None:
        _uncommitted.remove(self)
        hasten()


class _Uncommitted:
    """The changes of this process that may still be rolled back."""

    def __init__(self) -> None:
        self._changes: dict[str, dict[str, _Change]] = defaultdict(dict)
        self.unlock()

    def unlock(self) -> None:
        """Begin with a lock that nobody holds."""
        self._lock = threading.Lock()

    def add(self, change: _Change) -> None:
        with self._lock:
            self._changes[change.name][change.token] = change

    def remove(self, change: _Change) -> None:
        with self._lock:
            self._changes[change.name].pop(change.token, None)

    def clear(self) -> None:
        with self._lock:
            self._changes.clear()

    def has_read(self, name: str, token: str) -> bool:
        """Return whether the token that was read is one of these."""
        with self._lock:
            changes = self._changes.pop(name, {})
            for change in changes.values():
                change.is_read = True
            if token not in changes:
                return False  # they were rolled back, which nobody is told, or are not over
            self._changes[name] = changes
            return True


class _Poll:
    """When the tokens are looked at, and by whom."""

    def __init__(self) -> None:
        self.followers: list[Follower] = []
        self.at = NOW
        self._wishes = 0
        self._is_failing = False
        self.unlock()

    def unlock(self) -> None:
        """Begin with locks that nobody holds."""
        self._polling = threading.Lock()
        self._setting = threading.Lock()

    def hasten(self, *, patiently: bool = False) -> None:
        """Make the poll due now.

        Args:
            patiently: not if the last one has failed and is to be tried again later.
        """
        with self._setting:
            if not (patiently and self._is_failing):
                self._wishes += 1
                self.at = NOW

    def run(self) -> None:
        """Poll, unless another thread is at it: it is waited for only if nothing is loaded."""
        got_it = self._polling.acquire(blocking=False)
        if not got_it and not self._is_loaded():
            got_it = self._polling.acquire(timeout=WAIT)
        if not got_it:
            return
        try:
            if monotonic() >= self.at:
                self._poll()
        finally:
            self._polling.release()

    def _poll(self) -> None:
        wishes = self._wishes
        if self._is_loaded():  # the others go on with that meanwhile
            self._postpone(WAIT, wishes)
        try:
            with savepoint():
                using = router.db_for_read(Agreed)
                values = dict(Agreed.objects.using(using).values_list("name", "value"))
                for follower in list(self.followers):
                    follower.follow(values, using)
        except Exception:
            logger.exception("Reading what all processes agree on failed; the last state stays")
            self._postpone(RETRY, wishes, is_failing=True)
        else:
            self._postpone(self._patience(), wishes)

    def _postpone(self, seconds: float, wishes: int, *, is_failing: bool = False) -> None:
        """Say when the next poll is due, unless somebody has wished for one since."""
        with self._setting:
            self._is_failing = is_failing
            if self._wishes == wishes:
                self.at = monotonic() + seconds

    def _patience(self) -> float:
        """Return the seconds for which what was read is good."""
        if any(follower.provisional for follower in self.followers):
            return NOW
        first = min((follower.until for follower in self.followers), default=NEVER)
        return min(INTERVAL, first - time())

    def _is_loaded(self) -> bool:
        return all(follower.loaded for follower in self.followers)


_uncommitted = _Uncommitted()
_poll = _Poll()


def follow(follower: Follower) -> None:
    """Let something take part in the poll of this process."""
    _poll.followers.append(follower)
    _poll.hasten()


def due() -> bool:
    """Return whether it is time to :func:`refresh`. Costs one comparison."""
    return monotonic() >= _poll.at


def refresh() -> None:
    """Bring all snapshots up to date. Waits for the database, and never raises because of it."""
    _poll.run()


async def arefresh() -> None:
    """Do the same without holding up the event loop."""
    await sync_to_async(refresh, thread_sensitive=True)()


def hasten() -> None:
    """Make a refresh due now, unless the database has just failed."""
    _poll.hasten(patiently=True)


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
    using = using or router.db_for_write(Agreed)
    if not _is_told_already(name, using):
        change = _Change(name)
        in_transaction = connections[using].in_atomic_block
        if in_transaction:
            _uncommitted.add(change)
        _write(name, change.token, using)
        if in_transaction:
            transaction.on_commit(change, using=using)
    _poll.hasten()


def _is_told_already(name: str, using: str) -> bool:
    """Return whether the open transaction has a change in it that nobody has read yet.

    One token serves all changes that are committed together. A callback that still waits
    for the commit is a change that was not rolled back with a savepoint.
    """
    waiting = (entry[1] for entry in connections[using].run_on_commit)
    return any(
        isinstance(callback, _Change) and callback.name == name and not callback.is_read
        for callback in waiting
    )


def _write(name: str, token: str, using: str) -> None:
    # Not update_or_create(): of two transactions that lock a row which does not exist yet,
    # MariaDB ends one.
    target = connections[using].features.supports_update_conflicts_with_target
    Agreed.objects.using(using).bulk_create(
        [Agreed(name=name, value=token, changed_at=timezone.now())],
        update_conflicts=True,
        update_fields=["value", "changed_at"],
        unique_fields=["name"] if target else None,
    )


def forget() -> None:
    """Forget everything, for tests that must not see what another one has left."""
    _uncommitted.clear()
    for follower in _poll.followers:
        follower.forget()
    _poll.hasten()


def _after_fork() -> None:
    # Another thread of the parent may have held a lock, and does not exist here.
    _poll.unlock()
    _uncommitted.unlock()
    _poll.hasten()


# Not on Windows, which has no fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

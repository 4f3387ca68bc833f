"""Small tables in memory, reloaded in every process when they change.

    words = Snapshot("words", load_words, ())

    words.get()          # the rows, from memory
    changed("words")     # call this after changing the table, in the same transaction

Each change writes a new random token for the snapshot to :class:`~tracking.models.SharedValue`.
Each process reads all tokens with one query, at most every ``INTERVAL`` seconds and only while it
serves requests, and reloads each snapshot whose token it does not know. So a change takes effect
everywhere within ``INTERVAL``, and at once in the process that made it.

Tokens are random rather than counters, so that a rolled-back change is seen as a difference, too.
A change in an open transaction is seen by the thread that made it, and by nobody else
(:mod:`tracking.caching.pending_changes`).

Who polls depends on the process:

- One that serves requests has a thread for it (:mod:`tracking.caching.refresher`). A request calls
  :func:`is_due`, which is one comparison, and now and then :func:`refresh_for_request`, which does
  not wait for the database::

      if snapshots.is_due():
          await snapshots.refresh_for_request(wait)
      words.current

- In commands, shells and tasks, :func:`refresh` polls in the thread that calls it. So it does for
  requests where threads do not run, and where the database is in memory.
- In tests of a site nobody polls, so that each request has the same queries. Tables are read when
  they change, and after ``migrate`` and ``flush``.

While the database is down, the last content stays in use. A snapshot that cannot be loaded keeps
its last content, too, and the others are refreshed regardless.
"""

import atexit
import concurrent.futures
import os
import secrets
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, Generic, NamedTuple, TypeVar

from django.core.signals import request_started
from django.db import connections, models, router
from django.db.models.signals import post_migrate
from django.utils import timezone

from tracking import compat
from tracking.caching import pending_changes
from tracking.caching.pending_changes import UNREAD, PendingChange
from tracking.caching.polling import NEVER, NOW, Poller, Refreshable
from tracking.caching.refresher import Refresher
from tracking.db import threads
from tracking.db.isolation import savepoints
from tracking.log_limits import get_logger
from tracking.models import SharedValue
from tracking.models.change_signals import rows_changed, rows_changing
from tracking.sync_and_async import Waiting

__all__ = [
    "NEVER",
    "NOW",
    "Refreshable",
    "Snapshot",
    "changed",
    "freshness",
    "is_due",
    "is_failing",
    "refresh",
    "refresh_for_request",
    "refresh_soon",
    "register",
    "reset_all",
]

logger = get_logger(__name__)

T = TypeVar("T")


class _Loaded(NamedTuple):
    """What was loaded, and for which token. One object, because two threads may replace it."""

    content: Any
    token: str | None


class Snapshot(Generic[T]):
    """The content of a table, in memory."""

    def __init__(
        self,
        name: str,
        load: Callable[[str], T],
        empty: T,
        model: type[models.Model] | None = None,
        *,
        loads_unchanged: bool = True,
    ) -> None:
        """Make the snapshot and register it with the poller of this process.

        Args:
            name: its name for :func:`changed`; 50 characters at most.
            load: returns the content, given the alias of the database.
            empty: the content before the first load.
            model: a model whose changes are those of the snapshot. It sends the signals of
                :mod:`tracking.models.change_signals`.
            loads_unchanged: whether to load a table that was never changed.
        """
        self.name = name
        self._loads_unchanged = loads_unchanged
        self._load = load
        self._empty = empty
        self.reset()
        register(self)
        if model is not None:
            rows_changing.connect(self._note_change, sender=model)
            rows_changed.connect(self._note_rows, sender=model)

    @property
    def current(self) -> T:
        """The content as last loaded; reading it needs no query.

        Only after a change in an open transaction of this thread it is loaded from there.
        """
        if pending_changes.live:
            change = pending_changes.find(self.name)
            if change is not None:
                return self._read_pending(change)
        return self._loaded.content  # type: ignore[no-any-return]

    @property
    def committed(self) -> T:
        """The content as last loaded, without what an open transaction has changed."""
        return self._loaded.content  # type: ignore[no-any-return]

    @property
    def is_loaded(self) -> bool:
        """Whether it was loaded since the process started."""
        return self._loaded.token is not None

    def get(self) -> T:
        """Return the content, refreshed if a poll is due."""
        if is_due():
            refresh()
        return self.current

    def reset(self) -> None:
        """Go back to the empty content."""
        self._loaded = _Loaded(self._empty, None)

    def reload_if_changed(self, values: Mapping[str, str], using: str) -> None:
        """Load the content if its token is new."""
        # What this thread has not committed is not for the others.
        if pending_changes.of_this_thread(self.name) is not None:
            if not self.is_loaded:
                refresh_soon()
            return
        # The token was read before the rows: the next poll finds a change made in between.
        token = values.get(self.name, "")
        if token == self._loaded.token:
            return
        if not (token or self._loads_unchanged):
            self._loaded = _Loaded(self._empty, token)
            return
        with savepoints():  # a failure must not break the transaction for the others
            self._loaded = _Loaded(self._load(using), token)

    def _read_pending(self, change: PendingChange) -> T:
        """Return what a transaction sees."""
        if change.content is UNREAD and change is pending_changes.of_this_thread(self.name):
            try:
                with savepoints():
                    change.content = self._load(change.using)
            except Exception:
                logger.exception("Reading the changed %s failed", self.name)
        content: T = self._loaded.content if change.content is UNREAD else change.content
        return content

    def _note_change(self, using: str, **_: Any) -> None:
        changed(self.name, using)

    def _note_rows(self, **_: Any) -> None:
        """Forget what was read between the change and its announcement."""
        change = pending_changes.of_this_thread(self.name)
        if change is not None:
            change.content = UNREAD
            if compat.is_test_environment():  # a request of the test needs no query then
                self._read_pending(change)


class Freshness(NamedTuple):
    """How old the content of this process is.

    Attributes:
        age: seconds since the last poll that succeeded began, or ``None`` if there was none.
        overdue: seconds for which requests have asked for a newer one in vain.
    """

    age: float | None
    overdue: float


class _Process:
    """What polls in this process."""

    def __init__(self) -> None:
        self.poller = Poller()
        self.refresher = Refresher(self.poller)
        self.serves_requests = False

    @property
    def has_refresher(self) -> bool:
        """Whether the thread polls, and not the code that asks for it."""
        return (
            self.serves_requests
            and not compat.is_test_environment()
            and threads.can_query(router.db_for_write(SharedValue))
        )

    def note_request(self, **_: Any) -> None:
        """Note that it serves requests."""
        self.serves_requests = True
        request_started.disconnect(self.note_request)

    def reset_after_fork(self) -> None:
        """Reset what threads of the parent may hold."""
        self.poller.reset_locks()
        self.refresher.reset()
        self.poller.refresh_soon()


_process = _Process()

# Views of the site may ask for bans where no middleware of the app does.
request_started.connect(_process.note_request)
atexit.register(_process.refresher.stop)
# Windows has no fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.reset_after_fork)


def register(refreshable: Refreshable) -> None:
    """Let this process refresh an object with the snapshots."""
    _process.poller.refreshables.append(refreshable)
    _process.poller.refresh_soon()


def is_due() -> bool:
    """Return whether it is time to refresh. Costs one comparison; in tests it is never time."""
    return monotonic() >= _process.poller.next_at and not compat.is_test_environment()


def is_failing() -> bool:
    """Return whether the last refresh failed, which is in the log then."""
    return _process.poller.is_failing


def freshness() -> Freshness:
    """Return how old the content of this process is; in tests of a site, it has no age."""
    if compat.is_test_environment():
        return Freshness(age=None, overdue=0.0)
    poller, now = _process.poller, monotonic()
    asked_at = poller.unanswered_since
    return Freshness(
        age=None if poller.succeeded_at is None else now - poller.succeeded_at,
        overdue=0.0 if asked_at is None else now - asked_at,
    )


async def refresh_for_request(wait: Waiting) -> None:
    """Let the thread of this process bring all snapshots up to date; do it if it :func:`is_due`.

    Args:
        wait: how to wait, which a request does only when its process has just started.
    """
    _process.serves_requests = True
    if not _process.has_refresher:
        await wait.call(_process.poller.poll_if_due)
        return
    future, seconds = _process.refresher.note_request()
    if seconds > 0:
        await wait.until(future, seconds)


def refresh() -> bool:
    """Bring all snapshots up to date; never raises because of the database.

    It queries the database, unless this process serves requests: then its thread does, and this
    waits for it only when the process has just started. In an event loop it neither queries nor
    waits.

    Returns:
        Whether the database answered, as far as it was queried; failures are logged.
    """
    if not _process.has_refresher:
        return compat.is_in_event_loop() or _process.poller.poll_if_due()
    _wait_for(*_process.refresher.note_request())
    return not _process.poller.is_failing


def refresh_soon() -> None:
    """Make a refresh due now, unless the last one failed and its pause is not over."""
    if _process.poller.refresh_soon(respect_backoff=True):
        _process.refresher.wake()


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
    is_atomic = connections[using].in_atomic_block
    # One token is enough for all changes of one transaction.
    if not (is_atomic and pending_changes.is_noted(name, using)):
        _save_token(name, secrets.token_hex(16), using)
    if is_atomic:
        pending_changes.note(name, using, _read_committed_change)
    else:
        _read_committed_change()


def _read_committed_change() -> None:
    """Let this process see at once what it has changed."""
    _process.poller.refresh_soon()
    if compat.is_test_environment():
        _process.poller.poll_if_due()
    elif _process.has_refresher:
        _wait_for(*_process.refresher.poll_now())


def _wait_for(future: "concurrent.futures.Future[None]", seconds: float) -> None:
    if seconds > 0 and not compat.is_in_event_loop():
        concurrent.futures.wait([future], timeout=seconds)


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
    _process.poller.reset()


def _reload_after_migrate(app_config: Any, using: str, **_: Any) -> None:
    # Also sent by ``flush``, with which TransactionTestCase empties all tables between tests.
    if app_config.label == "tracking" and using == router.db_for_write(SharedValue):
        _process.poller.refresh_soon()
        if compat.is_test_environment():
            _process.poller.poll_if_due()


post_migrate.connect(_reload_after_migrate)

"""Read the shared values, and let everything reload that has changed.

One query reads all shared values. A refreshable compares the value that is of interest to it, and
reloads its content if that is another one.
"""

import math
import threading
from collections.abc import Mapping
from time import monotonic
from typing import Protocol

from django.db import router

from tracking.db import missing_tables
from tracking.db.isolation import savepoints
from tracking.log_limits import get_logger
from tracking.models import SharedValue

logger = get_logger(__name__)

#: Seconds between two polls.
INTERVAL = 0.5
#: Seconds after a failure before the database is queried again.
BACKOFF = 5.0
#: Seconds for which a thread waits before the first load if another one is loading.
MAX_WAIT = 5.0

#: The times "now" and "never".
NOW, NEVER = -math.inf, math.inf


class Refreshable(Protocol):
    """What a poll refreshes."""

    @property
    def name(self) -> str:
        """Its name in the log."""

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


class Poller:
    """Polls, and remembers how that went.

    Attributes:
        refreshables: what is refreshed.
        next_at: when a poll is to be asked for again, on the monotonic clock.
        is_failing: whether the last poll failed, or something could not be loaded.
        succeeded_at: when the last poll began that succeeded, on the monotonic clock.
        unanswered_since: when the first poll was asked for after that one.
    """

    def __init__(self) -> None:
        self.refreshables: list[Refreshable] = []
        self._wishes = 0
        self.reset_locks()
        self.reset()

    def reset(self) -> None:
        """Start without content and without a poll."""
        for refreshable in self.refreshables:
            refreshable.reset()
        self.next_at = NOW
        self.is_failing = False
        self.succeeded_at: float | None = None
        self.unanswered_since: float | None = None
        #: When those that could not be loaded are tried again, on the monotonic clock.
        self._backed_off: dict[Refreshable, float] = {}

    def reset_locks(self) -> None:
        """Start with free locks."""
        self._polling = threading.Lock()
        self._scheduling = threading.Lock()

    def refresh_soon(self, *, respect_backoff: bool = False) -> bool:
        """Make a poll due now.

        Args:
            respect_backoff: do nothing if the last poll failed and the next one is scheduled.

        Returns:
            Whether it is due.
        """
        with self._scheduling:
            if respect_backoff and self.is_failing:
                return False
            self._backed_off = {}
            self._wishes += 1
            self.next_at = NOW
            return True

    def note_request(self) -> None:
        """Note that a poll was asked for."""
        if self.unanswered_since is None:
            self.unanswered_since = monotonic()

    def poll_if_due(self) -> bool:
        """Poll in this thread. If another one is polling, wait for it only before the first load.

        Returns:
            Whether nothing failed.
        """
        if not self._polling.acquire(timeout=0 if self._is_loaded() else MAX_WAIT):
            return True
        try:
            if monotonic() < self.next_at:
                return True
            self.note_request()
            wishes = self._wishes
            is_successful = self.poll()
            with self._scheduling:
                if self._wishes == wishes:  # or another one was asked for since
                    self.next_at = monotonic() + (INTERVAL if is_successful else BACKOFF)
            return is_successful
        finally:
            self._polling.release()

    def poll(self, *, is_retried: bool = False) -> bool:
        """Read the shared values, and let each refreshable reload. Errors are logged.

        Args:
            is_retried: the caller polls again if this fails: that is not worth a line.

        Returns:
            Whether the database answered.
        """
        began = monotonic()
        try:
            with savepoints():
                self._refresh_all()
        except Exception as error:
            if not (is_retried or missing_tables.is_known(error)):
                logger.exception(
                    "Polling for changes failed; bans and other cached tables keep their last "
                    "known state, next attempt in %s s",
                    BACKOFF,
                )
            self.is_failing = True
            return False
        self.succeeded_at, self.unanswered_since = began, None
        self.is_failing = bool(self._backed_off)
        return True

    def _refresh_all(self) -> None:
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

    def _is_loaded(self) -> bool:
        return all(refreshable.is_loaded for refreshable in self.refreshables)

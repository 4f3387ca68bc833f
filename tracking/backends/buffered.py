"""A spool on disk, and a thread that writes it to the database in batches."""

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from time import monotonic, time
from typing import Any

from asgiref.sync import sync_to_async
from django.core.checks import CheckMessage, Error
from django.db import close_old_connections, connections

from tracking.backends.base import BaseBackend
from tracking.conf import conf
from tracking.db.isolation import log_errors
from tracking.hits import AnyHit
from tracking.pipeline import write_batch
from tracking.pipeline.spool import Batch, Item, Record, Spool, folder, folders, set_aside
from tracking.pipeline.write_batch import PATIENCE, Counters, Outcome, Unavailable

logger = logging.getLogger(__name__)


class BufferedBackend(BaseBackend):
    """Appends a hit to a file before the answer goes out; a thread writes batches.

    A process that is killed loses nothing: what it leaves behind is delivered by the next.
    Where the disk takes nothing, hits are written at once, as ``ImmediateBackend`` does.

    Attributes:
        interval: seconds for which hits are gathered before they are written.
        batch_size: hits that are written together at most; as many do not wait any longer.
        first_pause, longest_pause: seconds until the next attempt where the database is
            away; twice as long after each one that fails.
        retry_disk: seconds after which a disk that took nothing is asked again.
        look_around: seconds between two looks at what dead processes have left behind.
        exit_wait: seconds that the end of the process waits for the last batches; what is
            not written by then stays on disk.
        counters: what has happened in this process.
    """

    interval = 0.5
    batch_size = 2_000
    first_pause = 0.5
    longest_pause = 30.0
    retry_disk = 5.0
    look_around = 5.0
    exit_wait = 5.0

    def __init__(self) -> None:
        self.spool = Spool(folder())
        self._begin()
        _living.add(self)

    def _begin(self) -> None:
        """Begin with no thread and locks that nobody holds, in this process."""
        self._work = threading.Event()
        self._full = threading.Event()
        self._closing = threading.Event()
        self._starting = threading.Lock()
        self._draining = threading.Lock()
        self._thread: threading.Thread | None = None
        self._disk_again_at: float | None = None
        self._look_at = 0.0
        self._failures = 0
        self._is_late = False
        self._counted = Counters()

    # The web edge.

    def send(self, hit: AnyHit) -> None:
        self.send_many([hit])

    def send_apart(self, hit: AnyHit) -> None:
        self.send(hit)  # where it writes at once, that sets savepoints

    def send_many(self, hits: Iterable[AnyHit]) -> None:
        batch = list(hits)
        if not self._spooled(batch):
            self._write_at_once(batch)

    async def asend(self, hit: AnyHit) -> None:
        # An append takes some microseconds, less than a hop to a thread and back.
        if not self._spooled([hit]):
            await sync_to_async(self._write_at_once)([hit])

    def _spooled(self, hits: Sequence[AnyHit]) -> bool:
        if self._disk_again_at is not None and monotonic() < self._disk_again_at:
            return False
        try:
            self.spool.append(hits)
        except (TypeError, ValueError, OverflowError):
            return False  # too long, or no JSON: the database is asked, or says what is wrong
        except OSError as error:
            if self._disk_again_at is None:
                message = "The spool %s takes nothing, hits are written at once: %s"
                logger.error(message, self.spool.folder, error)  # noqa: TRY400 - no traceback
            self._disk_again_at = monotonic() + self.retry_disk
            return False
        if self._disk_again_at is not None:
            self._disk_again_at = None
            logger.warning("The spool %s takes hits again", self.spool.folder)
        self.wake()
        return True

    def _write_at_once(self, hits: Sequence[AnyHit]) -> None:
        self._counted.at_once += len(hits)
        duplicate = write_batch.write(hits)
        self._counted.written += len(hits)
        self._counted.duplicate += duplicate

    def wake(self) -> None:
        if not self._work.is_set():
            self._work.set()
        if self.spool.waiting >= self.batch_size and not self._full.is_set():
            self._full.set()
        if self._thread is None or not self._thread.is_alive():
            self._start()

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                return
            _living.add(self)
            thread = threading.Thread(target=self._run, name="tracking-writer", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the interpreter is about to end
                logger.warning("No writer can be started, hits wait on disk: %s", error)
            else:
                self._thread = thread

    # The thread.

    def _run(self) -> None:
        closing, work, full = self._closing, self._work, self._full
        try:
            while not closing.is_set():
                if not work.wait(self.look_around):
                    self.rest()
                full.wait(self.interval if work.is_set() else 0)
                full.clear()
                work.clear()
                pause = self._round()
                self._tell()
                closing.wait(pause)
            self._round()
            self._tell()
        finally:
            self.rest()
            _leave_connections()

    def _round(self) -> float:
        """Deliver what is waiting, and return the seconds to rest before the next round."""
        try:
            with self._draining:
                close_old_connections()
                self._adopt()
                while batch := self.spool.take(self.batch_size):
                    self._deliver_batch(batch)
                    if self._is_worth_waiting(batch):
                        break
                self.follow_up()
        except Exception as error:  # noqa: BLE001 - whatever it is, the next round may go well
            return self._after_failure(error)
        finally:
            close_old_connections()
        return 0.0

    def _is_worth_waiting(self, batch: Batch) -> bool:
        """Return whether what has come in meanwhile is better gathered to a larger batch."""
        if self._closing.is_set() or not 0 < self.spool.waiting < self.batch_size:
            return False
        if not self.spool.is_current(batch.segment):
            return False
        self._work.set()
        return True

    def _tell(self) -> None:
        for watcher in watchers:
            with log_errors(logger, "Telling %r", watcher):
                watcher(self)

    def _adopt(self) -> None:
        if monotonic() < self._look_at:
            return
        self._look_at = monotonic() + self.look_around
        if number := self.spool.adopt():
            logger.info("Hits in %s files were left behind by dead processes", number)
        if self.spool.renew_if_lost():
            logger.error("Somebody has deleted the spool in %s", self.spool.folder)

    def _deliver_batch(self, batch: Batch) -> None:
        self._note_lag(batch.items)
        outcome = self.deliver(batch.items, suspicious=self._failures >= PATIENCE)
        set_aside(self.spool.folder, outcome.refused)
        self.spool.settle(batch)
        self._counted.written += outcome.written
        self._counted.duplicate += outcome.duplicate
        self._counted.reject(outcome.refused)
        if self._failures:
            logger.warning("Hits are delivered again, after %s failures", self._failures)
        self._failures = 0

    def deliver(self, items: Sequence[Item], *, suspicious: bool) -> Outcome:
        """Take records where they belong.

        Args:
            items: what was found in the spool.
            suspicious: see :func:`tracking.pipeline.write_batch.deliver`.

        Raises:
            Unavailable: that cannot be done now.
        """
        return write_batch.deliver(items, suspicious=suspicious)

    def follow_up(self) -> None:
        """Look after what was delivered before, in each round in which all is well."""

    def rest(self) -> None:
        """Let go of what is not needed while there is nothing to do."""

    def _after_failure(self, error: Exception) -> float:
        self._failures += 1
        self._counted.failures += 1
        doubled = self.first_pause * float(2 ** min(self._failures - 1, 20))
        pause = min(doubled, self.longest_pause)
        if self._failures == 1:
            expected = isinstance(error, Unavailable | OSError)
            logger.error("Hits wait on disk: %s", error, exc_info=None if expected else error)
        else:
            logger.info("Hits wait on disk, next attempt in %s s: %s", pause, error)
        self._work.set()
        connections.close_all()
        return pause

    def _note_lag(self, items: Sequence[Item]) -> None:
        first = next((item.time for item in items if isinstance(item, Record)), None)
        self._counted.lag = lag = 0.0 if first is None else max(time() - first, 0.0)
        if (lag > conf.max_lag) != self._is_late:
            self._is_late = not self._is_late
            if self._is_late:
                logger.warning("Hits have been waiting for %.0f s", lag)
            else:
                logger.info("Hits are no longer late")

    # For people, tests and the end of the process.

    @property
    def counters(self) -> Counters:
        """What has happened in this process."""
        self._counted.received = self.spool.appended + self._counted.at_once
        return self._counted

    @property
    def disk_takes_hits(self) -> bool:
        """Whether the last append went well."""
        return self._disk_again_at is None

    def flush(self, timeout: float = 10.0) -> bool:
        """Deliver what this process has, in the calling thread.

        For tests, and not inside of a transaction that may be rolled back: what was
        delivered is not delivered again.

        Args:
            timeout: seconds until it gives up.

        Returns:
            Whether nothing is waiting any more.
        """
        deadline = monotonic() + timeout
        pause = self.first_pause
        while True:
            if not self._draining.acquire(timeout=max(deadline - monotonic(), 0)):
                return False
            try:
                while batch := self.spool.take(self.batch_size):
                    self._deliver_batch(batch)
            except (Unavailable, OSError):
                logger.info("Flushing failed", exc_info=True)
            else:
                return True
            finally:
                self._draining.release()
            if monotonic() + pause > deadline:
                return False
            self._closing.wait(pause)

    def close(self) -> None:
        """Write what is waiting, as far as ``exit_wait`` allows, and end the thread."""
        self._closing.set()
        self._work.set()
        self._full.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(self.exit_wait)
        if thread is None or not thread.is_alive():
            self.spool.close()
            self._closing.clear()
        if self.spool.waiting > 0:
            logger.warning("%s hits stay in %s", self.spool.waiting, self.spool.folder)
        _living.discard(self)

    def check(self) -> list[CheckMessage]:
        """E017: the folder of the spool."""
        reason = _unusable(self.spool)
        if not reason:
            return []
        return [
            Error(
                f"TRACKING_SPOOL: {self.spool.folder} {reason}.",
                hint="Name a folder on a local disk that only the site's own user can write to.",
                id="tracking.E017",
            )
        ]

    def describe(self) -> dict[str, Any]:
        """Return the counters of this process, by name."""
        return asdict(self.counters)

    def _after_fork(self) -> None:
        self.spool.abandon()
        self._begin()


def _unusable(spool: Spool) -> str:
    """Return why a folder cannot hold a spool, or ``""``; makes nothing."""
    place = spool.folder
    if not place.is_absolute():
        return "is no absolute path"
    try:
        if place.exists():
            reason = folders.distrusted(place)
            return reason or ("" if os.access(place, os.W_OK | os.X_OK) else "cannot be written to")
        parent = next(parent for parent in place.parents if parent.exists())
    except OSError as error:
        return f"cannot be looked at: {error}"
    return "" if parent.is_dir() and os.access(parent, os.W_OK) else "cannot be made"


#: Told by the thread after each round, whether it went well or not.
watchers: "list[Callable[[BufferedBackend], object]]" = []

#: The backends of this process, for what happens to all of them.
_living: "weakref.WeakSet[BufferedBackend]" = weakref.WeakSet()


def _after_fork() -> None:
    for backend in list(_living):
        backend._after_fork()


def _at_exit() -> None:
    for backend in list(_living):
        backend.close()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)


def _leave_connections() -> None:
    """Close the connections of a thread that ends."""
    connections.close_all()
    for connection in connections.all(initialized_only=True):
        # Django keeps what is in memory open; it belongs to other threads, which go on with it.
        if connection.connection is not None:
            connection.connection.close()

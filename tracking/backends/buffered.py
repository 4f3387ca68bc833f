"""Append hits to files on disk; a thread writes them to the database in batches.

While a writer process (:mod:`tracking.backends.writer_process`) is at work, the thread only looks
whether it still is.
"""

import atexit
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from time import monotonic, sleep, time
from typing import Any

from asgiref.sync import sync_to_async
from django.core.checks import CheckMessage
from django.db import close_old_connections, connections

from tracking.backends.base import BaseBackend
from tracking.backends.spool_check import check_spool
from tracking.backends.writer_watch import WriterWatch
from tracking.conf import conf
from tracking.db.isolation import log_errors
from tracking.db.threads import close_connections
from tracking.hits import AnyHit
from tracking.log_limits import get_logger
from tracking.pipeline import write_batch
from tracking.pipeline.spool import (
    Batch,
    Item,
    Record,
    Spool,
    save_rejected,
    spool_folder,
)
from tracking.pipeline.spool.location import former_folders
from tracking.pipeline.write_batch import SUSPECT_HITS_AFTER, BatchResult, Counters, Unavailable
from tracking.raw_hits import AnyRawHit
from tracking.verdicts import recent
from tracking.webhooks import sender_thread

logger = get_logger(__name__)

#: Seconds between two looks of an exiting process whether its hits are written.
_EXIT_PAUSE = 0.02


class BufferedBackend(BaseBackend):
    """Appends each hit to a file before the answer goes out; a thread writes batches.

    A process that is killed loses nothing: the next process writes the hits it left behind.
    If the disk refuses a hit, it is written in the request, as ``ImmediateBackend`` does.

    Attributes:
        interval: seconds to collect hits before they are written.
        batch_size: most hits per batch; with as many waiting, the next batch starts at once.
        first_retry_delay: seconds until the next attempt after the database was down; they
            double with each further failure.
        max_retry_delay: the longest such delay, in seconds.
        disk_retry_interval: seconds until a disk that refused a hit is tried again.
        folder_check_interval: seconds between two searches for files of dead processes.
        exit_timeout: seconds that an exiting process waits for its last batches; the rest stays
            on disk.
        leaves_to_writer: whether a writer process may write its hits.
        counters: what this process has done.
    """

    interval = 0.5
    batch_size = 2_000
    first_retry_delay = 0.5
    max_retry_delay = 30.0
    disk_retry_interval = 5.0
    folder_check_interval = 5.0
    exit_timeout = 5.0
    leaves_to_writer = True

    def __init__(self) -> None:
        self.spool = Spool(spool_folder(), find_former=former_folders)
        self._watch = WriterWatch(self.spool.folder)
        self._reset_thread_state()
        _open_backends.add(self)

    def _reset_thread_state(self) -> None:
        """Start with no thread and with free locks, at first and after a fork."""
        self._work = threading.Event()
        self._full = threading.Event()
        self._closing = threading.Event()
        self._start_lock = threading.Lock()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._retry_disk_at: float | None = None
        self._check_folder_at = 0.0
        self._checks_each_round = False
        self._failures = 0
        self._is_lagging = False
        self._watch.reset()
        self._counters = Counters()

    # Called by requests.

    def take(self, raw: AnyRawHit) -> bool:
        """Append one hit to the spool as it is."""
        return self._append_to_spool((raw,))

    def send(self, hit: AnyHit) -> None:
        """Append one hit to the spool, or write it if the disk refuses."""
        self.send_many([hit])

    def send_in_savepoints(self, hit: AnyHit) -> None:
        """Do the same as :meth:`send`, which needs no savepoints for an append."""
        self.send(hit)  # if the disk refuses, writing sets savepoints

    def send_many(self, hits: Iterable[AnyHit]) -> None:
        """Append several hits by one write."""
        batch = list(hits)
        if not self._append_to_spool(batch):
            self._write_now(batch)

    async def asend(self, hit: AnyHit) -> None:
        """Append one hit in the event loop; only a write to the database gets a thread."""
        # An append takes microseconds, less than a hop to a thread and back.
        if not self._append_to_spool([hit]):
            await sync_to_async(self._write_now)([hit])

    def _append_to_spool(self, hits: Sequence[AnyHit | AnyRawHit]) -> bool:
        if self._retry_disk_at is not None and monotonic() < self._retry_disk_at:
            return False
        try:
            self.spool.append(hits)
        except (TypeError, ValueError, OverflowError):
            return False  # too long or not JSON: the database may accept it, or name the error
        except OSError as error:
            if self._retry_disk_at is None:
                logger.error(  # noqa: TRY400 - no traceback
                    "The spool folder %s cannot be written: %s. Hits are written in the request "
                    "until it can; check its disk space and permissions.",
                    self.spool.folder,
                    error,
                )
            self._retry_disk_at = monotonic() + self.disk_retry_interval
            return False
        if self._retry_disk_at is not None:
            self._retry_disk_at = None
            logger.warning("The spool folder %s can be written again", self.spool.folder)
        self.wake_writer()
        return True

    def _write_now(self, hits: Sequence[AnyHit]) -> None:
        self._counters.at_once += len(hits)
        duplicate = write_batch.write_hits(hits)
        self._counters.written += len(hits)
        self._counters.duplicate += duplicate

    def wake_writer(self) -> None:
        """Start the writer thread if necessary, and let it write what waits."""
        if not self._work.is_set():
            self._work.set()
        if self.spool.waiting >= self.batch_size and not self._full.is_set():
            self._full.set()
        if self._thread is None or not self._thread.is_alive():
            self._start_thread()

    def _start_thread(self) -> None:
        with self._start_lock:
            if self._thread is not None and self._thread.is_alive():
                return
            _open_backends.add(self)
            thread = threading.Thread(target=self._run, name="tracking-writer", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the interpreter is shutting down
                logger.warning(
                    "The writer thread cannot start, hits wait on disk for another process: %s",
                    error,
                )
            else:
                self._thread = thread

    # Called by the writer thread.

    def _run(self) -> None:
        closing, work, full = self._closing, self._work, self._full
        try:
            while not closing.is_set():
                if self._leave_to_writer():
                    continue
                if not work.wait(self.folder_check_interval):
                    self.release_resources()
                full.wait(self.interval if work.is_set() else 0)
                full.clear()
                work.clear()
                closing.wait(self._write_waiting())
            if not self._wait_for_writer():
                self._write_waiting()
        finally:
            self._watch.close()
            self.release_resources()
            close_connections()

    def _leave_to_writer(self) -> bool:
        """If a writer process is at work, leave the hits to it, and wait until the next look."""
        if not (self.leaves_to_writer and self._watch.is_writer_at_work()):
            if self.spool.shares:
                self.spool.shares = False
                self._work.set()  # what it has not written
            return False
        if not self.spool.shares:
            self.release_resources()
            close_connections()
        if self.spool.hand_over():
            self._notify_observers()
        self._closing.wait(self._watch.interval)
        return True

    def _wait_for_writer(self) -> bool:
        """Wait a while until the writer process has written all; return whether it does that."""
        end = monotonic() + self.exit_timeout / 2
        while self.spool.shares and self._watch.is_writer_at_work(may_start=False):
            if self.spool.is_all_written or monotonic() > end:
                self.spool.hand_over()
                return True
            sleep(_EXIT_PAUSE)
        return False

    def _write_waiting(self) -> float:
        pause = self.write_round(self._should_collect_more)
        self._notify_observers()
        return pause

    def write_round(self, is_over: Callable[[Batch], bool]) -> float:
        """Write what waits, and return the seconds to pause before the next round.

        Args:
            is_over: called after each batch; says whether to leave the others to the next round.
        """
        try:
            with self._writing:
                close_old_connections()
                self._check_folder()
                while batch := self.spool.take_batch(self.batch_size):
                    self._process_batch(batch)
                    if is_over(batch):
                        break
                self.resend_unacknowledged()
            recent.correct_if_due()
        except Exception as error:  # noqa: BLE001 - the next round may succeed
            return self._handle_failure(error)
        finally:
            close_old_connections()
        return 0.0

    @contextmanager
    def writing_here(self) -> Iterator[None]:
        """Let the calling thread write, instead of one that this backend starts."""
        with self._start_lock:
            self._thread = threading.current_thread()
        self.leaves_to_writer = False
        self._checks_each_round = True
        try:
            yield
        finally:
            self._thread = None
            self.release_resources()
            self.close()

    def _should_collect_more(self, batch: Batch) -> bool:
        """Return whether to wait until the few new hits make a larger batch."""
        if self._closing.is_set() or not 0 < self.spool.waiting < self.batch_size:
            return False
        if not self.spool.is_active(batch.segment):
            return False
        self._work.set()
        return True

    def _notify_observers(self) -> None:
        for observer in round_observers:
            with log_errors(logger, "Notifying %r", observer):
                observer(self)

    def _check_folder(self) -> None:
        if monotonic() < self._check_folder_at and not self._checks_each_round:
            return
        self._check_folder_at = monotonic() + self.folder_check_interval
        with log_errors(logger, "Looking for webhooks left behind"):
            sender_thread.wake_for_messages_left_behind()
        if number := self.spool.adopt_orphans():
            logger.info("Writing hits from %s files of dead processes", number)
        if self.spool.replace_deleted_file():
            logger.error(
                "The spool file of this process in %s was deleted; starting a new one. Exclude the "
                "folder from whatever cleans it up.",
                self.spool.folder,
            )

    def _process_batch(self, batch: Batch) -> None:
        self._update_lag(batch.items)
        result = self.deliver_batch(batch.items, suspect_hits=self._failures >= SUSPECT_HITS_AFTER)
        save_rejected(self.spool.folder, result.rejected)
        self.spool.settle_batch(batch)
        self._counters.written += result.written
        self._counters.duplicate += result.duplicate
        self._counters.count_rejected(result.rejected)
        if self._failures:
            logger.warning("Hits are written again, after %s failed attempts", self._failures)
        self._failures = 0

    def deliver_batch(self, items: Sequence[Item], *, suspect_hits: bool) -> BatchResult:
        """Write records; a subclass may send them elsewhere.

        Args:
            items: records from the spool.
            suspect_hits: see :func:`tracking.pipeline.write_batch.write_records`.

        Raises:
            Unavailable: the database is down; try again later.
        """
        return write_batch.write_records(items, suspect_hits=suspect_hits)

    def resend_unacknowledged(self) -> None:
        """Resend batches that were not acknowledged; called after each successful round."""

    def release_resources(self) -> None:
        """Release resources that an idle thread does not need."""

    def _handle_failure(self, error: Exception) -> float:
        self._failures += 1
        self._counters.failures += 1
        doubled = self.first_retry_delay * float(2 ** min(self._failures - 1, 20))
        delay = min(doubled, self.max_retry_delay)
        if self._failures == 1:
            expected = isinstance(error, Unavailable | OSError)
            logger.error(
                "Hits cannot be written and wait on disk; retrying every %s to %s s: %s",
                self.first_retry_delay,
                self.max_retry_delay,
                error,
                exc_info=None if expected else error,
            )
        else:
            logger.info("Hits wait on disk, next attempt in %s s: %s", delay, error)
        self._work.set()
        connections.close_all()
        return delay

    def _update_lag(self, items: Sequence[Item]) -> None:
        first = next((item.time for item in items if isinstance(item, Record)), None)
        self._counters.lag = lag = 0.0 if first is None else max(time() - first, 0.0)
        if (lag > conf.max_lag) != self._is_lagging:
            self._is_lagging = not self._is_lagging
            if self._is_lagging:
                logger.warning(
                    "Hits are late: the oldest has waited %.0f s, more than TRACKING_MAX_LAG", lag
                )
            else:
                logger.info("Hits are no longer late")

    # Called by people, tests and the end of the process.

    @property
    def spooler(self) -> "BufferedBackend":
        """This backend itself."""
        return self

    @property
    def counters(self) -> Counters:
        """What this process has done."""
        self._counters.received = self.spool.appended + self._counters.at_once
        return self._counters

    @property
    def is_disk_writable(self) -> bool:
        """Whether the last append succeeded."""
        return self._retry_disk_at is None

    def flush(self, timeout: float = 10.0) -> bool:
        """Write the hits of this process in the calling thread.

        For tests. Not inside a transaction that may be rolled back: hits are written once.

        Args:
            timeout: seconds until it gives up.

        Returns:
            Whether no hits are waiting.
        """
        deadline = monotonic() + timeout
        pause = self.first_retry_delay
        while True:
            if not self._writing.acquire(timeout=max(deadline - monotonic(), 0)):
                return False
            try:
                while batch := self.spool.take_batch(self.batch_size):
                    self._process_batch(batch)
            except (Unavailable, OSError):
                logger.info("Flushing failed; trying again until the timeout", exc_info=True)
            else:
                return True
            finally:
                self._writing.release()
            if monotonic() + pause > deadline:
                return False
            self._closing.wait(pause)

    def close(self) -> None:
        """Write waiting hits within ``exit_timeout``, and end the thread."""
        self._closing.set()
        self._work.set()
        self._full.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(self.exit_timeout)
        if thread is None or not thread.is_alive():
            self.spool.close()
            self._closing.clear()
        if self.spool.waiting > 0:
            logger.warning(
                "%s hits stay in %s; the next process or tracking_drain writes them",
                self.spool.waiting,
                self.spool.folder,
            )
        _open_backends.discard(self)

    def check(self) -> list[CheckMessage]:
        """Check the folder of the spool (E017, W016)."""
        return check_spool(self.spool.folder)

    def counters_as_dict(self) -> dict[str, Any]:
        """Return the counters of this process, by name."""
        return asdict(self.counters)

    def _reset_after_fork(self) -> None:
        self.spool.reset()
        self._reset_thread_state()


#: Called by the writer thread after each round, successful or not.
round_observers: "list[Callable[[BufferedBackend], object]]" = []

#: The open backends of this process: reset after a fork, closed at exit.
_open_backends: "weakref.WeakSet[BufferedBackend]" = weakref.WeakSet()


def _reset_after_fork() -> None:
    for backend in list(_open_backends):
        backend._reset_after_fork()


def _close_at_exit() -> None:
    for backend in list(_open_backends):
        backend.close()


os.register_at_fork(after_in_child=_reset_after_fork)
atexit.register(_close_at_exit)

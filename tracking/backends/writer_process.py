"""The writer process: writes the hits of all processes of the site that use the same folder.

with WriterLock.take(backend.spool.folder, this_site()) as lock:
WriterProcess(backend, lock).run()
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

from tracking.backends.buffered import BufferedBackend
from tracking.log_limits import get_logger
from tracking.pipeline.spool import Batch, this_site
from tracking.pipeline.spool.writer_lock import WriterLock, is_any_present

logger = get_logger(__name__)

#: Signals at which it writes what waits, and ends.
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class WriterProcess:
    """Writes from the spool with a backend, in the thread that calls :meth:`run`.

    Args:
        backend: the backend of the site.
        lock: shows the other processes that this one writes.
        ends_unused: whether it ends when no process records any more.

    Attributes:
        beat_interval: seconds between two signs of life, at most.
        longest_round: seconds after which a round ends, so that new files are found.
        linger: seconds that it stays when no process records: a server may be restarting.
    """

    beat_interval = 1.0
    longest_round = 2.0
    linger = 5.0

    def __init__(
        self, backend: BufferedBackend, lock: WriterLock, *, ends_unused: bool = False
    ) -> None:
        self._backend = backend
        self._lock = lock
        self._ends_unused = ends_unused
        self._stopping = threading.Event()
        self._round_ends_at = 0.0
        self._used_at = monotonic()

    def run(self) -> None:
        """Write until a signal arrives, the lock is lost, or nobody needs it any more."""
        backend = self._backend
        with self._stopped_by_signals(), backend.writing_here():
            backend.spool.follow_others()
            while not self._stopping.is_set() and not self._is_over():
                self._wait(max(self._round(), backend.interval))
            self._round()  # what has arrived meanwhile

    def stop(self) -> None:
        """End after the current round."""
        self._stopping.set()

    def _round(self) -> float:
        self._lock.beat()
        self._round_ends_at = monotonic() + self.longest_round
        return self._backend.write_round(self._is_round_over)

    def _is_round_over(self, _batch: Batch) -> bool:
        self._lock.beat()
        return monotonic() > self._round_ends_at

    def _wait(self, seconds: float) -> None:
        end = monotonic() + seconds
        while (rest := end - monotonic()) > 0 and not self._stopping.wait(
            min(rest, self.beat_interval)
        ):
            self._lock.beat()  # the database is down: the others could not write either

    def _is_over(self) -> bool:
        if self._lock.is_lost:
            logger.warning("The file %s was deleted: this writer process ends", self._lock.path)
            return True
        if not self._ends_unused:
            return False
        now = monotonic()
        if is_any_present(self._backend.spool.folder, this_site()):
            self._used_at = now
        return now - self._used_at > self.linger

    @contextmanager
    def _stopped_by_signals(self) -> Iterator[None]:
        def stop(_signal: int, _frame: FrameType | None) -> None:
            self.stop()

        previous = {number: signal.signal(number, stop) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

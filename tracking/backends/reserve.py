"""The spool of ``ImmediateBackend``: for hits that the database cannot take now.

    reserve.write_or_keep([hit], recording.write)

The first hits that fail go to the spool, and further ones follow them without asking the database,
so that no request waits for it. The writer thread asks it, and hits are written in their requests
again as soon as it has written what waits.

A database server may hang. So the write of a request runs in a thread of its own, unless the
request is in a transaction, and the request waits for it for :attr:`Reserve.max_wait` seconds.
"""

from collections.abc import Callable, Sequence
from threading import get_ident
from time import monotonic

from django.db import Error, connections, router

from tracking.backends.buffered import BufferedBackend
from tracking.backends.timed_calls import TimedCalls
from tracking.db import missing_tables, threads
from tracking.db.isolation import open_transactions
from tracking.hits import AnyHit
from tracking.log_limits import get_logger
from tracking.models import Beacon
from tracking.pipeline.spool import Item
from tracking.pipeline.spool.folder import segment_paths, why_untrusted
from tracking.pipeline.write_batch import BatchResult, is_fault_of_hit

logger = get_logger(__name__)


class Reserve(BufferedBackend):
    """Writes hits in the request, or keeps them in the spool for the writer thread.

    Attributes:
        pause: seconds after a failure until a request tries the database again, if the writer
            thread has not written anything by then.
        max_wait: seconds that a request waits for a database server; then its hit goes to the
            spool, and so do all that follow.
        hang_pause: seconds until a request waits again, if the writer thread has not written
            anything by then.
        slow_batch: seconds; a batch that took longer does not show that the database takes hits.
        longest_write: seconds; while a write without such a limit takes longer, the hits of other
            threads go to the spool.
        orphan_interval: seconds between two searches for files that dead processes have left.
    """

    pause = 5.0
    max_wait = 0.15
    hang_pause = 60.0
    slow_batch = 2.0
    longest_write = 1.0
    orphan_interval = 60.0
    max_retry_delay = 5.0
    leaves_to_writer = False

    def _reset_thread_state(self) -> None:
        super()._reset_thread_state()
        #: When the database is tried again, on the monotonic clock; 0 while it takes hits.
        self._try_at = 0.0
        #: When the writes in progress began, by the ids of their threads.
        self._begun: dict[int, float] = {}
        self._calls = TimedCalls()
        self._search_at = 0.0

    def write_or_keep(
        self, hits: Sequence[AnyHit], write: Callable[[Sequence[AnyHit]], object]
    ) -> None:
        """Write hits to the database, or keep them if it takes none now.

        Args:
            hits: the hits.
            write: writes them.

        Raises:
            Exception: a hit is at fault, or the disk refuses, too.
        """
        if self.is_database_away() and self.keep(hits):
            return
        try:
            is_written = self._attempt(hits, write)
        except Error as error:
            if is_fault_of_hit(error) or missing_tables.is_known(error):
                raise
            if not open_transactions():  # in one, the site may be to blame
                self._note_failure(error)
            if not self.keep(hits):
                raise
        else:
            if is_written:
                self._note_success()

    def is_database_away(self) -> bool:
        """Return whether a write would probably fail, or wait for one that hangs."""
        now = monotonic()
        if now < self._try_at:
            return True
        return any(now - begun > self.longest_write for begun in list(self._begun.values()))

    def keep(self, hits: Sequence[AnyHit]) -> bool:
        """Append hits to the spool, and return whether that succeeded."""
        return self._append_to_spool(hits)

    def _attempt(self, hits: Sequence[AnyHit], write: Callable[[Sequence[AnyHit]], object]) -> bool:
        """Write hits, and return whether they are written; if not, they are kept."""
        if self._try_at:
            self._try_at = monotonic() + self.pause  # one request tries, others do not wait for it
        thread, now = get_ident(), monotonic()
        oldest = min(list(self._begun.values()), default=now)
        self._begun[thread] = now
        try:
            if _may_hang():
                # Those who come while another one waits already wait as long as that one does.
                seconds = max(self.max_wait - (now - oldest), 0)
                return self._calls.run(
                    lambda: write(hits), seconds, lambda: self._keep_of_hanging(hits)
                )
            write(hits)
        finally:
            self._begun.pop(thread, None)
        return True

    def _keep_of_hanging(self, hits: Sequence[AnyHit]) -> bool:
        if not self.keep(hits):
            return False
        if not self._try_at:
            # No error: the first write of a process may take as long, and nothing is lost.
            logger.warning(
                "The database does not answer within %s s; hits wait in %s until it does",
                self.max_wait,
                self.spool.folder,
            )
        self._try_at = monotonic() + self.hang_pause
        return True

    def _note_failure(self, error: Error) -> None:
        if not self._try_at:
            logger.error(
                "The database takes no hits; they wait in %s until it does: %s",
                self.spool.folder,
                error,
            )
        self._try_at = monotonic() + self.pause

    def _note_success(self) -> None:
        if self._try_at:
            self._try_at = 0.0
            logger.warning("The database takes hits again")
        if monotonic() >= self._search_at:
            self._search_at = monotonic() + self.orphan_interval
            self._wake_for_orphans()

    def _wake_for_orphans(self) -> None:
        """Start the writer thread if a process that died may have left hits."""
        folder = self.spool.folder
        try:
            if segment_paths(folder) and not why_untrusted(folder):
                self.wake_writer()
        except OSError as error:
            logger.warning("The spool folder %s cannot be read: %s", folder, error)

    def close(self) -> None:
        """Write waiting hits, if the database takes them within seconds."""
        self._calls.close()
        super().close()

    def deliver_batch(self, items: Sequence[Item], *, suspect_hits: bool) -> BatchResult:
        """Write records. Once some are written, requests write again, too."""
        began = monotonic()
        result = super().deliver_batch(items, suspect_hits=suspect_hits)
        if result.written and monotonic() - began < self.slow_batch:
            self._note_success()
        return result


def _may_hang() -> bool:
    """Return whether a write of this thread waits for a server, and another thread can do it."""
    connection = connections[router.db_for_write(Beacon)]
    return (
        connection.vendor != "sqlite"  # its wait for a lock has a limit
        and connection.settings_dict["AUTOCOMMIT"]  # else the site commits
        and not open_transactions()
        and threads.are_running()
    )

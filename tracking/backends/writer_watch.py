"""Whether a writer process writes the hits of this process, and who writes otherwise."""

from pathlib import Path
from time import monotonic

from tracking import compat
from tracking.backends.writer_child import WriterChild
from tracking.conf import conf
from tracking.log_limits import get_logger
from tracking.pipeline.spool import this_site
from tracking.pipeline.spool.writer_lock import (
    Presence,
    WriterState,
    lock_path,
    read_writer,
)

logger = get_logger(__name__)


class WriterWatch:
    """What a process that records knows of the writer process. Used by one thread.

    Args:
        folder: the folder of the spool.

    Attributes:
        interval: seconds between two looks.
    """

    interval = 1.0

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._presence: Presence | None = None
        self._child = WriterChild(folder)
        self.reset()

    def reset(self) -> None:
        """Start anew, at first and after a fork."""
        self.close()
        self._child = WriterChild(self._folder)
        self._look_at = 0.0
        self._is_at_work = False

    def is_writer_at_work(self, *, may_start: bool = True) -> bool:
        """Return whether a writer process is at work, and log when that changes.

        Args:
            may_start: whether one may be started now, if the site wants that.
        """
        now = monotonic()
        if now < self._look_at:
            return self._is_at_work
        self._look_at = now + self.interval
        writer = None
        try:
            writer = self._find_writer(may_start=may_start and _starts_writer())
        except OSError as error:
            logger.warning("The writer process cannot be found or started: %s", error)
        is_at_work = writer is not None and not writer.is_silent
        if is_at_work != self._is_at_work:
            self._is_at_work = is_at_work
            self._log(writer)
        return is_at_work

    def _find_writer(self, *, may_start: bool) -> WriterState | None:
        """Return the writer process, started now if necessary, and show it that it is needed."""
        self._child.reap()
        writer = read_writer(self._folder, this_site())
        if may_start and writer is not None and self._child.is_outdated(writer):
            logger.info("The writer process %s has the code of another release", writer.pid)
            lock_path(self._folder, this_site()).unlink(missing_ok=True)  # which makes it end
            writer = None
        if may_start and writer is None and self._child.start_if_due():
            writer = read_writer(self._folder, this_site())
        if writer is not None and self._presence is None:
            self._presence = Presence(self._folder, this_site())
        return writer

    def _log(self, writer: WriterState | None) -> None:
        if self._is_at_work and writer is not None:
            logger.info("The process %s on %s writes the hits", writer.pid, writer.host)
        elif writer is not None:
            logger.warning(
                "The writer process %s on %s is silent for %.0f s: this process writes its own "
                "hits",
                writer.pid,
                writer.host,
                writer.age,
            )
        else:
            logger.warning("The writer process has ended: this process writes its own hits")

    def close(self) -> None:
        """Show no longer that this process records."""
        if self._presence is not None:
            self._presence.close()
            self._presence = None


def _starts_writer() -> bool:
    # In tests of a site, a child would write to another database than the test.
    return conf.start_writer is True and not compat.is_test_environment()

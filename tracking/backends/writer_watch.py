"""Whether a writer process writes the hits of this process, and who writes otherwise."""

from pathlib import Path
from time import monotonic

from tracking.log_limits import get_logger
from tracking.pipeline.spool import this_site
from tracking.pipeline.spool.writer_lock import Presence, WriterState, read_writer

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
        self.reset()

    def reset(self) -> None:
        """Start anew, at first and after a fork."""
        self.close()
        self._look_at = 0.0
        self._is_at_work = False

    def is_writer_at_work(self) -> bool:
        """Return whether a writer process is at work, and log when that changes."""
        now = monotonic()
        if now < self._look_at:
            return self._is_at_work
        self._look_at = now + self.interval
        try:
            writer = read_writer(self._folder, this_site())
            is_at_work = writer is not None and not writer.is_silent
            if is_at_work and self._presence is None:
                self._presence = Presence(self._folder, this_site())
        except OSError as error:
            logger.warning("The lock of the writer process cannot be read: %s", error)
            writer, is_at_work = None, False
        if is_at_work != self._is_at_work:
            self._is_at_work = is_at_work
            self._log(writer)
        return is_at_work

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

"""Copies of batches that were sent to Celery workers, kept until the rows are written.

A broker may lose a message that it has accepted: Redis hands out a message and marks it as
unacknowledged in two steps, and forgets all messages when it restarts without persistence. So
a copy of each message stays in the folder ``sent`` of the spool, in a file named ::

    <milliseconds of the last send>.<key of the batch>.<number of sends>.<stamp of the site>.sent

The files belong to no process: if one dies, the next that checks them carries on.
"""

import fcntl
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self
from uuid import UUID

from tracking.pipeline.spool.folder import file_names, write_whole
from tracking.pipeline.spool.site_identity import SiteIdentity, owns_file, this_site

#: The name of the folder.
SENT = "sent"

SUFFIX = ".sent"

#: Locked by the process that checks the copies; the stamp of the site follows. Its content is the
#: send time of the latest batch known to be written; its modification time is that of the last
#: check.
_ROUND_FILE = "round."

#: Copies that are counted for monitoring.
MAX_COUNTED = 20_000

#: Bytes of the send time in that file.
_TIME_LENGTH = 32


class SentBatch(NamedTuple):
    """A batch that was sent, and the file with its copy.

    Attributes:
        time: when it was last sent, in POSIX seconds.
        key: the key of the batch.
        sends: how often it was sent.
        path: the file.
    """

    time: float
    key: UUID
    sends: int
    path: Path

    @classmethod
    def from_path(cls, path: Path) -> Self | None:
        """Return the batch of a file, ``None`` if its name has another form."""
        parts = path.name.removesuffix(SUFFIX).split(".")
        try:
            moment, key, sends = parts[:3]
            return cls(int(moment) / 1_000, UUID(key), int(sends), path)
        except ValueError:
            return None

    def read_message(self) -> str:
        """Return the message. Damaged bytes are escaped; such a message fails to decode.

        Raises:
            OSError: the file cannot be read, or was deleted meanwhile.
        """
        return self.path.read_text("ascii", errors="backslashreplace")

    def mark_resent(self) -> "SentBatch":
        """Rename the file: the batch was sent once more, now.

        Raises:
            OSError: the file cannot be renamed, or was deleted meanwhile.
        """
        path = self.path.with_name(_file_name(self.key, self.sends + 1))
        self.path.rename(path)
        return self._replace(time=time.time(), sends=self.sends + 1, path=path)

    def delete(self) -> None:
        """Delete the copy."""
        self.path.unlink(missing_ok=True)


def save_copy(folder: Path, key: UUID, message: str) -> SentBatch:
    """Save a copy of a message that is about to be sent for the first time.

    Args:
        folder: the folder of the spool.
        key: the key of its batch.
        message: the message, in ASCII.

    Raises:
        OSError: the file cannot be written.
    """
    path = write_whole(folder / SENT, _file_name(key, 1), message)
    return SentBatch(time.time(), key, 1, path)


def _file_name(key: UUID, sends: int) -> str:
    stamp = this_site().stamp.hex()
    return f"{time.time_ns() // 1_000_000:015}.{key.hex}.{sends}.{stamp}{SUFFIX}"


class SentCount(NamedTuple):
    """How many batches were sent and are not known to be written.

    Attributes:
        number: how many.
        since: when the first of them was (last) sent, in POSIX seconds; ``None`` without any.
        is_complete: whether these are all.
    """

    number: int
    since: float | None
    is_complete: bool


def count_sent(
    folder: Path, site: SiteIdentity | None = None, max_counted: int | None = None
) -> SentCount:
    """Return how many batches were sent and are not known to be written.

    Args:
        folder: the folder of the spool.
        site: the site whose batches these are; ``None`` for those of any site.
        max_counted: how many files are looked at.

    Raises:
        OSError: the folder cannot be read.
    """
    names, is_complete = _file_names(folder, site, max_counted)
    moments = (name.partition(".")[0] for name in names)
    since = min((int(moment) / 1_000 for moment in moments if moment.isdecimal()), default=None)
    return SentCount(len(names), since, is_complete)


def sent_batches(folder: Path, site: SiteIdentity | None = None) -> list[SentBatch]:
    """Return the batches that were sent and are not known to be written, in order of sending.

    Args:
        folder: the folder of the spool.
        site: the site whose batches these are; ``None`` for those of any site.

    Raises:
        OSError: the folder cannot be read.
    """
    names, _ = _file_names(folder, site)
    paths = (folder / SENT / name for name in sorted(names))
    return [batch for path in paths if (batch := SentBatch.from_path(path))]


def _file_names(
    folder: Path, site: SiteIdentity | None, max_counted: int | None = None
) -> tuple[list[str], bool]:
    names, is_complete = file_names(folder / SENT, SUFFIX, max_counted)
    return [name for name in names if owns_file(site, name)], is_complete


class RedeliveryRound:
    """One check of all copies, by one process.

    Attributes:
        latest_written: send time of the latest batch known to be written (POSIX seconds).
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.latest_written = _parse_time(os.pread(descriptor, _TIME_LENGTH, 0))

    def save_latest_written(self, sent_at: float) -> None:
        """Save the send time of a written batch, if it is the latest, for all processes.

        Args:
            sent_at: POSIX seconds.

        Raises:
            OSError: it cannot be saved.
        """
        if sent_at > self.latest_written:
            self.latest_written = sent_at
            os.pwrite(self._descriptor, _format_time(sent_at), 0)


def _format_time(moment: float) -> bytes:
    return f"{moment:<{_TIME_LENGTH}.3f}".encode()


def _parse_time(text: bytes) -> float:
    """Return the saved time, 0 if there is none or it is damaged."""
    try:
        moment = float(text)
    except ValueError:
        return 0.0
    return moment if math.isfinite(moment) else 0.0


@contextmanager
def claim_round(folder: Path, every: float) -> Iterator[RedeliveryRound | None]:
    """Let one process of this site at a time check the copies, and only every few seconds.

    Args:
        folder: the folder of the spool.
        every: seconds between two rounds, of all processes of this host.

    Yields:
        The round; ``None`` if it is not due, another process has it, or nothing was ever sent.

    Raises:
        OSError: the folder cannot be used.
    """
    if not (folder / SENT).is_dir():
        yield None
        return
    descriptor = os.open(
        folder / SENT / f"{_ROUND_FILE}{this_site().stamp.hex()}", os.O_RDWR | os.O_CREAT, 0o600
    )
    try:
        yield RedeliveryRound(descriptor) if _claim(descriptor, every) else None
    finally:
        os.close(descriptor)


def _claim(descriptor: int, every: float) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    status, now = os.fstat(descriptor), time.time()
    # A round in the future was made while the clock was wrong.
    if status.st_size and now - every < status.st_mtime <= now:
        return False
    if not status.st_size:
        os.pwrite(descriptor, _format_time(0), 0)
    os.utime(descriptor)
    return True

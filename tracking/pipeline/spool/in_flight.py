"""Batches that were sent to a worker, until they are known to be written.

A broker may lose what it has taken over: Redis hands out a message and notes it as
unfinished in two steps, and forgets all of them when it is started without its file. So a copy
of each message stays here::

    <milliseconds of the sending>.<key of the batch>.<number of the sending>.sent

The folder belongs to no process: the next that looks goes on where another has died.
"""

import fcntl
import math
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Self
from uuid import UUID

from tracking.pipeline.spool.folders import SENT, prepare

SUFFIX = ".sent"

#: Locked by who looks around. It holds the time of the latest sending known to have arrived,
#: and its own time of change is that of the last look.
_ROUND = "round"


class Sending(NamedTuple):
    """A message that is on its way.

    Attributes:
        time: when it was sent last, in POSIX seconds.
        key: the key of its batch.
        number: how often it was sent.
        path: the file.
    """

    time: float
    key: UUID
    number: int
    path: Path

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """Return what the name of a file says, ``None`` if it is another's."""
        parts = path.name.removesuffix(SUFFIX).split(".")
        try:
            moment, key, number = parts
            return cls(int(moment) / 1_000, UUID(key), int(number), path)
        except ValueError:
            return None

    def read(self) -> str:
        """Return the message. What a disk has damaged is no batch, and found to be none.

        Raises:
            OSError: it cannot be read, or has just gone.
        """
        return self.path.read_text("ascii", errors="backslashreplace")

    def again(self) -> "Sending":
        """Note that it is sent once more, now.

        Raises:
            OSError: it could not be written down, or has just gone.
        """
        path = self.path.with_name(_name(self.key, self.number + 1))
        self.path.rename(path)
        return self._replace(time=time.time(), number=self.number + 1, path=path)

    def forget(self) -> None:
        """Delete the copy."""
        self.path.unlink(missing_ok=True)


def keep(folder: Path, key: UUID, message: str) -> Sending:
    """Keep a copy of a message that is about to be sent for the first time.

    Args:
        folder: the folder of the spool.
        key: the key of its batch.
        message: the message.

    Raises:
        OSError: the disk does not take it.
    """
    prepare(folder)
    place = folder / SENT
    place.mkdir(mode=0o700, exist_ok=True)
    draft = place / f"{secrets.token_hex(8)}.draft"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(message)
        path = draft.rename(place / _name(key, 1))
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return Sending(time.time(), key, 1, path)


def _name(key: UUID, number: int) -> str:
    return f"{time.time_ns() // 1_000_000:015}.{key.hex}.{number}{SUFFIX}"


def number(folder: Path) -> int:
    """Return how many batches were sent and are not known to be written.

    Raises:
        OSError: the folder cannot be read.
    """
    return len(_names(folder))


def on_their_way(folder: Path) -> list[Sending]:
    """Return what was sent and is not known to be written, what was sent first at first.

    Raises:
        OSError: the folder cannot be read.
    """
    paths = (folder / SENT / name for name in sorted(_names(folder)))
    return [sending for path in paths if (sending := Sending.of(path))]


def _names(folder: Path) -> list[str]:
    try:
        return [name for name in os.listdir(folder / SENT) if name.endswith(SUFFIX)]
    except FileNotFoundError:  # nothing was ever sent
        return []


class Round:
    """One look at all that is on its way.

    Attributes:
        arrived: when the latest of what is known to have arrived was sent (POSIX seconds).
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.arrived = _number_in(os.pread(descriptor, 32, 0))

    def note_arrival(self, sent_at: float) -> None:
        """Remember the latest sending that has arrived, for the rounds of all processes.

        Raises:
            OSError: it could not be written down.
        """
        if sent_at > self.arrived:
            self.arrived = sent_at
            os.pwrite(self._descriptor, f"{sent_at:<32.3f}".encode(), 0)


def _number_in(text: bytes) -> float:
    """Return the moment that is written down, 0 if none is or it was damaged."""
    try:
        moment = float(text)
    except ValueError:
        return 0.0
    return moment if math.isfinite(moment) else 0.0


@contextmanager
def looking_around(folder: Path, every: float) -> Iterator[Round | None]:
    """Give a round to one process at a time, and in so many seconds.

    Args:
        folder: the folder of the spool.
        every: seconds between two rounds, of whatever processes.

    Returns:
        ``None`` if it is not the turn of this process, or nothing was ever sent.

    Raises:
        OSError: the folder cannot be used.
    """
    if not (folder / SENT).is_dir():
        yield None
        return
    descriptor = os.open(folder / SENT / _ROUND, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield Round(descriptor) if _is_our_turn(descriptor, every) else None
    finally:
        os.close(descriptor)


def _is_our_turn(descriptor: int, every: float) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    status, now = os.fstat(descriptor), time.time()
    # A round in the future was one of a clock that was wrong.
    if status.st_size and now - every < status.st_mtime <= now:
        return False
    if not status.st_size:
        os.pwrite(descriptor, f"{0:<32.3f}".encode(), 0)
    os.utime(descriptor)
    return True


def sweep(folder: Path, older_than: float = 3_600.0) -> None:
    """Delete what processes have left half written, which they have not sent either.

    Args:
        folder: the folder of the spool.
        older_than: seconds after which nobody is writing it any more.

    Raises:
        OSError: the folder cannot be read.
    """
    for draft in (folder / SENT).glob("*.draft"):
        with suppress(FileNotFoundError):
            if time.time() - draft.stat().st_mtime > older_than:
                draft.unlink()

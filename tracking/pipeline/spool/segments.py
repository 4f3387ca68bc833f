"""One file of the spool.

A segment belongs to who holds its lock (``flock``), which the kernel lets go of when the
process dies, however it dies. It begins with a marker, the position up to which its
records have been delivered, and the one up to which the next are being delivered: whoever
takes over a file delivers the same records together as the process that died.
"""

import fcntl
import logging
import os
import secrets
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Self

from tracking.pipeline.spool.records import MAX_PAYLOAD, OVERHEAD, Item, Record, scan

logger = logging.getLogger(__name__)

SUFFIX = ".hits"
#: What a file is renamed to that has the name of a segment and is none.
UNKNOWN = ".unknown"

_MARKER = b"TRKSP\x002\n"
_HEADER = struct.Struct("<8sQQ")
START = _HEADER.size

#: Bytes that are read at once.
PIECE = 1024 * 1024


class Segment:
    """An open segment, locked for this process.

    Attributes:
        path: the file.
        done: the position up to which its records are delivered.
        border: the position up to which the next are being delivered; not beyond ``done`` if
            none are.
        end: where the next record goes.
    """

    def __init__(self, path: Path, descriptor: int, done: int, border: int, end: int) -> None:
        self.path = path
        self.done = done
        self.border = border
        self.end = end
        self._descriptor = descriptor

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Make a new segment, locked.

        Raises:
            OSError: the folder takes none.
        """
        while True:
            host = "".join(c if c.isalnum() else "-" for c in socket.gethostname())[:60]
            path = folder / f"{host}.{os.getpid()}.{secrets.token_hex(8)}{SUFFIX}"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                if _is_locked(descriptor):
                    _write(descriptor, _HEADER.pack(_MARKER, START, START), 0)
                    return cls(path, descriptor, START, START, START)
            except OSError:
                path.unlink(missing_ok=True)
                os.close(descriptor)
                raise
            # Somebody has found the file before it was locked, and removes it as empty.
            os.close(descriptor)

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """Open what a dead process has left; ``None`` if it lives, or nothing is there.

        Raises:
            OSError: the file cannot be read.
        """
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            segment = cls._adopted(path, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if segment is None:
            os.close(descriptor)
        return segment

    @classmethod
    def _adopted(cls, path: Path, descriptor: int) -> Self | None:
        if not _is_locked(descriptor):
            return None
        end = os.fstat(descriptor).st_size
        header = os.pread(descriptor, START, 0)
        if len(header) < START:  # killed while it was made
            path.unlink(missing_ok=True)
            return None
        marker, done, border = _HEADER.unpack(header)
        if marker != _MARKER:
            logger.error("%s is no spool of this version; renamed.", path)
            path.rename(path.with_name(path.name + UNKNOWN))
            return None
        return cls(path, descriptor, done, min(border, end), max(end, done))

    @property
    def is_drained(self) -> bool:
        """Whether all of its records are delivered."""
        return self.done >= self.end

    @property
    def is_lost(self) -> bool:
        """Whether somebody has deleted the file."""
        return os.fstat(self._descriptor).st_nlink == 0

    def append(self, data: bytes) -> None:
        """Write whole records behind the last one.

        Raises:
            OSError: it could not be written; the segment is as it was.
        """
        try:
            _write(self._descriptor, data, self.end)
        except OSError:
            # If even this fails: what is beyond the end is written over, or found torn.
            with suppress(OSError):
                os.ftruncate(self._descriptor, self.end)
            raise
        self.end += len(data)

    def read(self, limit: int) -> tuple[list[Item], int]:
        """Return the next records, ``limit`` at most, and the position behind them.

        Until these are delivered, it is the same ones that are returned, by whatever process.

        Raises:
            OSError: they cannot be read, or that could not be written down.
        """
        if self.border > self.done:
            return read(self._descriptor, self.done, self.border, None)
        items, border = read(self._descriptor, self.done, self.end, limit)
        if items:
            self._note(self.done, border)
        return items, border

    def advance(self, position: int) -> None:
        """Note that all before ``position`` is delivered.

        Raises:
            OSError: it could not be written down.
        """
        self._note(position, position)

    def _note(self, done: int, border: int) -> None:
        _write(self._descriptor, _HEADER.pack(_MARKER, done, border), 0)
        self.done, self.border = done, border

    def reset(self) -> None:
        """Forget the records, all of which are delivered.

        Raises:
            OSError: it could not be written down.
        """
        os.ftruncate(self._descriptor, START)
        self.end = START
        self.advance(START)

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of the file: the next process takes it over, if there is something in it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Peek:
    """A look at a segment of any process, without taking it.

    Attributes:
        waiting: bytes that are not delivered.
        since: when the oldest of their records was made (POSIX seconds), or ``None``.
        has_owner: whether it belongs to a process that lives.
    """

    def __init__(self, path: Path) -> None:
        """Look.

        Raises:
            OSError: it cannot be read, or has just gone.
        """
        descriptor = os.open(path, os.O_RDONLY)
        try:
            self.has_owner = not _is_locked(descriptor, fcntl.LOCK_SH)
            header = os.pread(descriptor, START, 0)
            known = _HEADER.unpack(header) if len(header) == START else (b"", 0, 0)
            marker, self._done, _ = known
            self._end = os.fstat(descriptor).st_size if marker == _MARKER else self._done
            self.waiting = max(self._end - self._done, 0)
            first, _ = read(descriptor, self._done, self._end, 1)
        finally:
            os.close(descriptor)
        self.since = next((item.time for item in first if isinstance(item, Record)), None)
        self._path = path

    def count(self) -> int:
        """Return how many records are waiting; reads them all.

        Raises:
            OSError: as above.
        """
        descriptor = os.open(self._path, os.O_RDONLY)
        number, position = 0, self._done
        try:
            while position < self._end:
                items, position = read(descriptor, position, self._end, PIECE)
                number += len(items)
                if not items:
                    break
        finally:
            os.close(descriptor)
        return number


def read(descriptor: int, start: int, end: int, limit: int | None) -> tuple[list[Item], int]:
    """Return what a file has between two positions, ``limit`` records at most, and where they end.

    Args:
        descriptor: the open file.
        start, end: positions in it.
        limit: how many records, or ``None`` for all that are read at once.
    """
    size = PIECE
    while True:
        piece = os.pread(descriptor, min(size, max(end - start, 0)), start)
        # A file that is shorter than it should be has been cut: there is no more.
        at_end = start + len(piece) >= end or len(piece) < min(size, end - start)
        items, used = scan(piece, at_end=at_end, limit=limit)
        if items or at_end or size > MAX_PAYLOAD + OVERHEAD:
            return items, start + used
        size *= 4  # one record that is longer than the piece


def _is_locked(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Return whether the file could be locked, and is still there."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(descriptor).st_nlink > 0


def _write(descriptor: int, data: bytes, position: int) -> None:
    written = os.pwrite(descriptor, data, position)
    if written < len(data):
        # The disk is full, and says so if asked again.
        written += os.pwrite(descriptor, data[written:], position + written)
        if written < len(data):
            raise OSError("only a part could be written")

"""One file of the spool.

A segment belongs to the process that holds its lock (``flock``); the kernel releases the lock
when the process dies, even if killed. The file begins with a marker, the position up to which
its records are written, and the end of the batch being written: the process that takes over
the file writes the same batch again.
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

from tracking.pipeline.spool.records import MAX_PAYLOAD, OVERHEAD, Item, Record, parse_records

logger = logging.getLogger(__name__)

SUFFIX = ".hits"
#: Added to the name of a file that is not a segment of this version.
UNKNOWN = ".unknown"

_MARKER = b"TRKSP\x002\n"
_HEADER = struct.Struct("<8sQQ")
HEADER_SIZE = _HEADER.size

#: Bytes per read.
READ_SIZE = 1024 * 1024


class Segment:
    """An open segment, locked for this process.

    Attributes:
        path: the file.
        written_to: the position up to which its records are written.
        batch_end: the end of the batch being written; not beyond ``written_to`` without one.
        end: where the next record is appended.
    """

    def __init__(
        self, path: Path, descriptor: int, written_to: int, batch_end: int, end: int
    ) -> None:
        self.path = path
        self.written_to = written_to
        self.batch_end = batch_end
        self.end = end
        self._descriptor = descriptor

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Make and lock a new segment.

        Raises:
            OSError: it cannot be made.
        """
        while True:
            host = "".join(c if c.isalnum() else "-" for c in socket.gethostname())[:60]
            path = folder / f"{host}.{os.getpid()}.{secrets.token_hex(8)}{SUFFIX}"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                if _try_lock(descriptor):
                    _write_all(descriptor, _HEADER.pack(_MARKER, HEADER_SIZE, HEADER_SIZE), 0)
                    return cls(path, descriptor, HEADER_SIZE, HEADER_SIZE, HEADER_SIZE)
            except OSError:
                path.unlink(missing_ok=True)
                os.close(descriptor)
                raise
            # Another process found the file before it was locked, and removes it as empty.
            os.close(descriptor)

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """Open and lock a file of a dead process; ``None`` if its process lives or it is gone.

        Raises:
            OSError: the file cannot be read.
        """
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            segment = cls._read_header(path, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if segment is None:
            os.close(descriptor)
        return segment

    @classmethod
    def _read_header(cls, path: Path, descriptor: int) -> Self | None:
        if not _try_lock(descriptor):
            return None
        end = os.fstat(descriptor).st_size
        header = os.pread(descriptor, HEADER_SIZE, 0)
        if len(header) < HEADER_SIZE:  # its process died before writing the header
            path.unlink(missing_ok=True)
            return None
        marker, written_to, batch_end = _HEADER.unpack(header)
        if marker != _MARKER:
            logger.error("%s is not a spool file of this version: renamed to *%s", path, UNKNOWN)
            path.rename(path.with_name(path.name + UNKNOWN))
            return None
        return cls(path, descriptor, written_to, min(batch_end, end), max(end, written_to))

    @property
    def is_drained(self) -> bool:
        """Whether all of its records are written."""
        return self.written_to >= self.end

    @property
    def is_deleted(self) -> bool:
        """Whether the file was deleted under us."""
        return os.fstat(self._descriptor).st_nlink == 0

    def append(self, data: bytes) -> None:
        """Append whole records.

        Raises:
            OSError: the disk refuses; the segment is unchanged.
        """
        try:
            _write_all(self._descriptor, data, self.end)
        except OSError:
            # If this fails, too: bytes after the end are overwritten, or read as damaged.
            with suppress(OSError):
                os.ftruncate(self._descriptor, self.end)
            raise
        self.end += len(data)

    def read_batch(self, limit: int) -> tuple[list[Item], int]:
        """Return the next records, and the position after them.

        Until they are marked as written, this returns the same batch, in any process.

        Args:
            limit: how many records at most.

        Raises:
            OSError: they cannot be read, or the end of the batch cannot be saved.
        """
        if self.batch_end > self.written_to:
            return read_records(self._descriptor, self.written_to, self.batch_end, None)
        items, batch_end = read_records(self._descriptor, self.written_to, self.end, limit)
        if items:
            self._save_positions(self.written_to, batch_end)
        return items, batch_end

    def mark_written(self, position: int) -> None:
        """Save that all records before ``position`` are written.

        Raises:
            OSError: it cannot be saved.
        """
        self._save_positions(position, position)

    def _save_positions(self, written_to: int, batch_end: int) -> None:
        _write_all(self._descriptor, _HEADER.pack(_MARKER, written_to, batch_end), 0)
        self.written_to, self.batch_end = written_to, batch_end

    def clear(self) -> None:
        """Remove the records, all of which are written, and keep the file.

        Raises:
            OSError: the file cannot be changed.
        """
        os.ftruncate(self._descriptor, HEADER_SIZE)
        self.end = HEADER_SIZE
        self.mark_written(HEADER_SIZE)

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Close the file and release its lock; the next process takes it over."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class SegmentStatus:
    """The state of a segment of any process, read without taking it over.

    Attributes:
        waiting: bytes that are not written yet.
        since: when the oldest of their records was made (POSIX seconds), or ``None``.
        has_owner: whether its process is running.
    """

    def __init__(self, path: Path) -> None:
        """Read the state.

        Raises:
            OSError: the file cannot be read, or was deleted meanwhile.
        """
        descriptor = os.open(path, os.O_RDONLY)
        try:
            self.has_owner = not _try_lock(descriptor, fcntl.LOCK_SH)
            header = os.pread(descriptor, HEADER_SIZE, 0)
            positions = _HEADER.unpack(header) if len(header) == HEADER_SIZE else (b"", 0, 0)
            marker, self._written_to, _ = positions
            self._end = os.fstat(descriptor).st_size if marker == _MARKER else self._written_to
            self.waiting = max(self._end - self._written_to, 0)
            first, _ = read_records(descriptor, self._written_to, self._end, 1)
        finally:
            os.close(descriptor)
        self.since = next((item.time for item in first if isinstance(item, Record)), None)
        self._path = path

    def count(self) -> int:
        """Return how many records are waiting; this reads them all.

        Raises:
            OSError: the file cannot be read, or was deleted meanwhile.
        """
        descriptor = os.open(self._path, os.O_RDONLY)
        number, position = 0, self._written_to
        try:
            while position < self._end:
                items, position = read_records(descriptor, position, self._end, READ_SIZE)
                number += len(items)
                if not items:
                    break
        finally:
            os.close(descriptor)
        return number


def read_records(
    descriptor: int, start: int, end: int, limit: int | None
) -> tuple[list[Item], int]:
    """Return the records between two positions of a file, and where the last of them ends.

    Args:
        descriptor: the open file.
        start: position of the first record, in bytes.
        end: position after the last record, in bytes.
        limit: how many records at most; ``None`` for all in one read.
    """
    size = READ_SIZE
    while True:
        piece = os.pread(descriptor, min(size, max(end - start, 0)), start)
        # A file shorter than expected was cut: nothing follows.
        at_end = start + len(piece) >= end or len(piece) < min(size, end - start)
        items, used = parse_records(piece, at_end=at_end, limit=limit)
        if items or at_end or size > MAX_PAYLOAD + OVERHEAD:
            return items, start + used
        size *= 4  # one record longer than the piece


def _try_lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Lock the file; return whether that worked and the file still exists."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(descriptor).st_nlink > 0


def _write_all(descriptor: int, data: bytes, position: int) -> None:
    written = os.pwrite(descriptor, data, position)
    if written < len(data):
        # The disk is full; the second attempt raises the error.
        written += os.pwrite(descriptor, data[written:], position + written)
        if written < len(data):
            raise OSError("only some of the bytes could be written")

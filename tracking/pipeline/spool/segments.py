"""One file of the spool.

A segment belongs to the process that holds its lock (``flock``); the kernel releases the lock
when the process dies, even if killed. The file begins with a :mod:`.header`: the site, the
position up to which its records are written, and the end of the batch being written. The process
that takes over the file writes the same batch again.
"""

import fcntl
import os
import secrets
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Self

from tracking.pipeline.spool.header import HEADER_SIZE, BadHeader, Header
from tracking.pipeline.spool.records import (
    MARKER,
    MAX_PAYLOAD,
    OVERHEAD,
    Item,
    count_records,
    parse_records,
    record_time,
)
from tracking.pipeline.spool.site_identity import SiteIdentity

SUFFIX = ".hits"
#: Added to the name of a file that could not be read. Earlier versions rename files of this
#: version, too, so such files are looked at again.
UNKNOWN = ".unknown"
SUFFIXES = (SUFFIX, SUFFIX + UNKNOWN)
#: The suffix of a file until it is whole.
DRAFT = ".draft"

#: Bytes after which a new file is begun.
SEGMENT_SIZE = 8 * 1024 * 1024

#: Bytes per read.
READ_SIZE = 1024 * 1024

#: Seconds in which a process of an earlier version has certainly written the header of its file.
_HEADER_WRITTEN_AFTER = 60.0


class ForeignSegment(Exception):
    """A file of another site."""


class Segment:
    """An open segment, locked for this process.

    Attributes:
        path: the file.
        header: what stands before the records.
        end: where the next record is appended.
        missing: bytes that the file lacks according to its header; 0 unless it was cut.
        is_growing: whether another process may append records, the last of which may be incomplete.
        is_shared: whether one process appends and another one may write its hits.
        max_size: bytes after which a new file is begun.
        suffix: the end of the names of such files.
    """

    is_growing = False
    is_shared: ClassVar[bool] = False
    max_size: ClassVar[int] = SEGMENT_SIZE
    suffix: ClassVar[str] = SUFFIX

    def __init__(
        self, path: Path, descriptor: int, header: Header, end: int, missing: int = 0
    ) -> None:
        self.path = path
        self.header = header
        self.end = end
        self.missing = missing
        self._descriptor = descriptor

    @classmethod
    def create(cls, folder: Path, site: SiteIdentity) -> Self:
        """Make and lock a new segment.

        It gets its name when it is locked and has a header, so that no other process takes it for
        a damaged one.

        Args:
            folder: the folder of the spool.
            site: the site whose hits it will hold.

        Raises:
            OSError: it cannot be made.
        """
        host = "".join(c if c.isalnum() else "-" for c in socket.gethostname())[:60]
        path = folder / f"{host}.{os.getpid()}.{secrets.token_hex(8)}{cls.suffix}"
        draft = path.with_suffix(DRAFT)
        header = Header.new(site.stamp)
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            try_lock(descriptor)
            _write_all(descriptor, header.pack(), 0)
            draft.rename(path)
        except OSError:
            draft.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        return cls(path, descriptor, header, header.size)

    @classmethod
    def adopt(cls, path: Path, site: SiteIdentity | None) -> Self | None:
        """Open and lock a file of a dead process.

        Args:
            path: the file.
            site: the site whose files are taken over; ``None`` for those of any site.

        Returns:
            The segment; ``None`` if its process lives or it is gone.

        Raises:
            ForeignSegment: it belongs to another site.
            BadHeader: no process has it, and this version cannot read it.
            OSError: the file cannot be opened.
        """
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            segment = cls._adopt(path, descriptor, site)
        except BaseException:
            os.close(descriptor)
            raise
        if segment is None:
            os.close(descriptor)
        return segment

    @classmethod
    def _adopt(cls, path: Path, descriptor: int, site: SiteIdentity | None) -> Self | None:
        # Looked at without the lock first: another site's processes may need it.
        if site is not None and not site.owns(_stamp(descriptor)):
            raise ForeignSegment
        if not try_lock(descriptor):
            return None
        try:
            header = read_header(descriptor)
        except BadHeader:
            if is_being_made(descriptor):
                return None
            raise
        size = os.fstat(descriptor).st_size
        header, missing = plausible(header, descriptor, size)
        return cls(path, descriptor, header, max(size, header.size), missing)

    @property
    def is_drained(self) -> bool:
        """Whether all of its records are written."""
        return self.header.written_to >= self.end

    @property
    def is_empty(self) -> bool:
        """Whether it has no records, written or not."""
        return self.end <= self.header.size

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
            if os.pwrite(self._descriptor, data, self.end) < len(data):
                _write_all(self._descriptor, data, self.end)  # raises why, on a full disk
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
        written_to, batch_end = self.header.written_to, self.header.batch_end
        if batch_end > written_to:
            return read_records(self._descriptor, written_to, batch_end, None)
        items, batch_end = read_records(
            self._descriptor, written_to, self.end, limit, is_growing=self.is_growing
        )
        if items:
            self._save_positions(written_to, batch_end)
        return items, batch_end

    def mark_written(self, position: int) -> None:
        """Save that all records before ``position`` are written.

        Raises:
            OSError: it cannot be saved.
        """
        self._save_positions(position, position)

    def _save_positions(self, written_to: int, batch_end: int) -> None:
        header = self.header._replace(written_to=written_to, batch_end=batch_end)
        _write_all(self._descriptor, header.pack(), 0)
        self.header = header

    def clear(self) -> None:
        """Remove the records, all of which are written, and keep the file.

        Raises:
            OSError: the file cannot be changed.
        """
        start = self.header.size
        os.ftruncate(self._descriptor, start)
        self.end = start
        self.mark_written(start)

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
        stamp: the stamp of its site, ``None`` in a file of an earlier version.
        waiting: bytes that are not written yet.
        since: when the oldest of their records was made (POSIX seconds), or ``None``.
        has_owner: whether its process is running.
    """

    def __init__(self, path: Path) -> None:
        """Read the state.

        Raises:
            BadHeader: this version cannot read the file.
            OSError: the file cannot be read, or was deleted meanwhile.
        """
        self._path = path
        descriptor = os.open(path, os.O_RDONLY)
        try:
            self.has_owner = not try_lock(descriptor, fcntl.LOCK_SH)
            size = os.fstat(descriptor).st_size
            header, _ = plausible(self._header(descriptor, size), descriptor, size)
            self.stamp = header.stamp
            self._start = header.written_to
            self.waiting = max(size - self._start, 0)
            self.since = self._first_time(descriptor) if self.waiting else None
        finally:
            os.close(descriptor)

    def _header(self, descriptor: int, size: int) -> Header:
        try:
            return read_header(descriptor)
        except BadHeader:
            if self.has_owner or is_being_made(descriptor):
                return Header(None, size, size)  # a matter for its process
            raise

    def _first_time(self, descriptor: int) -> float:
        time_of_change = os.fstat(descriptor).st_mtime
        found = record_time(os.pread(descriptor, OVERHEAD, self._start))
        return found if found is not None and 0 < found < time_of_change else time_of_change

    def count(self, max_bytes: int) -> tuple[int, int]:
        """Return how many records are waiting, and in how many bytes they were counted.

        Args:
            max_bytes: how many bytes are read at most.

        Raises:
            OSError: the file cannot be read, or was deleted meanwhile.
        """
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            data = os.pread(descriptor, min(self.waiting, max_bytes), self._start)
        finally:
            os.close(descriptor)
        return count_records(data)


def read_header(descriptor: int) -> Header:
    """Return the header of an open file.

    Raises:
        BadHeader: this version cannot read the file.
        OSError: it cannot be read.
    """
    return Header.unpack(os.pread(descriptor, HEADER_SIZE, 0))


def _stamp(descriptor: int) -> bytes | None:
    try:
        return read_header(descriptor).stamp
    except BadHeader:
        return None


def is_being_made(descriptor: int) -> bool:
    """Return whether a process of version 2 may still be about to write the header."""
    status = os.fstat(descriptor)
    return not status.st_size and time.time() - status.st_mtime < _HEADER_WRITTEN_AFTER


def plausible(header: Header, descriptor: int, size: int) -> tuple[Header, int]:
    """Return the header with positions that the file has, and how many bytes were cut off.

    Without a position to rely on, all records count as not written: rows are known by their keys.
    """
    from_the_start = Header.new(header.stamp)
    if size <= header.size:  # emptied by its process, which died before it saved the positions
        return from_the_start, 0
    positions = header.written_to, header.batch_end
    missing = max(positions) - size
    if missing > 0 or not all(_begins_record(descriptor, header, at) for at in positions):
        return from_the_start, max(missing, 0)
    return header, 0


def _begins_record(descriptor: int, header: Header, position: int) -> bool:
    """Return whether a record begins at a position, be it torn, or nothing."""
    start = os.pread(descriptor, len(MARKER), position)
    return position >= header.size and MARKER.startswith(start)


def read_records(
    descriptor: int, start: int, end: int, limit: int | None, *, is_growing: bool = False
) -> tuple[list[Item], int]:
    """Return the records between two positions of a file, and where the last of them ends.

    Args:
        descriptor: the open file.
        start: position of the first record, in bytes.
        end: position after the last record, in bytes.
        limit: how many records at most; ``None`` for all in one read.
        is_growing: whether an incomplete record at the end may still become whole.
    """
    size = READ_SIZE
    while True:
        piece = os.pread(descriptor, min(size, max(end - start, 0)), start)
        # A file shorter than expected was cut: nothing follows.
        is_all = start + len(piece) >= end or len(piece) < min(size, end - start)
        items, used = parse_records(piece, at_end=is_all and not is_growing, limit=limit)
        if items or is_all or size > MAX_PAYLOAD + OVERHEAD:
            return items, start + used
        size *= 4  # one record longer than the piece


def try_lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
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

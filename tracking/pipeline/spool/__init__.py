"""Hits on disk, until they are delivered.

A hit is appended by one write before the reader has the answer. From then on it outlives
the process, however that ends: the page cache belongs to the kernel. (A machine that
loses its power may lose what it was given in the last seconds.)

    spool = Spool(folder())
    spool.append([hit])
    batch = spool.take(2_000)
    ...                           # deliver it
    spool.settle(batch)

Each process writes to a file of its own, which it holds locked. A file whose lock is free
was left behind by a process that died, and is delivered by the next that looks.

=====================  ===================================================================
:mod:`.records`        hits as bytes, and what of a file is whole
:mod:`.segments`       one file
:mod:`.folders`        where they lie, what is in them, and what was set aside
:mod:`.sent`           what was sent to a worker, until it is known to be written
=====================  ===================================================================
"""

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tracking.hits import AnyHit
from tracking.pipeline.spool import folders
from tracking.pipeline.spool.folders import folder, look, prepare, set_aside
from tracking.pipeline.spool.records import BadRecord, Damage, Item, Record, decode, encode, framed
from tracking.pipeline.spool.segments import START, Segment

__all__ = [
    "BadRecord",
    "Batch",
    "Damage",
    "Item",
    "Record",
    "Spool",
    "decode",
    "encode",
    "folder",
    "look",
    "prepare",
    "set_aside",
]

#: Bytes after which a segment is followed by another.
SEGMENT_SIZE = 8 * 1024 * 1024

#: Files of dead processes that are held open at once.
ADOPTED = 8


class Batch(NamedTuple):
    """Records that are to be delivered together.

    Attributes:
        items: what they are.
        segment: the file they come from.
        end: the position in it up to which they go.
    """

    items: list[Item]
    segment: Segment
    end: int


class Spool:
    """The files of this process. Any thread may append; one at a time may take and settle.

    Attributes:
        folder: where they lie.
        appended: hits that were appended by this process.
        settled: those of them that are delivered or set aside.
    """

    def __init__(self, folder: Path, segment_size: int = SEGMENT_SIZE) -> None:
        self.folder = folder
        self._segment_size = segment_size
        self.abandon()

    def abandon(self) -> None:
        """Begin with nothing, in a child process: the files belong to the parent."""
        for segment in self._segments() if hasattr(self, "_lock") else ():
            segment.close()  # the parent's lock stays: it has the file open, too
        self._lock = threading.Lock()
        self._active: Segment | None = None
        self._older: list[Segment] = []
        self._adopted: list[Segment] = []
        self.appended = self.settled = 0

    @property
    def waiting(self) -> int:
        """How many hits of this process are not delivered yet."""
        return self.appended - self.settled

    def append(self, hits: Iterable[AnyHit]) -> None:
        """Write hits to the disk, all of them or none.

        Raises:
            OSError: the disk does not take them.
            TypeError, ValueError, OverflowError: one of them cannot be written as bytes.
        """
        frames = [framed(encode(hit)) for hit in hits]
        data = b"".join(frames)
        with self._lock:
            self._segment_for(len(data)).append(data)
            self.appended += len(frames)

    def _segment_for(self, size: int) -> Segment:
        active = self._active
        if active is not None and (active.end + size <= self._segment_size or active.end == START):
            return active
        prepare(self.folder)
        new = Segment.create(self.folder)
        if active is not None:
            self._older.append(active)
        self._active = new
        return new

    def take(self, limit: int) -> Batch | None:
        """Return the oldest records, ``limit`` at most; ``None`` if none are waiting.

        Taking again without settling returns the same, also in the process that comes after
        this one and whatever limit that has.

        Raises:
            OSError: they cannot be read, or that could not be written down.
        """
        for segment in self._segments():
            if segment.is_drained:
                self._put_away(segment)
                continue
            items, end = segment.read(limit)
            return Batch(items, segment, end if items else segment.end)
        return None

    def settle(self, batch: Batch) -> None:
        """Forget a batch, which was delivered or set aside.

        Raises:
            OSError: it could not be written down.
        """
        batch.segment.advance(batch.end)
        if batch.segment not in self._adopted:
            self.settled += len(batch.items)
        if batch.segment.is_drained:
            self._put_away(batch.segment)

    def adopt(self) -> int:
        """Take over what dead processes have left behind, and return how many files that is.

        Raises:
            OSError: the folder cannot be read.
        """
        before = len(self._adopted)
        for path in folders.segments(self.folder):
            if len(self._adopted) >= ADOPTED:
                break
            if segment := Segment.adopt(path):
                self._adopted.append(segment)
        return len(self._adopted) - before

    def renew_if_lost(self) -> bool:
        """Begin a new file if somebody has deleted the one that is written to."""
        with self._lock:
            active = self._active
            if active is None or not active.is_lost:
                return False
            self._older.append(active)  # what is in it can still be read
            self._active = None
            return True

    def is_current(self, segment: Segment) -> bool:
        """Return whether a segment is the one that is written to."""
        return segment is self._active

    def close(self) -> None:
        """Let go of all files; what is in them is delivered by whoever comes next."""
        with self._lock:
            for segment in self._segments():
                if segment.is_drained:
                    segment.remove()
                else:
                    segment.close()
            self._active = None
            self._older, self._adopted = [], []

    def _segments(self) -> list[Segment]:
        own = [*self._older, self._active] if self._active else self._older
        return [*self._adopted, *own]

    def _put_away(self, segment: Segment) -> None:
        """Empty the file that is written to; delete any other."""
        with self._lock:
            # Looked at again: a hit may have been appended, and another file begun, since.
            if not segment.is_drained:
                return
            if segment is self._active:
                if segment.end > START:
                    segment.reset()
                return
        for held in (self._adopted, self._older):
            if segment in held:
                held.remove(segment)
        segment.remove()

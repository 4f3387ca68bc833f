"""Files to which one process appends, and from which another one writes.

Where a writer process is at work, the other processes only append. Their files have names of
their own, ``*.shared.hits``. The lock of such a file still says whether its process lives, so
that earlier versions leave it alone. Whoever writes its hits, the writer process or in its absence
the process that appended them, reads the header again each time, and changes it under one lock of
the folder:

* A batch that is begun is the same for all, however often it is begun again.
* Positions never go back. A writer that was stopped, and wakes up when others have written its
  batch, changes nothing.
* The file is never emptied, only deleted, so a position means the same record for ever.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from tracking.pipeline.spool.header import BadHeader
from tracking.pipeline.spool.records import Item
from tracking.pipeline.spool.segments import (
    SUFFIX,
    ForeignSegment,
    Segment,
    plausible,
    read_header,
    try_lock,
)
from tracking.pipeline.spool.site_identity import SiteIdentity

#: Bytes after which a new shared file is begun; it keeps its written hits until then.
SHARED_SIZE = 1024 * 1024

#: The end of the name of a shared file.
SHARED = f".shared{SUFFIX}"

#: The file whose lock is held for the microseconds in which positions are saved.
POSITIONS = "positions.lock"

#: Seconds to wait for that lock.
_PATIENCE = 2.0
_PAUSE = 0.005


@contextmanager
def positions_locked(folder: Path) -> Iterator[None]:
    """Hold the lock under which the positions of shared files are saved.

    Args:
        folder: the folder of the spool.

    Raises:
        OSError: the lock cannot be had; its process may have been stopped.
    """
    descriptor = os.open(folder / POSITIONS, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)


class SharedSegment(Segment):
    """A shared file, open in the process that appends, or in one that took it over."""

    max_size = SHARED_SIZE
    suffix = SHARED
    is_shared = True

    @property
    def is_drained(self) -> bool:
        """Whether all of its records are written, by whomever."""
        self._refresh()
        return super().is_drained

    def read_batch(self, limit: int) -> tuple[list[Item], int]:
        """Return the next records, as every other process does that reads them now."""
        with positions_locked(self.path.parent):
            self._refresh()
            return super().read_batch(limit)

    def mark_written(self, position: int) -> None:
        """Save that all records before ``position`` are written, unless more are."""
        with positions_locked(self.path.parent):
            self._refresh()
            if position > self.header.written_to:
                super().mark_written(position)

    def clear(self) -> None:
        """Keep the records: others rely on their positions."""

    def _refresh(self) -> None:
        # Without a readable one the last one counts, and saving positions repairs the file.
        with suppress(BadHeader):
            self.header = read_header(self._descriptor)


class FollowedSegment(SharedSegment):
    """A shared file of another process, from which this one writes.

    Attributes:
        is_growing: whether its process may still append.
    """

    is_growing = True

    @classmethod
    def follow(cls, path: Path, site: SiteIdentity | None) -> Self | None:
        """Open the file of another process.

        Args:
            path: the file.
            site: the site whose files are followed; ``None`` for those of any site.

        Returns:
            The file; ``None`` if it is gone.

        Raises:
            ForeignSegment: it belongs to another site.
            BadHeader: this version cannot read it.
            OSError: the file cannot be opened.
        """
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            return cls._follow(path, descriptor, site)
        except BaseException:
            os.close(descriptor)
            raise

    @classmethod
    def _follow(cls, path: Path, descriptor: int, site: SiteIdentity | None) -> Self:
        header = read_header(descriptor)
        if site is not None and not site.owns(header.stamp):
            raise ForeignSegment
        size = os.fstat(descriptor).st_size
        header, missing = plausible(header, descriptor, size)
        return cls(path, descriptor, header, max(size, header.size), missing)

    @property
    def is_drained(self) -> bool:
        """Whether all whole records so far are written."""
        self.end = os.fstat(self._descriptor).st_size
        return super().is_drained

    def check_owner(self) -> None:
        """Find out whether the process that appends has died or begun another file."""
        if self.is_growing and (self.is_deleted or try_lock(self._descriptor)):
            self.is_growing = False
            # Not kept: if this process is stopped, another one can take the file over.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

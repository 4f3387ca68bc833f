"""The spool files of one process.

Each process appends to a file of its own, which it holds locked. A file whose lock is free
was left behind by a process that died; the next process of the site that looks takes it over.

While a writer process is at work, the file is a :mod:`shared one <.shared_segments>`. The writer
process follows the shared files of all processes.
"""

import threading
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from tracking.hits import AnyHit
from tracking.log_limits import get_logger
from tracking.pipeline.spool.folder import make_folder, why_untrusted
from tracking.pipeline.spool.followed import Followed
from tracking.pipeline.spool.orphans import Orphans
from tracking.pipeline.spool.records import DamagedBytes, Item, make_record
from tracking.pipeline.spool.segments import SEGMENT_SIZE, Segment
from tracking.pipeline.spool.shared_segments import FollowedSegment, SharedSegment
from tracking.pipeline.spool.site_identity import SiteIdentity, this_site
from tracking.raw_hits import AnyRawHit

logger = get_logger(__name__)

#: Files of dead processes that are held open at once.
MAX_ADOPTED = 8


class Batch(NamedTuple):
    """Records that are written together.

    Attributes:
        items: the records, and damaged bytes between them.
        segment: the file they come from.
        end: the position in it after the last of them.
    """

    items: list[Item]
    segment: Segment
    end: int


class Spool:
    """The spool files of this process.

    Any thread may append; only one at a time may take and settle batches.

    Args:
        folder: the folder of the files.
        segment_size: bytes after which a new file is begun.
        site: the site of the hits; by default the running one.
        from_any_site: whether files of dead processes are taken over from any site.
        find_former: returns other folders in which the site's hits may wait.

    Attributes:
        folder: the folder of the files.
        appended: hits that this process has appended.
        settled: hits among these that are written, set aside, or left to the writer process.
        shares: whether new files are shared with a writer process.
    """

    def __init__(
        self,
        folder: Path,
        segment_size: int = SEGMENT_SIZE,
        *,
        site: SiteIdentity | None = None,
        from_any_site: bool = False,
        find_former: Callable[[], Iterable[Path]] = tuple,
    ) -> None:
        self.folder = folder
        self._segment_size = segment_size
        self._site = site
        self._from_any_site = from_any_site
        self._find_former = find_former
        self._orphans = {folder: Orphans(folder)}
        self.shares = False
        self.reset()

    def reset(self) -> None:
        """Start with no files; after a fork, those open here belong to the parent."""
        for segment in self._segments() if hasattr(self, "_lock") else ():
            segment.close()  # the parent keeps the lock: it has the file open, too
        self._lock = threading.Lock()
        self._active: Segment | None = None
        self._older: list[Segment] = []
        self._adopted: list[Segment] = []
        self._followed: Followed | None = None
        self._seen: tuple[Segment, int] | None = None
        self.appended = self.settled = 0

    @property
    def waiting(self) -> int:
        """How many hits of this process are neither written nor set aside."""
        return self.appended - self.settled

    def append(self, hits: Iterable[AnyHit | AnyRawHit]) -> None:
        """Append hits to the file of this process.

        All of them or none, but a writer process may have read those before one that the disk
        refuses.

        Raises:
            OSError: the disk refuses.
            TypeError, ValueError, OverflowError: a hit cannot be encoded.
        """
        records = [*map(make_record, hits)]
        data = b"".join(records)
        with self._lock:
            segment = self._segment_for(len(data))
            # One by one, if others read at once: no whole record is ever taken back.
            for piece in records if segment.is_shared else (data,):
                segment.append(piece)
            self.appended += len(records)

    def _segment_for(self, size: int) -> Segment:
        active = self._active
        if active is not None:
            max_size = min(self._segment_size, active.max_size)
            if active.end + size <= max_size or active.is_empty:
                return active
        try:
            make_folder(self.folder)
            kind = SharedSegment if self.shares else Segment
            new = kind.create(self.folder, self._site or this_site())
        except OSError:
            if active is None:
                raise
            return active  # without a free descriptor the file that is open still takes hits
        if active is not None:
            self._older.append(active)
        self._active = new
        return new

    def take_batch(self, limit: int) -> Batch | None:
        """Return the oldest records; ``None`` if there are none.

        Without :meth:`settle_batch` the next call returns the same batch, also in the process
        that takes over the file, whatever its ``limit``.

        Args:
            limit: how many records at most.

        Raises:
            OSError: the file cannot be read, or the end of the batch cannot be saved.
        """
        for segment in self._segments():
            if segment.is_drained:
                self._clear_or_remove(segment)
                continue
            items, end = segment.read_batch(limit)
            if isinstance(segment, FollowedSegment) and self._followed is not None:
                self._followed.note_batch(segment, is_full=len(items) >= limit)
            if items or not segment.is_growing:
                return Batch(items, segment, end if items else segment.end)
        return None

    def settle_batch(self, batch: Batch) -> None:
        """Mark a batch as written or set aside, so that it is not read again.

        Raises:
            OSError: the position cannot be saved.
        """
        batch.segment.mark_written(batch.end)
        if batch.segment is self._active or batch.segment in self._older:
            self.settled = min(self.settled + len(batch.items), self.appended)
        if damaged := sum(len(one.raw) for one in batch.items if isinstance(one, DamagedBytes)):
            logger.error("%s bytes of %s are damaged: set aside", damaged, batch.segment.path)
        if batch.segment.is_drained:
            self._clear_or_remove(batch.segment)

    def adopt_orphans(self) -> int:
        """Take over files of dead processes of this site, and return how many.

        Raises:
            OSError: the folder cannot be read.
        """
        site = None if self._from_any_site else self._site or this_site()
        before = len(self._adopted)
        followed: Collection[Path] = ()
        if self._followed is not None:
            self._followed.update(site)
            followed = self._followed.paths()
        former = [folder for folder in self._find_former() if not why_untrusted(folder)]
        for folder in (self.folder, *former):
            orphans = self._orphans.setdefault(folder, Orphans(folder))
            self._adopted += orphans.adopt(site, MAX_ADOPTED - len(self._adopted), followed)
        return len(self._adopted) - before

    def follow_others(self) -> None:
        """Read the shared files of all processes, too; for the writer process."""
        self._followed = Followed(self.folder)

    def hand_over(self) -> bool:
        """Leave all hits to the writer process, and share the files from now on.

        A file to which nothing was appended since the last call is closed, so that it is deleted as
        soon as its hits are written.

        Returns:
            Whether hits were appended since the last call.
        """
        with self._lock:
            active, self.shares = self._active, True
            if active is not None:
                if not active.is_shared or self._seen == (active, active.end):
                    self._older.append(active)
                    self._active = None
                self._seen = (active, active.end)
            self._close_finished()
            has_new, self.settled = self.waiting > 0, self.appended
            return has_new

    @property
    def is_all_written(self) -> bool:
        """Whether no hit waits in the files of this process."""
        return all(segment.is_drained for segment in self._segments())

    def replace_deleted_file(self) -> bool:
        """Start a new file if the current one was deleted; return whether it was."""
        with self._lock:
            active = self._active
            if active is None or not active.is_deleted:
                return False
            self._older.append(active)  # the open file can still be read
            self._active = None
            return True

    def is_active(self, segment: Segment) -> bool:
        """Return whether new hits are appended to this segment."""
        return segment is self._active

    def close(self) -> None:
        """Close all files. The next process takes over those with hits."""
        with self._lock:
            if self._active is not None:
                self._older.append(self._active)
                self._active = None
            self._close_finished()
            if self._followed is not None:
                self._followed.close()

    def _close_finished(self) -> None:
        """Close the files to which this process no longer appends, and delete the written ones."""
        for segment in [*self._older, *self._adopted]:
            if segment.is_drained:
                segment.remove()
            else:
                segment.close()
        self._older, self._adopted = [], []

    def _segments(self) -> list[Segment]:
        own = [*self._older, self._active] if self._active else self._older
        followed = self._followed.due() if self._followed is not None else []
        return [*self._adopted, *own, *followed]

    def _clear_or_remove(self, segment: Segment) -> None:
        """Empty the active file; delete any other, unless its process may append to it."""
        if segment.is_growing:
            return
        with self._lock:
            # Checked again: another thread may have appended a hit, and begun another file.
            if not segment.is_drained:
                return
            if segment is self._active:
                if not segment.is_empty:
                    segment.clear()
                return
        for held in (self._adopted, self._older):
            if segment in held:
                held.remove(segment)
        segment.path.unlink(missing_ok=True)
        if isinstance(segment, FollowedSegment) and self._followed is not None:
            self._followed.drop(segment)
        else:
            segment.close()

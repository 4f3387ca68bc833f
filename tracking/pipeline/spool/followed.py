"""The shared files of all processes of the site, as the writer process sees them."""

from collections.abc import Collection
from pathlib import Path

from tracking.log_limits import get_logger
from tracking.pipeline.spool.folder import segment_paths
from tracking.pipeline.spool.header import BadHeader
from tracking.pipeline.spool.segments import ForeignSegment
from tracking.pipeline.spool.shared_segments import SHARED, FollowedSegment
from tracking.pipeline.spool.site_identity import SiteIdentity

logger = get_logger(__name__, burst=100)


class Followed:
    """The shared files of a folder, of living processes and of dead ones.

    Attributes:
        segments: the open files; the one written last comes last.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.segments: list[FollowedSegment] = []
        #: Files of which the next batch is left for the next round, so that it is larger.
        self._resting: set[FollowedSegment] = set()

    def update(self, site: SiteIdentity | None) -> None:
        """Find new files, and those whose process has ended.

        Files that cannot be followed are left to :class:`tracking.pipeline.spool.orphans.Orphans`.

        Raises:
            OSError: the folder cannot be read.
        """
        self._resting.clear()
        known = {segment.path for segment in self.segments}
        for path in segment_paths(self._folder):
            if path.name.endswith(SHARED) and path not in known:
                self._follow(path, site)
        for segment in list(self.segments):
            segment.check_owner()
            if segment.is_deleted:
                self.drop(segment)

    def _follow(self, path: Path, site: SiteIdentity | None) -> None:
        try:
            segment = FollowedSegment.follow(path, site)
        except (ForeignSegment, BadHeader):
            return
        if segment is not None:
            self.segments.append(segment)

    def due(self) -> list[FollowedSegment]:
        """Return the files to look at in this round."""
        return [segment for segment in self.segments if segment not in self._resting]

    def note_batch(self, segment: FollowedSegment, *, is_full: bool) -> None:
        """Let the other files come first after a batch of this one.

        Args:
            segment: the file.
            is_full: whether more hits probably wait in it already.
        """
        if not is_full:
            self._resting.add(segment)
        self.segments.remove(segment)
        self.segments.append(segment)

    def paths(self) -> Collection[Path]:
        """Return the paths of the followed files."""
        return {segment.path for segment in self.segments}

    def drop(self, segment: FollowedSegment) -> None:
        """Close a file, and follow it no longer."""
        self.segments.remove(segment)
        self._resting.discard(segment)
        segment.close()

    def close(self) -> None:
        """Close all files; they stay where they are."""
        for segment in list(self.segments):
            self.drop(segment)

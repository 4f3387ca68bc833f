"""Files that dead processes left behind: those of this site are taken over, no others.

A file that cannot be read gets another name and stays, for a person to decide about. One that was
cut is read from its start.
"""

import errno
from collections.abc import Collection
from pathlib import Path

from tracking.log_limits import get_logger
from tracking.pipeline.spool.folder import delete_stale_drafts, segment_paths
from tracking.pipeline.spool.header import BadHeader
from tracking.pipeline.spool.rejected import REJECTED, Rejected, save_rejected
from tracking.pipeline.spool.segments import UNKNOWN, ForeignSegment, Segment
from tracking.pipeline.spool.shared_segments import SHARED, SharedSegment
from tracking.pipeline.spool.site_identity import SiteIdentity

#: Each of its lines is about another file.
logger = get_logger(__name__, burst=100)

#: Errors of this process or the machine, for which no file is to blame.
_NOT_OF_A_FILE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


class Orphans:
    """The files of dead processes in a folder. Each problem is logged once.

    Args:
        folder: the folder of the spool.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reported: set[str] = set()
        self._has_reported_foreign = False

    def adopt(
        self, site: SiteIdentity | None, limit: int, except_for: Collection[Path] = ()
    ) -> list[Segment]:
        """Take over some files.

        Args:
            site: the site whose files they are; ``None`` for any.
            limit: how many at most.
            except_for: files that this process has open already.

        Raises:
            OSError: the folder cannot be read.
        """
        for place in (self._folder, self._folder / REJECTED):
            delete_stale_drafts(place)
        adopted: list[Segment] = []
        for path in segment_paths(self._folder):
            if len(adopted) >= limit:
                break
            if path not in except_for and (segment := self._try_to_adopt(path, site)):
                adopted.append(segment)
        return adopted

    def _try_to_adopt(self, path: Path, site: SiteIdentity | None) -> Segment | None:
        kind = SharedSegment if path.name.endswith(SHARED) else Segment
        try:
            segment = kind.adopt(path, site)
        except ForeignSegment:
            self._report_foreign()
            return None
        except BadHeader as error:
            self._keep_unreadable(path, str(error))
            return None
        except OSError as error:
            if error.errno in _NOT_OF_A_FILE:
                raise
            self._report_once(path, error.strerror or str(error))
            return None
        if segment is not None and segment.missing > 0:
            self._report_cut(segment)
        return segment

    def _report_cut(self, segment: Segment) -> None:
        missing, path = segment.missing, segment.path
        logger.error(
            "%s bytes are missing at the end of %s: all hits left in it are written",
            missing,
            path,
        )
        note = Rejected(b"", f"cut: {missing} bytes are missing at the end of {path.name}")
        try:
            save_rejected(self._folder, [note])
        except OSError as error:
            logger.warning("%s: this note cannot be saved: %s", note.reason, error)

    def _report_foreign(self) -> None:
        if not self._has_reported_foreign:
            self._has_reported_foreign = True
            logger.warning(
                "%s holds hits of another site, which are left to it. Give each site a "
                "TRACKING_SPOOL of its own.",
                self._folder,
            )

    def _keep_unreadable(self, path: Path, reason: str) -> None:
        if path.name.endswith(UNKNOWN):
            return  # reported when it got this name
        kept = path.with_name(path.name + UNKNOWN)
        try:
            path.rename(kept)
        except OSError as error:
            self._report_once(path, f"it {reason}, and cannot be renamed: {error.strerror}")
        else:
            logger.error(
                "%s %s: kept as %s. tracking_replay writes the hits that it finds in it.",
                path,
                reason,
                kept.name,
            )

    def _report_once(self, path: Path, reason: str) -> None:
        if path.name not in self._reported:
            self._reported.add(path.name)
            logger.error("%s cannot be taken over: %s", path, reason)

"""What waits in the folder of the spool, for people and monitoring.

The look at it is bounded, so that it stays quick in any folder: of very many or very large files
the figures say at least how much waits.
"""

import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tracking.pipeline.spool.folder import MAX_FILES, file_names
from tracking.pipeline.spool.header import BadHeader
from tracking.pipeline.spool.in_flight import MAX_COUNTED, count_sent
from tracking.pipeline.spool.rejected import count_rejected
from tracking.pipeline.spool.segments import SUFFIXES, SegmentStatus
from tracking.pipeline.spool.site_identity import SiteIdentity

#: Bytes of waiting records that are counted one by one; the number of the rest is estimated.
MAX_BYTES_COUNTED = 4 * 1024 * 1024


class FolderStatus(NamedTuple):
    """What waits in the folder of the spool.

    Attributes:
        waiting: hits not written yet; beyond ``MAX_BYTES_COUNTED`` bytes an estimate.
        lag: seconds that the oldest of them has been waiting.
        files: files that hold them.
        left_behind: files among these whose process has died.
        size: bytes of the waiting hits.
        rejected: hits that were set aside.
        sent: batches that were sent to Celery workers and are not known to be written.
        sent_lag: seconds since the first of them was (last) sent.
        unreadable: files that this version cannot read.
        other_sites: files with hits of other sites.
        is_complete: whether all files were looked at; else all figures are lower bounds.
    """

    waiting: int = 0
    lag: float = 0.0
    files: int = 0
    left_behind: int = 0
    size: int = 0
    rejected: int = 0
    sent: int = 0
    sent_lag: float = 0.0
    unreadable: int = 0
    other_sites: int = 0
    is_complete: bool = True


def folder_status(folder: Path, site: SiteIdentity | None = None) -> FolderStatus:
    """Return what waits in the folder of the spool; changes nothing.

    Args:
        folder: the folder of the spool.
        site: the site whose hits are counted; ``None`` for those of any site.

    Raises:
        OSError: the folder cannot be read.
    """
    names, is_complete = file_names(folder, SUFFIXES, MAX_FILES)
    segments: list[SegmentStatus] = []
    unreadable = other_sites = 0
    for name in names:
        try:
            segment = SegmentStatus(folder / name)
        except FileNotFoundError:  # written and removed meanwhile
            continue
        except (BadHeader, OSError):
            unreadable += 1
            continue
        if not segment.waiting:
            continue
        if site is not None and not site.owns(segment.stamp):
            other_sites += 1
        else:
            segments.append(segment)
    rejected, are_all_rejected = count_rejected(folder, site)
    sent = count_sent(folder, site, MAX_COUNTED)
    size = sum(segment.waiting for segment in segments)
    oldest = min((one.since for one in segments if one.since is not None), default=None)
    return FolderStatus(
        waiting=_count_waiting(segments, size),
        lag=_seconds_since(oldest),
        files=len(segments),
        left_behind=sum(not segment.has_owner for segment in segments),
        size=size,
        rejected=rejected,
        sent=sent.number,
        sent_lag=_seconds_since(sent.since),
        unreadable=unreadable,
        other_sites=other_sites,
        is_complete=is_complete and are_all_rejected and sent.is_complete,
    )


def _seconds_since(moment: float | None) -> float:
    return 0.0 if moment is None else max(time.time() - moment, 0.0)


def _count_waiting(segments: list[SegmentStatus], size: int) -> int:
    counted = number = 0
    for segment in segments:
        if counted >= MAX_BYTES_COUNTED:
            break
        with suppress(FileNotFoundError):
            found, used = segment.count(MAX_BYTES_COUNTED - counted)
            number += found
            counted += used
    return round(number * size / counted) if counted else number

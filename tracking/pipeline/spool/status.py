"""What waits in the folder of the spool, for people and monitoring."""

import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tracking.pipeline.spool.folder import segment_paths
from tracking.pipeline.spool.in_flight import count_sent, first_sent_at
from tracking.pipeline.spool.rejected import count_rejected
from tracking.pipeline.spool.segments import SegmentStatus

#: Bytes of waiting records that are counted one by one; the number of the rest is estimated.
MAX_BYTES_COUNTED = 32 * 1024 * 1024


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
    """

    waiting: int = 0
    lag: float = 0.0
    files: int = 0
    left_behind: int = 0
    size: int = 0
    rejected: int = 0
    sent: int = 0
    sent_lag: float = 0.0


def folder_status(folder: Path) -> FolderStatus:
    """Return what waits in the folder of the spool; changes nothing.

    Raises:
        OSError: the folder cannot be read.
    """
    segments = []
    for path in segment_paths(folder):
        with suppress(FileNotFoundError):
            segment = SegmentStatus(path)
            if segment.waiting:
                segments.append(segment)
    size = sum(segment.waiting for segment in segments)
    oldest = min((one.since for one in segments if one.since is not None), default=None)
    return FolderStatus(
        waiting=_count_waiting(segments, size),
        lag=_seconds_since(oldest),
        files=len(segments),
        left_behind=sum(not segment.has_owner for segment in segments),
        size=size,
        rejected=count_rejected(folder),
        sent=count_sent(folder),
        sent_lag=_seconds_since(first_sent_at(folder)),
    )


def _seconds_since(moment: float | None) -> float:
    return 0.0 if moment is None else max(time.time() - moment, 0.0)


def _count_waiting(segments: list[SegmentStatus], size: int) -> int:
    counted = number = 0
    for segment in segments:
        if counted >= MAX_BYTES_COUNTED:
            break
        with suppress(FileNotFoundError):
            number += segment.count()
            counted += segment.waiting
    return round(number * size / counted) if counted else number

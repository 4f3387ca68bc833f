"""Loggers that repeat a line a few times a minute, however often it is logged.

    logger = get_logger(__name__)

    logger.exception("Recording of %s failed", hit.id)     # a thousand times in a minute

What makes one request fail makes thousands fail, and each traceback takes kilobytes of the log.
So a logger writes a few equal lines in each :data:`INTERVAL` and counts the others. The next line
says how many they were::

    Recording of 0193… failed … and 995 more in the last 60 s

Lines are equal if they have the same text before its values are inserted, and come from an
exception of the same type at the same place.
"""

import logging
import os
import threading
from time import monotonic
from types import TracebackType
from typing import Any

#: Seconds.
INTERVAL = 60.0
#: Equal lines that are written in each interval, unless the logger has another number.
BURST = 5
#: Kinds of lines that are remembered. Texts and places are those of the code, so they are few.
MAX_KINDS = 1_000


class _Interval:
    """The equal lines of one interval.

    Attributes:
        since: when it began, on the monotonic clock.
        written: lines that were written.
        left_out: lines that were not.
    """

    __slots__ = ("left_out", "since", "written")

    def __init__(self, since: float) -> None:
        self.since = since
        self.written = self.left_out = 0


class _Limit(logging.Filter):
    """Passes the first of equal lines. One for all loggers of the process."""

    def __init__(self) -> None:
        super().__init__()
        self.bursts: dict[str, int] = {}
        self.reset()

    def reset(self) -> None:
        """Forget all lines, at first and after a fork."""
        self._lock = threading.Lock()
        self._intervals: dict[Any, _Interval] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write a line, and add to it how many were left out before."""
        if record.levelno <= logging.DEBUG:
            return True
        kind, now = _kind_of(record), monotonic()
        with self._lock:
            current = self._intervals.get(kind)
            if current is None or now - current.since >= INTERVAL:
                previous, current = current, self._begin(kind, now)
                if previous is not None and previous.left_out:
                    more, seconds = previous.left_out, round(now - previous.since)
                    record.msg = f"{record.msg} … and {more} more in the last {seconds} s"
            if current.written < self.bursts[record.name]:
                current.written += 1
                return True
            current.left_out += 1
            return False

    def _begin(self, kind: Any, now: float) -> _Interval:
        self._intervals.pop(kind, None)
        if len(self._intervals) >= MAX_KINDS:
            del self._intervals[next(iter(self._intervals))]  # the one that began first
        self._intervals[kind] = interval = _Interval(now)
        return interval


def _kind_of(record: logging.LogRecord) -> tuple[object, ...]:
    error_type, place = None, None
    if record.exc_info:
        error_type, _, traceback = record.exc_info
        place = _innermost(traceback)
    return record.name, record.levelno, str(record.msg), error_type, place


def _innermost(traceback: TracebackType | None) -> tuple[str, int] | None:
    """Return the file and the line in which an exception was raised."""
    place = None
    while traceback is not None:
        place = traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
        traceback = traceback.tb_next
    return place


_limit = _Limit()

# Windows has no fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_limit.reset)


def get_logger(name: str, burst: int = BURST) -> logging.Logger:
    """Return a logger whose equal lines are limited. Lines of level ``DEBUG`` are not.

    Args:
        name: its name, ``__name__`` of the module.
        burst: equal lines that are written in each interval.
    """
    logger = logging.getLogger(name)
    _limit.bursts[name] = burst
    logger.addFilter(_limit)
    return logger


def reset() -> None:
    """Forget which lines were written, for tests that expect a line."""
    _limit.reset()

"""Clocks that tests move by hand."""

import time

import pytest

from tracking.caching import polling, snapshots
from tracking.identity import daily_salt


class Clock:
    """The time of day and the monotonic clock of the modules that it is given to.

    Attributes:
        now: both, in seconds.
    """

    def __init__(self) -> None:
        self.now = time.time()

    def pass_by(self, seconds: float) -> None:
        """Move the clock."""
        self.now += seconds


def of_snapshots(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give snapshots and the daily salt a clock, and return it."""
    clock = Clock()
    monkeypatch.setattr(daily_salt, "time", lambda: clock.now)
    for module in (snapshots, polling):
        monkeypatch.setattr(module, "monotonic", lambda: clock.now)
    return clock

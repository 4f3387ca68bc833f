"""Clicks that this process has written, for the comparison with others of the same message.

Kept in memory: it costs the writing of hits no statement.
"""

from collections.abc import Iterable
from datetime import datetime

from tracking.hits import Hit, Kind

_CLICK = Kind.CLICK.value


class RecentClicks:
    """Since when this process has written clicks that are not compared yet."""

    def __init__(self) -> None:
        self.since: datetime | None = None

    def note(self, hits: Iterable[Hit]) -> None:
        """Note hits that were written. Only clicks on links of a mailing or to a reader count."""
        times = [
            hit.time
            for hit in hits
            if hit.kind == _CLICK and (hit.entity is not None or hit.source is not None)
        ]
        if times:
            self.add(min(times))

    def add(self, since: datetime) -> None:
        """Note that there are clicks from some time on (aware)."""
        before = self.since
        if before is None or since < before:
            self.since = since

    def take(self) -> datetime | None:
        """Return the time of the first, and forget it. What is written from now on counts anew."""
        since, self.since = self.since, None
        return since


#: Those of this process.
recent_clicks = RecentClicks()

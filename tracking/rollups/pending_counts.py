"""Counts that wait in a temporary file until they are written.

A roll-up counts first and writes then, in one short transaction. Of a day with many sources it
holds a few counts in memory, and the rest on disk.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from tempfile import SpooledTemporaryFile
from typing import NamedTuple, Self

import msgspec

from tracking.db.chunks import in_batches
from tracking.models import DailyCount
from tracking.models.daily_counts import thing_key
from tracking.rollups.counts import OTHER, Counts
from tracking.rollups.hourly import is_hourly
from tracking.rollups.months import month_of

#: Counts of one line of the file, and of one INSERT.
BATCH = 500

#: Bytes that are held in memory before there is a file.
_IN_MEMORY = 1_000_000


class DayCount(NamedTuple):
    """The counts of a value on a day.

    Attributes:
        day: the day.
        scope: the scope of the source, or "" for the whole site.
        facet: the facet.
        value: the value, or :data:`tracking.rollups.counts.OTHER`.
        counts: its counts.
    """

    day: date
    scope: str
    facet: str
    value: str
    counts: Counts

    def as_row(self) -> DailyCount:
        """Return the row, not saved."""
        is_other = self.value == OTHER
        return DailyCount(
            day=self.day,
            key=thing_key(self.scope, self.facet, self.value),
            scope=self.scope,
            facet=self.facet,
            value="" if is_other else self.value,
            is_other=is_other,
            **self.counts._asdict(),
        )


def _add_to_months(counts: Iterable[DayCount], using: str) -> None:
    """Add the counts of days to those of their months, which have no hours."""
    new = [
        count._replace(day=month_of(count.day)).as_row()
        for count in counts
        if not is_hourly(count.facet)
    ]
    if not new:
        return
    stored = DailyCount.objects.using(using).filter(
        day__in={row.day for row in new}, key__in={row.key for row in new}
    )
    sums: dict[tuple[date, str], DailyCount] = {}
    for row in [*stored, *new]:
        of_value = sums.setdefault((row.day, row.key), row)
        if of_value is not row:
            for name in Counts._fields:
                setattr(of_value, name, getattr(of_value, name) + getattr(row, name))
    stored.delete()
    for row in sums.values():
        row.pk = None
    DailyCount.objects.using(using).bulk_create(sums.values())


class PendingCounts:
    """Counts to be written. A context manager, which deletes the file.

    Entering it reads the counts, and raises ``OSError`` if the disk of temporary files is full.

    Args:
        counts: the counts.
    """

    def __init__(self, counts: Iterable[DayCount]) -> None:
        self._counts = counts
        self._number = 0
        self._file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        try:
            for batch in in_batches(self._counts, BATCH):
                self._file.write(msgspec.json.encode(batch) + b"\n")
                self._number += len(batch)
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        """Return how many counts there are."""
        return self._number

    def save(self, using: str, single: date) -> None:
        """Insert all of them. May be called again after the transaction was rolled back.

        Args:
            using: the database alias.
            single: the first day that is counted one by one. Counts of earlier days are added to
                those of their months.
        """
        rows = DailyCount.objects.using(using)
        for batch in self._batches():
            rows.bulk_create(count.as_row() for count in batch if count.day >= single)
            _add_to_months([count for count in batch if count.day < single], using)

    def _batches(self) -> Iterator[list[DayCount]]:
        self._file.seek(0)
        for line in self._file:
            yield msgspec.json.decode(line, type=list[DayCount])

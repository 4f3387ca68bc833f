"""Months, and the first key of each.

>>> december = Month(2026, 12)
>>> december.next
Month(year=2027, month=1)
>>> december.first_key
UUID('01a22ee6-b000-0000-0000-000000000000')
>>> key_time(december.first_key)
datetime.datetime(2026, 12, 1, 0, 0, tzinfo=datetime.timezone.utc)
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

#: Bits of a UUID of version 7 after the milliseconds (RFC 9562, section 5.7).
_BITS_AFTER = 80


class Month(NamedTuple):
    """A calendar month, in UTC."""

    year: int
    month: int

    @classmethod
    def of(cls, moment: datetime) -> "Month":
        """Return the month of an aware time."""
        in_utc = moment.astimezone(UTC)
        return cls(in_utc.year, in_utc.month)

    @property
    def start(self) -> datetime:
        """The first moment of the month."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def next(self) -> "Month":
        """The month after this one."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def first_key(self) -> UUID:
        """The lower bound of the keys of this month, above all keys of earlier months.

        PostgreSQL sorts UUIDs by their bytes.
        """
        return UUID(int=int(self.start.timestamp() * 1000) << _BITS_AFTER)

    def following(self, number: int) -> list["Month"]:
        """Return this month and ``number`` months after it."""
        months = [self]
        for _ in range(number):
            months.append(months[-1].next)
        return months


def months_between(first: Month, last: Month) -> Iterator[Month]:
    """Yield the months from ``first`` to ``last``, both included."""
    month = first
    while month <= last:
        yield month
        month = month.next


def key_time(key: UUID) -> datetime | None:
    """Return the time in a key; ``None`` if it is beyond the calendar."""
    try:
        return datetime.fromtimestamp((key.int >> _BITS_AFTER) / 1000, tz=UTC)
    except (
        OverflowError,
        ValueError,
        OSError,
    ):  # a key of another UUID version, after the year 9999
        return None

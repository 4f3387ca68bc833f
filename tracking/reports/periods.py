"""The days of a report, as users ask for them.

    period = Period.from_query({"period": "30"})
    period.first, period.last, period.before().first

A day is one of the site's time zone (``TIME_ZONE``).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Self

import msgspec
from django.utils.translation import gettext as _

from tracking.rollups.days import (
    DAY,
    EARLIEST,
    Intervals,
    day_of,
    hours_of,
    span,
    start_of,
    zone_name,
)
from tracking.rollups.months import later_month, month_of

#: The named periods: this many days, up to today.
NAMED = {"today": 1, "7": 7, "30": 30, "90": 90}
CUSTOM = "custom"
DEFAULT = "30"

#: The longest period, in days: ten years.
LONGEST = 3_660

#: Periods of at most this many days have a bucket for each day, or for each week.
BY_DAY, BY_WEEK = 90, 366


class BadQuery(ValueError):
    """An invalid query. The message is translated and meant for the user."""


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a period: one point of a chart. Reports have hundreds of them.

    Attributes:
        start: when it begins (aware, UTC).
        end: when it ends (aware, UTC).
        first: its first day.
        last: its last day.
        is_unfinished: whether it has not ended yet.
        is_future: whether it has not begun yet.
    """

    start: datetime
    end: datetime
    first: date
    last: date
    is_unfinished: bool = False
    is_future: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "is_unfinished": self.is_unfinished,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Period:
    """Consecutive days.

    Attributes:
        name: ``"today"``, ``"7"``, ``"30"``, ``"90"`` or ``"custom"``.
        first: the first day.
        last: the last day, included.
        now: the time of the query (aware).
        by_month: whether it consists of whole months, because the days of some are no longer
            counted one by one: :func:`as_stored`. The last month may be the current one.
    """

    name: str
    first: date
    last: date
    now: datetime
    by_month: bool = False

    @classmethod
    def from_query(cls, params: Mapping[str, Any], now: datetime | None = None) -> Self:
        """Return the period of a query string.

        Args:
            params: ``period`` is one of the names, by default ``"30"``. ``"custom"`` also
                needs ``first`` and ``last``, days such as ``2026-03-29``.
            now: the current time (aware).

        Raises:
            BadQuery: if there is no such period.
        """
        now = now or datetime.now(UTC)
        name = str(params.get("period") or DEFAULT).strip()
        if name in NAMED:
            today = day_of(now)
            return cls(name=name, first=today - DAY * (NAMED[name] - 1), last=today, now=now)
        if name != CUSTOM:
            raise BadQuery(_("Unknown period “%s”.") % _short(name))
        return cls.custom(_day(params.get("first")), _day(params.get("last")), now)

    @classmethod
    def custom(cls, first: date, last: date, now: datetime | None = None) -> Self:
        """Return the days from ``first`` to ``last``, both included.

        Raises:
            BadQuery: if they are in the wrong order, too many, in the future or too long ago.
        """
        now = now or datetime.now(UTC)
        if first > last:
            raise BadQuery(_("The first day is after the last."))
        if last > day_of(now):
            raise BadQuery(_("The last day is in the future."))
        if first < EARLIEST:
            raise BadQuery(_("The first day is too long ago."))
        if (last - first).days >= LONGEST:
            raise BadQuery(_("Choose ten years at most."))
        return cls(name=CUSTOM, first=first, last=last, now=now)

    @property
    def days(self) -> int:
        """The number of days."""
        return (self.last - self.first).days + 1

    @property
    def zone(self) -> str:
        """The name of the time zone of the days."""
        return zone_name()

    @property
    def start(self) -> datetime:
        """When the first day begins (aware, UTC)."""
        return start_of(self.first)

    @property
    def end(self) -> datetime:
        """When the last day ends (aware, UTC)."""
        return start_of(self.last + DAY)

    @property
    def is_unfinished(self) -> bool:
        """Whether its last day has not ended: then the previous period had more time."""
        return self.end > self.now

    @property
    def unit(self) -> str:
        """The unit of buckets: ``"hour"``, ``"day"``, ``"week"`` (seven days) or ``"month"``."""
        if self.by_month:
            return "month"
        if self.days == 1:
            return "hour"
        if self.days <= BY_DAY:
            return "day"
        return "week" if self.days <= BY_WEEK else "month"

    def before(self) -> Self:
        """Return the previous period of as many days, or of as many months."""
        if self.by_month:
            number = 12 * (self.last.year - self.first.year) + self.last.month - self.first.month
            first = later_month(self.first, -(number + 1))
            return replace(self, name=CUSTOM, first=first, last=self.first - DAY)
        length = DAY * self.days
        return type(self)(
            name=CUSTOM, first=self.first - length, last=self.last - length, now=self.now
        )

    def intervals(self) -> Intervals:
        """Return its days as intervals."""
        return Intervals.of_days(self.first, self.last)

    def hours(self) -> Intervals:
        """Return the hours of its first day, 23 to 25."""
        return hours_of(self.first)

    def buckets(self) -> tuple[Bucket, ...]:
        """Return its parts, as ``unit`` says.

        Weeks begin with the first day of the period, so that no point of a chart is low
        only because it is cut; the last one may be, and months are those of the calendar.
        """
        if self.unit == "hour":
            hours = self.hours()
            ends = [*hours.starts[1:], hours.end]
            return tuple(
                self._bucket(start, end, self.first, self.last)
                for start, end in zip(hours.starts, ends, strict=True)
            )
        return tuple(
            self._bucket(start_of(first), start_of(last + DAY), first, last)
            for first, last in self._consecutive_runs()
        )

    def _consecutive_runs(self) -> list[tuple[date, date]]:
        days = span(self.first, self.last)
        if self.unit == "month":
            firsts = [day for day in days if day == self.first or day.day == 1]
        else:
            firsts = days[:: 1 if self.unit == "day" else 7]
        lasts = [*(day - DAY for day in firsts[1:]), self.last]
        return list(zip(firsts, lasts, strict=True))

    def _bucket(self, start: datetime, end: datetime, first: date, last: date) -> Bucket:
        return Bucket(
            start=start,
            end=end,
            first=first,
            last=last,
            is_unfinished=end > self.now,
            is_future=start > self.now,
        )

    def as_query(self) -> dict[str, str]:
        """Return the parameters of a query string for this period."""
        if self.name != CUSTOM:
            return {"period": self.name}
        return {
            "period": CUSTOM,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
        }

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "name": self.name,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "days": self.days,
            "unit": self.unit,
            "by_month": self.by_month,
            "time_zone": self.zone,
            "is_unfinished": self.is_unfinished,
        }


def as_stored(period: Period, single: date) -> tuple[Period, Period | None]:
    """Return a period as it can be shown from stored counts, and the previous one.

    If the days of some of its months are no longer counted one by one, it consists of whole
    months, up to today and ten years at most. The previous one is ``None`` if that is the case of
    its days only.

    Args:
        period: the period that a user asks for.
        single: the first day that is counted one by one: :mod:`tracking.rollups.months`.
    """
    if period.first < single:
        last = min(later_month(month_of(period.last)) - DAY, day_of(period.now))
        first = month_of(period.first)
        if (last - first).days >= LONGEST:
            first = later_month(first)
        period = replace(period, name=CUSTOM, first=first, last=last, by_month=True)
    before = period.before()
    is_cut = not period.by_month and before.first < single and single > EARLIEST
    return period, None if is_cut else before


def notes(period: Period, before: Period | None) -> Iterator[str]:
    """Yield sentences about what a report cannot show because of how counts are stored.

    Args:
        period: a result of :func:`as_stored`.
        before: the previous period.
    """
    if period.by_month:
        yield _("Old days are no longer counted one by one, so whole months are shown.")
    if before is None:
        yield _("The previous period is not shown: its days are no longer counted one by one.")


def _day(text: Any) -> date:
    try:
        # ``strptime`` would accept digits of all scripts.
        return date.fromisoformat(str(text or "").strip())
    except ValueError:
        if not text:
            raise BadQuery(_("Give the first and the last day.")) from None
        raise BadQuery(
            _("“%s” is not a day. Write it like 2026-03-29.") % _short(str(text))
        ) from None


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "…"  # noqa: PLR2004

"""Months that are stored as one: their days are no longer counted one by one.

Each count of such a month has the first day of the month as its ``day``. So whatever adds up the
counts of whole months needs to know nothing of this. :mod:`.folding` makes them.
"""

from collections.abc import Sequence
from datetime import date

from django.utils import timezone

from tracking.models import SharedValue
from tracking.rollups.days import DAY, EARLIEST, span

#: The name of the row of :class:`tracking.models.SharedValue` with the first day after them.
MONTHS = "months"


def first_single_day(using: str) -> date:
    """Return the first day that is counted one by one: the first of a month.

    All months before it are stored as one.

    Args:
        using: the database alias.
    """
    rows = SharedValue.objects.using(using).filter(name=MONTHS)
    value = rows.values_list("value", flat=True).first()
    return date.fromisoformat(value) if value else EARLIEST


def note_first_single_day(day: date, using: str) -> None:
    """Note that all months before a day are stored as one from now on.

    Args:
        day: the first of a month.
        using: the database alias.
    """
    values = {"value": day.isoformat(), "changed_at": timezone.now()}
    SharedValue.objects.using(using).update_or_create(name=MONTHS, defaults=values)


def month_of(day: date) -> date:
    """Return the first day of the month of a day."""
    return day.replace(day=1)


def later_month(month: date, number: int = 1) -> date:
    """Return the first day of the month that many months later; a negative number is earlier.

    Args:
        month: the first day of a month.
        number: how many months.
    """
    years, index = divmod(month.month - 1 + number, 12)
    return date(month.year + years, index + 1, 1)


def stored_day(day: date, single: date) -> date:
    """Return the ``day`` that the counts of a day have.

    Args:
        day: the day.
        single: the result of :func:`first_single_day`.
    """
    return month_of(day) if day < single else day


def in_whole_months(days: Sequence[date], single: date) -> Sequence[date]:
    """Return consecutive days, with all days of the months that are stored as one.

    Args:
        days: consecutive days.
        single: the result of :func:`first_single_day`.
    """
    if days[0] >= single:
        return days
    return span(month_of(days[0]), max(days[-1], min(single, _month_after(days[-1])) - DAY))


def _month_after(day: date) -> date:
    return later_month(month_of(day))

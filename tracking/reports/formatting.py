"""Numbers and dates as text: percent, counts, durations, changes, days and times.

They are written in the active language. ``None`` is an unknown number, which is no zero: it is
written as a dash.
"""

from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from django.utils.formats import date_format, number_format
from django.utils.timezone import get_default_timezone
from django.utils.translation import gettext, ngettext

from tracking.conf import conf

#: Stands for a number that is not known.
UNKNOWN = "\N{EN DASH}"

_HOUR, _MINUTE = 3600, 60


def count(value: float | None) -> str:
    """Return a whole number with its thousands separated: ``1,234``."""
    return UNKNOWN if value is None else number_format(round(value), 0, force_grouping=True)


def opens(number: int) -> str:
    """Return a number of opens: ``3 opens``."""
    return ngettext("%s open", "%s opens", number) % count(number)


def clicks(number: int) -> str:
    """Return a number of clicks: ``1 click``."""
    return ngettext("%s click", "%s clicks", number) % count(number)


def rate(value: float | None) -> str:
    """Return a share as percent with one decimal: ``12.3%``.

    Args:
        value: the share, 0 to 1.
    """
    return UNKNOWN if value is None else percent(decimal(value * 100, 1))


def rates(low: float | None, high: float | None) -> str:
    """Return a range of shares: ``12.3% to 45.6%``.

    Args:
        low: the lower share, 0 to 1.
        high: the higher share.
    """
    return UNKNOWN if low is None or high is None else _between(rate(low), rate(high))


def counts(low: int, high: int) -> str:
    """Return a range of whole numbers: ``1,234 to 2,345``."""
    return _between(count(low), count(high))


def _between(low: str, high: str) -> str:
    return gettext("%(low)s to %(high)s") % {"low": low, "high": high}


def decimal(value: float, places: int) -> str:
    """Return a number rounded to ``places`` decimals, half up: ``66.7`` for 66.67.

    (Django's ``number_format`` cuts: ``66.6``.)
    """
    # By the shortest text of the number: 0.35 is a little more or less as a float.
    rounded = Decimal(str(value)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    return number_format(rounded, places, force_grouping=True)


def money(value: Decimal | None) -> str:
    """Return an amount with two decimals, and ``TRACKING_CURRENCY``: ``1,249.50 €``.

    Args:
        value: the amount.
    """
    if value is None:
        return UNKNOWN
    number = number_format(value, 2, force_grouping=True)
    return f"{number}\N{NO-BREAK SPACE}{conf.currency}" if conf.currency else number


def events(number: int) -> str:
    """Return a number of events: ``3 events``."""
    return ngettext("%s event", "%s events", number) % count(number)


def percent(number: str) -> str:
    """Return a number with the percent sign.

    Args:
        number: in the notation of the active language.
    """
    # Translators: a number of percents; some languages put a space before the sign.
    return gettext("%(number)s%%") % {"number": number}


def duration(value: timedelta | float | None) -> str:
    """Return a length of time with its two largest units: ``4 min 12 s``.

    Args:
        value: the length, or its seconds.
    """
    if value is None:
        return UNKNOWN
    seconds = round(value.total_seconds() if isinstance(value, timedelta) else value)
    minutes, seconds = divmod(max(seconds, 0), _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    parts = [
        gettext("%s h") % count(hours) if hours else "",
        gettext("%d min") % minutes if minutes else "",
        gettext("%d s") % seconds if not hours and (seconds or not minutes) else "",
    ]
    return " ".join(part for part in parts if part)


class Change(NamedTuple):
    """By how much a figure differs from that of the previous period.

    Attributes:
        text: with its sign: ``+12%``.
        word: the same in a word, for screen readers.
        direction: ``up``, ``down`` or ``same``.
    """

    text: str
    word: str
    direction: str


def change(value: float | None, before: float | None) -> Change | None:
    """Return how a figure has changed, or ``None`` if there is nothing to compare it with."""
    if value is None or not before:
        return None
    percents = round((value - before) / before * 100)
    text = percent(number_format(abs(percents), 0, force_grouping=True))
    if percents > 0:
        return Change(f"+{text}", gettext("up"), "up")
    if percents < 0:
        return Change(f"\N{MINUS SIGN}{text}", gettext("down"), "down")
    return Change(text, gettext("unchanged"), "same")


def figure(value: float | None, unit: str) -> str:
    """Return a figure of a report.

    Args:
        value: the figure.
        unit: ``"count"``, ``"rate"`` or ``"seconds"``.
    """
    return {"count": count, "rate": rate, "seconds": duration}[unit](value)


def day(value: date) -> str:
    """Return a day: ``March 29, 2026``."""
    return date_format(value, "DATE_FORMAT")


def days(first: date, last: date) -> str:
    """Return a span of days, or a single one."""
    if first == last:
        return day(first)
    return gettext("%(first)s to %(last)s") % {"first": day(first), "last": day(last)}


def time(value: datetime) -> str:
    """Return a time in the time zone of the site, with the name of the zone."""
    local = value.astimezone(get_default_timezone()) if value.tzinfo else value
    return f"{date_format(local, 'DATETIME_FORMAT')} {local:%Z}".rstrip()

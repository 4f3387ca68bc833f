"""When a ban ends, as people and programs write it."""

import re
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from tracking.models.bans import STORABLE_YEARS

#: A date, perhaps with a time, within other text.
DATE = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?: ?(?:Z|[+-]\d\d:?\d\d))?)?"
    r"|\d{1,2}\.\d{1,2}\.\d{4}(?:,? \d{1,2}:\d\d(?::\d\d)?)?",
    re.ASCII,
)

_GERMAN = re.compile(
    r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:(?:,|,? (?:um )?) ?(\d{1,2}):(\d\d)(?::(\d\d))?(?: Uhr)?)?",
    re.ASCII,
)

# Go's notation, as CrowdSec writes it (https://pkg.go.dev/time#ParseDuration), and days and weeks.
_UNITS: dict[str, float] = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_UNITS |= {"ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|μs|ns|[wdhms])", re.ASCII)
_DURATION = re.compile(rf"-?(?:{_PART.pattern})+", re.ASCII)

_NEVER = {"never", "nie"}


def parse_expiry(text: str) -> datetime | None:
    """Return the time in an ISO 8601 string or a German date; ``None`` for ``""``.

    Args:
        text: a date, or a date and time; without a UTC offset, in the site's time zone.

    Returns:
        The time, aware if ``USE_TZ`` is on.

    Raises:
        ValueError: the string is not a time, or the year cannot be stored.
    """
    if not text:
        return None
    if german := _GERMAN.fullmatch(text):
        day, month, year, hour, minute, second = (int(part or 0) for part in german.groups())
        found: datetime | None = datetime(year, month, day, hour, minute, second)
    else:
        found = parse_datetime(text)
    if found is None or found.year not in STORABLE_YEARS:
        raise ValueError(text)
    if settings.USE_TZ:
        return timezone.make_aware(found) if timezone.is_naive(found) else found
    return timezone.make_naive(found) if timezone.is_aware(found) else found


def parse_expiry_cell(text: str) -> datetime | None:
    """Return when a ban of a list ends.

    Args:
        text: a time; a duration such as ``3h59m``, from now on; ``""`` or ``never``.

    Raises:
        ValueError: it is none of these; the message is translated.
    """
    text = text.strip()
    try:
        if text.lower() in _NEVER:
            return None
        if _DURATION.fullmatch(text):
            seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
            return after(-seconds if text.startswith("-") else seconds)
        return parse_expiry(text)
    except (ValueError, OverflowError) as error:
        message = _("The expiry is not a date or time such as 2026-12-31T18:00:00+01:00.")
        raise ValueError(message) from error


def after(seconds: float) -> datetime:
    """Return the time so many seconds from now.

    Raises:
        ValueError: the year cannot be stored.
        OverflowError: it is further away than Python can tell.
    """
    found = timezone.now() + timedelta(seconds=seconds)
    if found.year not in STORABLE_YEARS:
        raise ValueError(seconds)
    return found


def has_future_date(text: str) -> bool:
    """Return whether a text contains a date or time in the future, which may be an expiry."""
    for date in DATE.findall(text):
        try:
            found = parse_expiry(date)
        except (ValueError, OverflowError):
            continue
        if found is not None and found > timezone.now():
            return True
    return False

"""Make values from requests fit for the columns of any database."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.timezone import get_default_timezone

from tracking.db.chunks import KEYS_PER_QUERY, in_batches

#: Characters read and stored of a text that a client sent: agent, referrer, path. Browsers send
#: less; anything longer is an attempt to fill the disk.
MAX_TEXT = 512


def storable_text(value: str, limit: int = MAX_TEXT) -> str:
    """Return ``value`` cut to length, without characters that a database refuses.

    Args:
        value: a text that a client sent.
        limit: characters to keep.
    """
    value = value[:limit]
    if not value.isascii():  # a lone surrogate cannot be encoded
        value = value.encode(errors="replace").decode()
    return replace_nul(value)


def replace_nul(value: str) -> str:
    """Return ``value`` with NUL characters replaced; PostgreSQL refuses them in any text."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}")


def storable_time(time: datetime) -> datetime:
    """Return a time as this site stores it: aware, or with ``USE_TZ = False`` naive.

    A naive time, made by code of the site, is taken to be in the site's time zone.
    """
    if (time.tzinfo is not None) == settings.USE_TZ:
        return time
    # In the site's zone, whatever zone is active for the current reader.
    change = timezone.make_aware if settings.USE_TZ else timezone.make_naive
    return change(time, get_default_timezone())


#: How far the clock of another machine may be ahead.
CLOCK_SKEW = timedelta(minutes=1)


def latest_storable_time() -> datetime:
    """Return the latest time that is believed: now, and what clocks may differ by."""
    return timezone.now() + CLOCK_SKEW  # naive with USE_TZ = False, like the columns


def existing_keys(rows: QuerySet, keys: Sequence[UUID]) -> set[UUID]:  # type: ignore[type-arg]
    """Return those of the keys that exist in the table.

    Args:
        rows: all rows of the table.
        keys: primary keys to look for.
    """
    found: set[UUID] = set()
    for some in in_batches(keys, KEYS_PER_QUERY):
        found.update(rows.filter(pk__in=some).values_list("pk", flat=True))
    return found

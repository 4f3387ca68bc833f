"""What strangers send, made fit for the columns of any database."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.timezone import get_default_timezone

#: Characters kept of what strangers send. Browsers stay far below; what is longer is
#: an attempt to fill the disk.
MAX_TEXT = 2_000


def text(value: str, limit: int = MAX_TEXT) -> str:
    """Return ``value`` cut, and without what a database refuses.

    Args:
        value: what was sent.
        limit: how many characters are kept.
    """
    value = value[:limit]
    if not value.isascii():  # half a surrogate pair is no text
        value = value.encode(errors="replace").decode()
    return without_nul(value)


def without_nul(value: str) -> str:
    """Return ``value`` with NUL characters replaced, which PostgreSQL refuses in any text."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}")


def moment(time: datetime) -> datetime:
    """Return a time as this site keeps it: aware, or with ``USE_TZ = False`` naive.

    One that code of the site has made without a zone is in the zone of the site.
    """
    if (time.tzinfo is not None) == settings.USE_TZ:
        return time
    # In the zone of the site, whatever zone is activated for a reader.
    change = timezone.make_aware if settings.USE_TZ else timezone.make_naive
    return change(time, get_default_timezone())


def known_keys(rows: QuerySet, keys: Sequence[UUID]) -> set[UUID]:  # type: ignore[type-arg]
    """Return which of the keys are rows, asking for as many at once as any database takes.

    Args:
        rows: all rows of the table.
        keys: what is looked for.
    """
    known: set[UUID] = set()
    for start in range(0, len(keys), 500):
        found = rows.filter(pk__in=keys[start : start + 500])
        known.update(found.values_list("pk", flat=True))
    return known

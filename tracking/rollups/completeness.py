"""Since when rows are complete: what is older may have been deleted.

A day of which rows are gone is never counted again.
"""

from datetime import UTC, datetime

from django.utils import timezone
from django.utils.timezone import get_default_timezone

from tracking.models import SharedValue

#: How the rows of :class:`tracking.models.SharedValue` begin that say so.
_PREFIX = "gone "


def note(table: str, until: datetime, using: str) -> None:
    """Note that rows leave, before they do.

    Args:
        table: ``"visit"``, ``"pageview"`` or ``"beacon"``.
        until: they are as old as this, or older.
        using: the alias of the database.
    """
    rows = SharedValue.objects.using(using)
    text = _text(until)
    name, now = _PREFIX + table, timezone.now()
    if not rows.filter(name=name, value__lt=text).update(value=text, changed_at=now):
        rows.get_or_create(name=name, defaults={"value": text, "changed_at": now})


def until(using: str) -> dict[str, datetime]:
    """Return up to when rows may be gone (aware), by table; those that are complete are left out.

    Args:
        using: the alias of the database.
    """
    rows = SharedValue.objects.using(using).filter(name__startswith=_PREFIX)
    return {
        name.removeprefix(_PREFIX): datetime.fromisoformat(value)
        for name, value in rows.values_list("name", "value")
    }


def _text(time: datetime) -> str:
    if time.tzinfo is None:
        time = time.replace(tzinfo=get_default_timezone())
    # Of one length, so that they are in the order of time.
    return time.astimezone(UTC).isoformat(timespec="microseconds")

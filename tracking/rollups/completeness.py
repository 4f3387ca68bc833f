"""Up to when rows may have been deleted. Such days are never counted again."""

from datetime import UTC, datetime

from django.utils import timezone
from django.utils.timezone import get_default_timezone

from tracking.models import SharedValue

#: The prefix of the names of these rows of :class:`tracking.models.SharedValue`.
_PREFIX = "gone "


def note_deletion(table: str, until: datetime, using: str) -> None:
    """Note that rows are going to be deleted.

    Args:
        table: ``"visit"``, ``"pageview"`` or ``"beacon"``.
        until: the time of the latest of them (aware or naive, as columns have it).
        using: the database alias.
    """
    rows = SharedValue.objects.using(using)
    text = _text(until)
    name, now = _PREFIX + table, timezone.now()
    if not rows.filter(name=name, value__lt=text).update(value=text, changed_at=now):
        rows.get_or_create(name=name, defaults={"value": text, "changed_at": now})


def deleted_until(using: str) -> dict[str, datetime]:
    """Return by table up to when rows may have been deleted (aware). Complete tables are left out.

    Args:
        using: the database alias.
    """
    rows = SharedValue.objects.using(using).filter(name__startswith=_PREFIX)
    return {
        name.removeprefix(_PREFIX): datetime.fromisoformat(value)
        for name, value in rows.values_list("name", "value")
    }


def _text(time: datetime) -> str:
    if time.tzinfo is None:
        time = time.replace(tzinfo=get_default_timezone())
    # All texts have the same length, so they sort by time.
    return time.astimezone(UTC).isoformat(timespec="microseconds")

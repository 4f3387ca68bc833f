"""One process at a time changes stored counts."""

from django.utils import timezone

from tracking.models import SharedValue

#: The name of the row of :class:`tracking.models.SharedValue` that is locked while counts are
#: replaced. Its value is the version of the definitions by which they were made.
ROLLUP = "rollup"


def lock_counts(using: str) -> None:
    """Lock all counts until the end of the transaction. SQLite needs it as first statement.

    Args:
        using: the database alias.
    """
    rows, now = SharedValue.objects.using(using), timezone.now()
    if not rows.filter(name=ROLLUP).update(changed_at=now):
        rows.get_or_create(name=ROLLUP, defaults={"changed_at": now})

"""Write counts that are kept for the next report. Without them, reports are slow and right."""

from collections.abc import Callable, Sequence
from typing import Any

from django.db import DatabaseError, router, transaction

from tracking.conf import conf
from tracking.log_limits import get_logger
from tracking.models import FilteredCount

logger = get_logger(__name__)

#: The most bytes of a row that are kept. Strangers choose values and their length.
MAX_BYTES = 256 * 1024

#: Kept counts that one statement deletes.
_BATCH = 500


def change(work: Callable[[Any], object]) -> bool:
    """Change kept counts in a transaction.

    Args:
        work: called with the queryset of all of them.

    Returns:
        Whether it worked.
    """
    using = router.db_for_write(FilteredCount)
    try:
        with transaction.atomic(using=using):
            work(FilteredCount.objects.using(using))
    except DatabaseError as error:
        logger.warning("Counts of reports could not be kept: %s", error)
        return False
    return True


def replace(kept: Any, rows: Sequence[FilteredCount]) -> None:
    """Replace kept counts of the same days. Another process may count them at the same time.

    Args:
        kept: the queryset of all kept counts.
        rows: the new ones, all of the same filters.
    """
    days = [row.day for row in rows]
    kept.filter(filter_key=rows[0].filter_key, day__in=days).delete()
    kept.bulk_create(rows, ignore_conflicts=True)


def evict(kept: Any) -> None:
    """Delete the kept counts that were not used for the longest time, if there are too many.

    Args:
        kept: the queryset of all kept counts.
    """
    while (excess := kept.count() - conf.filtered_days) > 0:
        oldest = kept.order_by("used_at", "pk").values_list("pk", flat=True)
        kept.filter(pk__in=list(oldest[: min(excess, _BATCH)])).delete()

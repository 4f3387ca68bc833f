"""Give a recurring task to one process of the site at a time.

if is_turn_due() and claim_turn():
    ...                                # no other process does this within a minute
"""

from datetime import timedelta
from time import monotonic

from django.db import router
from django.db.models import Q
from django.utils import timezone

from tracking.models import SharedValue

#: Seconds between two turns, over all processes of the site.
INTERVAL = 60.0

#: When this process last claimed a turn, by task, on the monotonic clock.
_claimed_at: dict[str, float] = {}


def is_turn_due(task: str = "cleanup", every: float = INTERVAL) -> bool:
    """Return whether this process may claim a turn again. Needs no query.

    Args:
        task: the name of the task.
        every: seconds between two turns.
    """
    claimed_at = _claimed_at.get(task)
    return claimed_at is None or monotonic() - claimed_at >= every


def reset_turn(task: str = "cleanup") -> None:
    """Let this process claim a turn at once, as if it had just started.

    Args:
        task: the name of the task.
    """
    _claimed_at.pop(task, None)


def claim_turn(task: str = "cleanup", every: float = INTERVAL) -> bool:
    """Return whether this process gets the turn; of all that claim it, only one does.

    Queries the database at most once in ``every`` seconds.

    Args:
        task: the name of the task.
        every: seconds between two turns.

    Raises:
        django.db.DatabaseError: the database is down; it is queried again after ``every``
            seconds.
    """
    if not is_turn_due(task, every):
        return False
    # Two threads may get here at once; only one of their updates finds the row.
    _claimed_at[task] = monotonic()
    rows = SharedValue.objects.using(router.db_for_write(SharedValue))
    now, interval = timezone.now(), timedelta(seconds=every)
    # A turn in the future was claimed while the clock was wrong; it must not last until then.
    is_free = Q(changed_at__lte=now - interval) | Q(changed_at__gt=now + interval)
    if rows.filter(is_free, name=task).update(changed_at=now):
        return True
    _, created = rows.get_or_create(name=task, defaults={"changed_at": now})
    return created

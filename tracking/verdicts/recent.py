"""Compare the clicks of the last minutes, once every few seconds, in one process of the site.

The first click of a burst looks like that of a person. So clicks are compared again while others
arrive, in the background: by the writer thread, the writer process, a thread of
:mod:`.background`, and the commands that maintain the counts.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import monotonic

from django.db import router
from django.utils import timezone
from django.utils.timezone import get_default_timezone

from tracking.conf import conf
from tracking.db.column_values import storable_time
from tracking.db.isolation import log_errors
from tracking.hits import Kind
from tracking.log_limits import get_logger
from tracking.models import Beacon, SharedValue
from tracking.recording.recent_clicks import recent_clicks
from tracking.retention.turns import claim_turn, is_turn_due
from tracking.verdicts.comparison import compare
from tracking.verdicts.corrections import correct
from tracking.verdicts.messages import BeaconRow, read

logger = get_logger(__name__)

#: The name of the turn, and of the row of :class:`tracking.models.SharedValue` that says up to
#: when clicks were compared.
TASK = "verdicts"

#: Seconds between two comparisons, over all processes.
EVERY = 15.0

#: Seconds that one comparison takes at most in a process that has other work to do.
SECONDS = 1.0

#: Clicks that are read at once.
_CHUNK = 2_000

#: Clicks so long before the last one are compared again: some may have been committed later.
_OVERLAP = timedelta(seconds=60)

#: Older clicks are left to ``tracking_reclassify``.
_OLDEST = timedelta(days=1)


def correct_if_due() -> None:
    """Compare recent clicks if this process has written some, and it is its turn.

    Without new clicks it makes no query. Errors are logged.
    """
    if recent_clicks.since is None or not is_turn_due(TASK, EVERY):
        return
    with log_errors(logger, "Comparing recent clicks"):
        if not conf.verdict_window:
            recent_clicks.take()
        elif claim_turn(TASK, EVERY):
            correct_recent(seconds=SECONDS)


def correct_recent(*, seconds: float | None = None) -> int:
    """Compare the clicks that are not compared yet, and correct verdicts.

    Args:
        seconds: how long at most; the rest is left to the next turn. By default all are compared.

    Returns:
        How many verdicts were corrected.

    Raises:
        django.db.DatabaseError: the database failed.
    """
    if not conf.verdict_window:
        return 0
    window = timedelta(seconds=conf.verdict_window)
    using = router.db_for_write(Beacon)
    own = recent_clicks.take()
    since = _first_time(own, using)
    ends_at = None if seconds is None else monotonic() + seconds
    corrected = 0
    try:
        for clicks in _chunks(since, using):
            corrected += len(correct(compare(clicks, using, window)))
            since = clicks[-1].time
            if len(clicks) == _CHUNK and ends_at is not None and monotonic() > ends_at:
                own = _aware(since)
                break
        else:
            own = None
            since -= _OVERLAP
    finally:
        if own is not None:  # stopped, or failed
            recent_clicks.add(own)
    _note(since, using)
    return corrected


def _first_time(own: datetime | None, using: str) -> datetime:
    """Return from when on clicks are compared, as the column has it."""
    now = datetime.now(UTC)
    texts = SharedValue.objects.using(using).filter(name=TASK).exclude(value="")
    text = texts.values_list("value", flat=True).first()
    noted = datetime.fromisoformat(text) if text else now - timedelta(seconds=conf.verdict_window)
    times = [noted, now] if own is None else [noted, now, _aware(own)]
    return storable_time(max(min(times), now - _OLDEST))


def _chunks(since: datetime, using: str) -> Iterator[list[BeaconRow]]:
    """Yield clicks in the order of their times, without those that a wrong clock has dated."""
    latest = storable_time(datetime.now(UTC) + _OVERLAP)
    while True:
        clicks = Beacon.objects.using(using).filter(
            kind=Kind.CLICK, time__gte=since, time__lte=latest
        )
        found = read(clicks.order_by("time"), _CHUNK)
        if found:
            yield found
        if len(found) < _CHUNK:
            return
        last = found[-1].time
        since = last if last > since else last + timedelta(microseconds=1)


def _note(since: datetime, using: str) -> None:
    """Note up to when clicks were compared."""
    text = min(_aware(since), datetime.now(UTC)).isoformat(timespec="microseconds")
    rows, now = SharedValue.objects.using(using), timezone.now()
    if not rows.filter(name=TASK).update(value=text):
        rows.get_or_create(name=TASK, defaults={"value": text, "changed_at": now})


def _aware(time: datetime) -> datetime:
    """Return a time in UTC. With ``USE_TZ = False`` columns have naive times."""
    if time.tzinfo is None:
        time = time.replace(tzinfo=get_default_timezone())
    return time.astimezone(UTC)

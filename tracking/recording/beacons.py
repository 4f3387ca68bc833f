"""Hits become beacons."""

from collections.abc import Sequence
from functools import partial
from time import monotonic
from typing import overload
from uuid import UUID

from django.db import connections, router, transaction
from django.utils import timezone

from tracking.db.inserts import insert
from tracking.db.isolation import log_errors_with_savepoints
from tracking.db.parameters import LEAVE_TO_DJANGO, converters_for
from tracking.hits import Hit
from tracking.journey.credit import give_credit
from tracking.log_limits import get_logger
from tracking.models import Beacon, UnmatchedEvent
from tracking.recipient_consent.decisions import without_refused
from tracking.recording import provider_events, written_batches
from tracking.recording.beacon_rows import BeaconRows
from tracking.recording.deduplication import save_missing
from tracking.recording.recent_clicks import recent_clicks
from tracking.rollups import late_days
from tracking.signals import announce, beacon_recorded, beacons_recorded
from tracking.webhooks import outbox

logger = get_logger(__name__)


def save_beacons(hits: Sequence[Hit], batch_key: UUID | None = None) -> Sequence[Beacon]:
    """Save a batch of hits, each hit once, and send the signals.

    Args:
        hits: the hits.
        batch_key: marks the batch as written, together with the rows.

    Returns:
        The beacons that are new rows. Each is created on first access.

    Raises:
        django.db.DatabaseError: the database failed; nothing was saved.
    """
    if not hits:
        return []
    using = router.db_for_write(Beacon)
    each_once = give_credit(list({hit.id: hit for hit in hits}.values()), using)
    new = _save(provider_events.match(each_once, using), using, batch_key)
    _release_waiting(each_once, using)
    if any(hit.report is not None for hit in each_once) and _is_due():
        with log_errors_with_savepoints(logger, "Matching events of mail providers"):
            release_due_events()
    return new


#: When this process last looked at the events that wait, on the monotonic clock.
_last_look: float | None = None


def _is_due() -> bool:
    """Return whether to look at the events that wait, and note that it is done."""
    global _last_look  # noqa: PLW0603 - once a minute for each process is enough
    now, every = monotonic(), provider_events.FIRST_PAUSE.total_seconds()
    if _last_look is not None and now - _last_look < every:
        return False
    _last_look = now
    return True


def release_due_events(limit: int = 10_000) -> int:
    """Look again for the messages of events that wait, and save those that wait no longer.

    Args:
        limit: about how many events are looked at.

    Returns:
        How many wait no longer.

    Raises:
        django.db.DatabaseError: the database failed.
    """
    if not provider_events.is_in_use():
        return 0
    using = router.db_for_write(Beacon)
    now = timezone.now()
    done = 0
    for _ in range(0, limit, provider_events.MAX_DUE):
        rows = provider_events.claim_due(now, using)
        done += _release_due(rows, using)
        if len(rows) < provider_events.MAX_DUE:
            break
    return done


def _release_due(rows: Sequence[UnmatchedEvent], using: str) -> int:
    events = {row.pk: event for row in rows if (event := provider_events.event_of(row))}
    messages = provider_events.find_messages(events.values(), using)
    given_up = [events[row.pk] for row in rows if row.due_at is None and row.pk in events]
    campaigns = provider_events.find_campaigns(given_up, using)
    done: list[UnmatchedEvent] = []
    found: list[Hit] = []
    for row in rows:
        if (event := events.get(row.pk)) is None:
            done.append(row)
        elif (message := messages.get(row.message)) is not None:
            done.append(row)
            found += message.matched(event)
        elif row.due_at is None and (released := provider_events.with_campaign(event, campaigns)):
            done.append(row)
            found += released
    _save(found, using)
    provider_events.forget(done, using)
    return len(done)


def _release_waiting(hits: Sequence[Hit], using: str) -> None:
    """Save the events that have waited for messages among these hits.

    The hits are saved already. If this fails, :func:`release_due_events` does it later.
    """
    sent = provider_events.sent_messages(hits)
    if not sent or not provider_events.is_in_use():
        return
    with log_errors_with_savepoints(logger, "Matching events of mail providers"):
        found = []
        rows = provider_events.waiting_for(sent, using)
        for row in rows:
            event = provider_events.event_of(row)
            if event is not None and row.message is not None:
                found += provider_events.Message.of(sent[row.message]).matched(event)
        _save(found, using)
        provider_events.forget(rows, using)


def _save(hits: Sequence[Hit], using: str, batch_key: UUID | None = None) -> Sequence[Beacon]:
    """Save hits, all of them or none, and send the signals."""
    if any(hit.report is not None for hit in hits):  # their recipients are known only now
        hits = [hit for hit in without_refused(hits) if isinstance(hit, Hit)]
    if not hits:
        if batch_key is not None:  # all hits of the batch are kept for later
            written_batches.ensure_marked(batch_key)
        return []
    rows = BeaconRows(using, converters_for(connections[using]))
    rows.load_content_types(hits)
    save = partial(_insert, rows=rows, using=using, batch_key=batch_key)
    new = save_missing(hits, save, Beacon, using, batch_key)
    if not new:
        return []
    recent_clicks.note(new)
    beacons = _LazyBeacons(new, using)
    _send_signals(beacons)
    return beacons


def _insert(hits: Sequence[Hit], rows: BeaconRows, using: str, batch_key: UUID | None) -> None:
    late = late_days.days_of(hit.time for hit in hits)
    columns, values_of = rows.layout(hits)
    messages = outbox.beacon_messages(hits, BeaconRows(using, LEAVE_TO_DJANGO).columns_of, using)
    if batch_key is None and not late and not messages:
        insert(Beacon, columns, hits, values_of, using)
        return
    with transaction.atomic(using=using):
        if batch_key is not None:
            written_batches.mark_written(batch_key, using)
        insert(Beacon, columns, hits, values_of, using, savepoint=False)
        if late:
            late_days.note(late, using)
        outbox.save(messages, using)


def _send_signals(beacons: Sequence[Beacon]) -> None:
    if beacon_recorded.has_listeners(Beacon):
        for beacon in beacons:
            announce(beacon_recorded, Beacon, beacon=beacon)
    if beacons_recorded.has_listeners(Beacon):
        announce(beacons_recorded, Beacon, beacons=beacons)


class _LazyBeacons(Sequence[Beacon]):
    """The beacons of a batch, each created on first access. Most are never accessed."""

    def __init__(self, hits: Sequence[Hit], using: str) -> None:
        self._hits = hits
        self._rows = BeaconRows(using, LEAVE_TO_DJANGO)
        self._using = using
        self._created: dict[int, Beacon] = {}

    def __len__(self) -> int:
        return len(self._hits)

    @overload
    def __getitem__(self, index: int) -> Beacon: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Beacon]: ...
    def __getitem__(self, index: int | slice) -> Beacon | Sequence[Beacon]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        position = range(len(self))[index]
        if position not in self._created:
            self._created[position] = self._create(self._hits[position])
        return self._created[position]

    def __repr__(self) -> str:
        return repr(list(self))

    def _create(self, hit: Hit) -> Beacon:
        beacon = Beacon(**self._rows.columns_of(hit))
        beacon._state.adding = False
        beacon._state.db = self._using
        return beacon

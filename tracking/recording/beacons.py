"""Hits become beacons."""

from collections.abc import Sequence
from functools import partial
from typing import overload
from uuid import UUID

from django.db import connections, router, transaction

from tracking.db.inserts import insert
from tracking.db.parameters import LEAVE_TO_DJANGO, converters_for
from tracking.hits import Hit
from tracking.journey.credit import give_credit
from tracking.models import Beacon
from tracking.recording import written_batches
from tracking.recording.beacon_rows import BeaconRows
from tracking.recording.deduplication import save_missing
from tracking.rollups import late_days
from tracking.signals import announce, beacon_recorded, beacons_recorded


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
    if not each_once:
        return []
    rows = BeaconRows(using, converters_for(connections[using]))
    rows.load_content_types(each_once)
    save = partial(_insert, rows=rows, using=using, batch_key=batch_key)
    new = save_missing(each_once, save, Beacon, using, batch_key)
    if not new:
        return []
    beacons = _LazyBeacons(new, using)
    _send_signals(beacons)
    return beacons


def _insert(hits: Sequence[Hit], rows: BeaconRows, using: str, batch_key: UUID | None) -> None:
    late = late_days.days_of(hit.time for hit in hits)
    columns, values_of = rows.layout(hits)
    if batch_key is None and not late:
        insert(Beacon, columns, hits, values_of, using)
        return
    with transaction.atomic(using=using):
        if batch_key is not None:
            written_batches.mark_written(batch_key, using)
        insert(Beacon, columns, hits, values_of, using, savepoint=False)
        if late:
            late_days.note(late, using)


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
        columns, values_of = self._rows.layout([hit])
        beacon = Beacon(**dict(zip(columns, values_of(hit), strict=True)))
        beacon._state.adding = False
        beacon._state.db = self._using
        return beacon

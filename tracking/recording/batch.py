"""Write a batch of hits."""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

import msgspec
from django.utils import timezone

from tracking.db.column_values import latest_storable_time, storable_time
from tracking.hits import AnyHit, Hit, PageHit
from tracking.journey.page_goals import events_of_pages
from tracking.models import Beacon
from tracking.recipient_consent.decisions import without_refused
from tracking.recording.beacons import save_beacons
from tracking.recording.one_page_view import save_page_view
from tracking.recording.visits import save_page_views
from tracking.recording.written_batches import ensure_marked


def write(hits: Iterable[AnyHit], batch_key: UUID | None = None) -> Sequence[Beacon]:
    """Save a batch of hits, each hit once, and send the signals.

    A hit that is already saved changes nothing, so a failed batch can safely be delivered again.
    All beacons of the batch are saved or none, and likewise its page views. Within a transaction
    of the site each of the two gets a savepoint, so that a failure does not break the transaction.
    A page hit that a wrong clock has dated in the future gets the present time: its visitor
    would be active for years. Opens and clicks of recipients who have not agreed are dropped
    (:mod:`tracking.recipient_consent`).

    Args:
        hits: the hits, in any order.
        batch_key: marks the batch as written, in the last transaction of the batch. A batch that is
            marked already changes nothing.

    Returns:
        The beacons that are new rows. Each is created on first access.

    Raises:
        django.db.DatabaseError: the database failed. Deliver the batch again.
    """
    return write_permitted(without_refused(list(hits)), batch_key)


def write_permitted(batch: Collection[AnyHit], batch_key: UUID | None = None) -> Sequence[Beacon]:
    """Save a batch of hits as :func:`write` does, all of whose recipients have agreed.

    Args:
        batch: what :func:`tracking.recipient_consent.decisions.without_refused` returned.
        batch_key: as for :func:`write`.

    Raises:
        django.db.DatabaseError: the database failed. Deliver the batch again.
    """
    page_hits = [hit for hit in batch if isinstance(hit, PageHit)]
    beacon_hits = [hit for hit in batch if isinstance(hit, Hit)] + events_of_pages(page_hits)
    new_beacons = save_beacons(beacon_hits, None if page_hits else batch_key)
    if not batch and batch_key is not None:
        ensure_marked(batch_key)  # nothing of it is to be written, and it is not to come again
    page_hits = _not_in_future(page_hits)
    if not (len(page_hits) == 1 and batch_key is None and save_page_view(page_hits[0])):
        save_page_views(page_hits, batch_key)
    return new_beacons


def _not_in_future(hits: Sequence[PageHit]) -> list[PageHit]:
    latest = latest_storable_time()
    return [
        hit
        if storable_time(hit.time) <= latest
        else msgspec.structs.replace(hit, time=timezone.now())
        for hit in hits
    ]

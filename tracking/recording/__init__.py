"""The one place where hits become rows.

=====================  ===================================================================
:mod:`.beacons`        hits become beacons
:mod:`.visits`         page hits become visits and page views
:mod:`.visitors`       and their visitors, many by one statement
:mod:`.upserts`        rows inserted, or merged into those that have their keys
:mod:`.late`           noting days that were counted too early
:mod:`.inserts`        many rows into one table, by the fastest way the database has
:mod:`.spelling`       values as Django's fields would give them to a database
:mod:`.deadlocks`      doing again what a database has given up
:mod:`.receipts`       which batches are written
=====================  ===================================================================
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from tracking.hits import AnyHit, Hit, PageHit
from tracking.models import Beacon
from tracking.recording import beacons, visits

__all__ = ["write"]


def write(hits: Iterable[AnyHit], receipt: UUID | None = None) -> Sequence[Beacon]:
    """Write a batch of hits, each one once, and tell who listens.

    A hit whose row exists already changes nothing: delivering a batch again after a
    failure is safe. All of its beacons are written or none of them, and so with its
    page views. Inside a transaction of the site each gets a savepoint, so that a failure
    does not poison that.

    Args:
        hits: what was observed.
        receipt: the key under which the batch is noted as written, in its last transaction.
            A batch whose receipt is there already changes nothing, either.

    Returns:
        The beacons that are new rows. Each is made when it is asked for.

    Raises:
        django.db.DatabaseError: the database refuses; the batch is to be delivered again.
    """
    batch = list(hits)
    pages = [hit for hit in batch if isinstance(hit, PageHit)]
    written = beacons.write(
        [hit for hit in batch if isinstance(hit, Hit)], None if pages else receipt
    )
    visits.write(pages, receipt)
    return written

"""Receipts: which batches are written.

    key = key_of(payloads)
    write(hits, receipt=key)     # notes it in the transaction of its rows
    known([key])                 # {key}

A batch is known by its content, so that nobody has to hand a number around: whoever has the
same records, a worker or the sender, in this life or the next, finds the same receipt.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from uuid import UUID

from django.db import router

from tracking.conf import conf
from tracking.db.column_values import existing_keys
from tracking.hits import AnyHit, PageHit
from tracking.models import WrittenBatch


def key_of(payloads: Iterable[bytes]) -> UUID:
    """Return the key of a batch: a digest of its hits, each of which has a key of its own.

    It is spelled as a UUID of version 4 (RFC 9562), as bits by chance are. MariaDB takes
    those of version 8, for bits of one's own, but for each 64th (of which byte 8 is 80).

    Args:
        payloads: the hits as bytes, in their order.
    """
    digest = blake2b(digest_size=16, person=b"tracking.batch")
    for payload in payloads:
        digest.update(payload)
    number = int.from_bytes(digest.digest())
    number = number & ~(0xF << 76) | 0x4 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=number)


def are_needed(hits: Iterable[AnyHit]) -> bool:
    """Return whether nothing but a receipt could tell that these hits are written already.

    So it is with pages where ``TRACKING_PAGE_VIEWS`` is off: they are counted, and leave no
    row to be known by.
    """
    return not conf.page_views and any(isinstance(hit, PageHit) for hit in hits)


def known(keys: Sequence[UUID]) -> set[UUID]:
    """Return which batches are written.

    Raises:
        django.db.DatabaseError: the database cannot say.
    """
    return existing_keys(WrittenBatch.objects.using(_using()), keys)


def note(key: UUID, using: str) -> None:
    """Note a batch as written, in the transaction of its rows.

    It comes before these: who delivers the same at the same moment waits here, and does
    nothing in vain.

    Raises:
        django.db.IntegrityError: it is noted already.
    """
    WrittenBatch.objects.using(using).create(id=key)


def ensure(key: UUID) -> None:
    """Note a batch as written, of which all parts are, unless that is noted already.

    Raises:
        django.db.DatabaseError: the database refuses.
    """
    WrittenBatch.objects.using(_using()).bulk_create([WrittenBatch(id=key)], ignore_conflicts=True)


def _using() -> str:
    return router.db_for_write(WrittenBatch)

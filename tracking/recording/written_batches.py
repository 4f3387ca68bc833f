"""Batches that are saved, by their keys.

    key = batch_key(payloads)
    write(hits, key)             # marks the batch in the transaction of its rows
    find_written([key])          # {key}

The key is a digest of the content, so nobody has to pass it around: a worker and the sender,
before or after a restart, compute the same key from the same hits.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from uuid import UUID

from django.db import router

from tracking.conf import conf
from tracking.db.column_values import existing_keys
from tracking.hits import AnyHit, PageHit, digest_uuid
from tracking.models import WrittenBatch


def batch_key(payloads: Iterable[bytes]) -> UUID:
    """Return the key of a batch: a digest of its hits, each of which has a unique key.

    Args:
        payloads: the serialized hits, in order.
    """
    digest = blake2b(digest_size=16, person=b"tracking.batch")
    for payload in payloads:
        digest.update(payload)
    return digest_uuid(digest.digest())


def needs_key(hits: Iterable[AnyHit]) -> bool:
    """Return whether a batch can be recognised by its key only.

    With ``TRACKING_PAGE_VIEWS`` off, page hits are counted but leave no rows.
    """
    return not conf.page_views and any(isinstance(hit, PageHit) for hit in hits)


def find_written(keys: Sequence[UUID]) -> set[UUID]:
    """Return the keys of those batches that are written.

    Raises:
        django.db.DatabaseError: the database failed.
    """
    return existing_keys(WrittenBatch.objects.using(_using()), keys)


def mark_written(key: UUID, using: str) -> None:
    """Mark a batch as written, in the transaction of its rows and before them.

    If another process writes the same batch at the same moment, this waits for it, and no work is
    done in vain.

    Raises:
        django.db.IntegrityError: the batch is marked already.
    """
    WrittenBatch.objects.using(using).create(id=key)


def ensure_marked(key: UUID) -> None:
    """Mark a batch as written if it is not, after all its rows were found.

    Raises:
        django.db.DatabaseError: the database failed.
    """
    WrittenBatch.objects.using(_using()).bulk_create([WrittenBatch(id=key)], ignore_conflicts=True)


def _using() -> str:
    return router.db_for_write(WrittenBatch)

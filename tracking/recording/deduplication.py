"""Save each hit once, however often it is delivered."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar
from uuid import UUID

from django.db import IntegrityError
from django.db.models import Model

from tracking.db.column_values import existing_keys
from tracking.db.retry import retry_transaction
from tracking.hits import Hit, PageHit
from tracking.recording import written_batches

H = TypeVar("H", Hit, PageHit)


def save_missing(
    hits: Sequence[H],
    save: Callable[[Sequence[H]], object],
    model: type[Model],
    using: str,
    batch_key: UUID | None,
) -> Sequence[H]:
    """Save the hits that have no row yet, and return them.

    Args:
        hits: the hits, each key once.
        save: saves hits and marks the batch, all or nothing; fails for a hit that has a row.
        model: the model whose primary keys are those of the hits.
        using: the alias of the database.
        batch_key: the key by which ``save`` marks the batch, or ``None``.

    Raises:
        django.db.DatabaseError: the database failed; nothing was saved.
    """
    missing = hits
    while missing:
        try:
            retry_transaction(using, partial(save, missing))
        except IntegrityError:
            if batch_key is not None and written_batches.find_written([batch_key]):
                return []
            # Some hits were delivered before. That is rare, so it costs a second query here
            # rather than a slower statement for every batch. Another process may deliver the
            # others meanwhile; each round leaves fewer.
            rows = model._default_manager.using(using)
            existing = existing_keys(rows, [hit.id for hit in missing])
            if not existing:
                raise
            missing = [hit for hit in missing if hit.id not in existing]
        else:
            return missing
    if batch_key is not None and hits:
        written_batches.ensure_marked(batch_key)
    return []

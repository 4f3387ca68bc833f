"""What a Celery worker does with a message: write its hits, once."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from tracking.pipeline import write_batch
from tracking.pipeline.celery_messages import batch_key, decode_message
from tracking.pipeline.spool import DamagedBytes, Item, Rejected, save_rejected, spool_folder
from tracking.pipeline.write_batch import (
    MAX_REASON,
    SUSPECT_HITS_AFTER,
    BatchResult,
    Unavailable,
)
from tracking.recording import written_batches

logger = logging.getLogger(__name__)

#: Attempts after the first. With delays that double up to ``MAX_RETRY_DELAY``, an hour and a half.
MAX_RETRIES = 24
#: Seconds. Well below the hour after which Redis delivers an unacknowledged message again.
MAX_RETRY_DELAY = 300


def write_or_give_up(message: str, attempt: int) -> None:
    """Write the hits of a message; after ``MAX_RETRIES`` set them aside for ``tracking_replay``.

    Args:
        message: the message, see :mod:`.celery_messages`.
        attempt: how often this has failed before.

    Raises:
        Unavailable: try again after :func:`retry_delay`.
    """
    try:
        write_message(message, suspect_hits=attempt >= SUSPECT_HITS_AFTER)
    except Unavailable as error:
        if attempt < MAX_RETRIES:
            raise
        _give_up(decode_message(message), error)


def write_message(message: str, *, suspect_hits: bool = False) -> BatchResult:
    """Write the hits of a message, unless its batch is recorded as written.

    Rejected hits are set aside.

    Args:
        message: the message, see :mod:`.celery_messages`.
        suspect_hits: see :func:`tracking.pipeline.write_batch.write_records`.

    Raises:
        Unavailable: the database is down, or the disk refuses rejected hits.
    """
    try:
        items = decode_message(message)
    except ValueError as error:
        rejected = [Rejected(message.encode(), f"undecodable: {error}")]
        _set_aside(rejected)
        return BatchResult(rejected=rejected)
    key = batch_key(items)
    if _is_recorded(key):
        return BatchResult(written=len(items), duplicate=len(items))
    result = write_batch.write_records(items, suspect_hits=suspect_hits, always_with_key=True)
    if result.rejected or result.transactions != 1:
        # Each transaction is recorded under its own key. The whole batch is recorded only after
        # its rejected hits are safe.
        _set_aside(result.rejected)
        _record_as_written(key)
    return result


def _is_recorded(key: UUID) -> bool:
    with _unavailable_on_error():
        return bool(written_batches.find_written([key]))


def _record_as_written(key: UUID) -> None:
    with _unavailable_on_error():
        written_batches.ensure_marked(key)


@contextmanager
def _unavailable_on_error() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # after any other exception Celery would drop the message
        raise Unavailable(repr(error)) from error


def _give_up(items: Sequence[Item], error: Unavailable) -> None:
    logger.error(
        "A batch of %s hits failed too often; it is set aside for tracking_replay: %s",
        len(items),
        error,
    )
    _set_aside(
        Rejected(
            item.raw if isinstance(item, DamagedBytes) else item.payload,
            f"given up: {error}"[:MAX_REASON],
        )
        for item in items
    )


def _set_aside(rejected: Iterable[Rejected]) -> None:
    try:
        save_rejected(spool_folder(), rejected)
    except OSError as error:
        raise Unavailable(f"rejected hits cannot be saved: {error}") from error


def retry_delay(attempt: int) -> int:
    """Return the seconds until the next attempt.

    >>> [retry_delay(attempt) for attempt in (0, 1, 2, 20)]
    [1, 2, 4, 300]
    """
    return min(1 << min(attempt, 20), MAX_RETRY_DELAY)

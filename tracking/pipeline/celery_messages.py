"""Batches of hits as messages, for a worker elsewhere.

A batch is text (base64 of compressed records), so that a worker needs to accept nothing but
JSON, and two thousand opens of one campaign take a tenth of their size.
"""

import base64
import logging
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from tracking.pipeline import write_batch
from tracking.pipeline.spool import Item, Record, folder, set_aside
from tracking.pipeline.spool.folders import Refused
from tracking.pipeline.spool.records import Damage, framed, scan
from tracking.pipeline.write_batch import PATIENCE, Outcome, Unavailable
from tracking.recording import written_batches

logger = logging.getLogger(__name__)

#: Attempts after the first; with pauses that double up to ``LONGEST_PAUSE``, an hour and a half.
RETRIES = 24
#: Seconds. Well below the hour after which Redis delivers an unfinished message again.
LONGEST_PAUSE = 300


def packed(items: Iterable[Item]) -> str:
    """Return records as one message. What is damaged goes along, to be set aside."""
    frames = (
        framed(item.payload, item.time) if isinstance(item, Record) else item.raw for item in items
    )
    return base64.b64encode(zlib.compress(b"".join(frames), 1)).decode()


def unpacked(message: str) -> list[Item]:
    """Return the records of a message.

    Raises:
        ValueError: it holds none.
    """
    try:
        items, _ = scan(zlib.decompress(base64.b64decode(message, validate=True)), at_end=True)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    return items


def key_of(items: Iterable[Item]) -> UUID:
    """Return the key under which a batch is noted as written, for who sends it and who writes it.

    Args:
        items: what is in it.
    """
    # Damage counts, too: a batch of nothing else has a key of its own.
    return written_batches.batch_key(
        item.payload if isinstance(item, Record) else item.raw for item in items
    )


def record(message: str, attempt: int) -> None:
    """Write a batch. After too many attempts it is set aside, to be replayed.

    Args:
        message: what :func:`packed` has returned.
        attempt: how often that has failed before.

    Raises:
        Unavailable: it is to be tried again.
    """
    try:
        write(message, suspicious=attempt >= PATIENCE)
    except Unavailable as error:
        if attempt < RETRIES:
            raise
        _give_up(unpacked(message), error)


def write(message: str, *, suspicious: bool = False) -> Outcome:
    """Write a batch, unless there is a receipt for it; what is refused is set aside.

    Args:
        message: what :func:`packed` has returned.
        suspicious: see :func:`tracking.pipeline.write_batch.deliver`.

    Raises:
        Unavailable: it is to be tried again.
    """
    try:
        items = unpacked(message)
    except ValueError as error:
        refused = [Refused(message.encode(), f"undecodable: {error}")]
        _set_aside(refused)
        return Outcome(refused=refused)
    key = key_of(items)
    if _is_written(key):
        return Outcome(written=len(items), duplicate=len(items))
    outcome = write_batch.deliver(items, suspicious=suspicious, with_receipts=True)
    if outcome.refused or outcome.pieces != 1:
        # Its parts have receipts of their own. First what is refused has to be safe.
        _set_aside(outcome.refused)
        _note(key)
    return outcome


def _is_written(key: UUID) -> bool:
    with _or_unavailable():
        return bool(written_batches.find_written([key]))


def _note(key: UUID) -> None:
    with _or_unavailable():
        written_batches.ensure_marked(key)


@contextmanager
def _or_unavailable() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever it is, Celery would take the batch for dealt with
        raise Unavailable(repr(error)) from error


def _give_up(items: Sequence[Item], error: Unavailable) -> None:
    logger.error("A batch of %s hits is given up and set aside: %s", len(items), error)
    _set_aside(
        Refused(i.raw if isinstance(i, Damage) else i.payload, f"given up: {error}"[:500])
        for i in items
    )


def _set_aside(refused: Iterable[Refused]) -> None:
    try:
        set_aside(folder(), refused)
    except OSError as error:
        raise Unavailable(f"nothing can be set aside: {error}") from error


def pause(attempt: int) -> int:
    """Return the seconds until the next attempt.

    >>> [pause(attempt) for attempt in (0, 1, 2, 20)]
    [1, 2, 4, 300]
    """
    return min(1 << min(attempt, 20), LONGEST_PAUSE)

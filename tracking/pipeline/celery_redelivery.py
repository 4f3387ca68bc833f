"""Send batches again that no Celery worker has written.

    redeliver(folder, publish)     # every few seconds

A worker that writes a batch records its key in the same transaction, so the database says which
batches arrived. A batch is overtaken if one sent later is written already: it is lost or in
trouble, and is sent again soon. All others are assumed to wait in the broker's queue, and are
sent again only after a long time; otherwise a long queue would grow even longer. A batch that
arrives twice is recognised by its key.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from time import time
from typing import NamedTuple
from uuid import UUID

from tracking.pipeline import celery_consumer
from tracking.pipeline.spool import in_flight, this_site
from tracking.pipeline.spool.folder import delete_stale_drafts
from tracking.pipeline.spool.in_flight import RedeliveryRound, SentBatch
from tracking.recording import written_batches

logger = logging.getLogger(__name__)

#: Batches sent again in one round, so that new hits do not have to wait.
MAX_PER_ROUND = 50


class RedeliveryDelays(NamedTuple):
    """How long to wait before a batch is sent again. The delays double with each further send.

    Attributes:
        overtaken: seconds, for a batch that should have been written by now.
        queued: seconds, for a batch that may still wait in the queue.
        max_sends: after so many sends the batch is written by this process.
    """

    overtaken: float = 60.0
    queued: float = 3_600.0
    max_sends: int = 8


def redeliver(
    folder: Path,
    publish: Callable[[str], object],
    delays: RedeliveryDelays = RedeliveryDelays(),  # noqa: B008 - immutable
    every: float = 5.0,
) -> None:
    """Delete copies of written batches, and send overdue batches again.

    Does nothing unless a round is due and no other process has it.

    Args:
        folder: the folder of the spool.
        publish: sends a message to the broker.
        delays: how long to wait before a batch is sent again.
        every: seconds between two rounds, of all processes of this host.

    Raises:
        OSError: the folder cannot be used.
        django.db.Error: the database is down.
        Exception: what ``publish`` raises.
    """
    with in_flight.claim_round(folder, every) as this_round:
        if this_round is None or not (batches := in_flight.sent_batches(folder, this_site())):
            return
        written = written_batches.find_written(list({batch.key for batch in batches}))
        _delete_written(batches, written, this_round)
        waiting = [batch for batch in batches if batch.key not in written]
        now = time()
        overdue = [
            batch
            for batch in waiting
            if batch.time + _seconds_to_wait(batch, this_round, delays) <= now
        ]
        for batch in overdue[:MAX_PER_ROUND]:
            _resend(batch, publish, delays)
        if overdue:
            logger.warning(
                "No worker has written %s of %s sent batches in time: sending them again",
                min(len(overdue), MAX_PER_ROUND),
                len(waiting),
            )
        delete_stale_drafts(folder / in_flight.SENT)


def _delete_written(
    batches: Sequence[SentBatch], written: Collection[UUID], this_round: RedeliveryRound
) -> None:
    arrived = [batch for batch in batches if batch.key in written]
    # Of several sends of one batch it is unknown which one arrived. To assume the last would
    # make every batch in the queue look overtaken.
    sent_once = [batch.time for batch in arrived if batch.sends == 1]
    if sent_once:
        this_round.save_latest_written(max(sent_once))
    for batch in arrived:
        batch.delete()


def _seconds_to_wait(
    batch: SentBatch, this_round: RedeliveryRound, delays: RedeliveryDelays
) -> float:
    is_overtaken = batch.time < this_round.latest_written
    delay = delays.overtaken if is_overtaken else delays.queued
    return delay * float(2 ** (batch.sends - 1))


def _resend(batch: SentBatch, publish: Callable[[str], object], delays: RedeliveryDelays) -> None:
    try:
        message = batch.read_message()
    except FileNotFoundError:  # tracking_drain wrote it meanwhile
        return
    if batch.sends < delays.max_sends:
        publish(message)
        batch.mark_resent()
    else:
        celery_consumer.write_message(message, suspect_hits=True)
        batch.delete()
        logger.error(
            "A batch was sent %s times and no worker wrote it; this process wrote it instead. "
            "Check that workers run and consume the queue of tracking.record.",
            batch.sends,
        )

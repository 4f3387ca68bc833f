"""What was sent to workers is followed up, until it is known to be written.

    confirm(folder, publish)     # every few seconds

The database says what has arrived: a worker notes the receipt of a batch together with its rows.
What was overtaken, because a batch that was sent later has arrived, is lost or in trouble, and
is sent again soon. All else waits in the broker's queue, as far as anybody can tell, and
is sent again only after a long time: a queue that is long would else become longer. A batch that
arrives twice is known by its receipt.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from time import time
from typing import NamedTuple
from uuid import UUID

from tracking.pipeline import celery_messages
from tracking.pipeline.spool import in_flight
from tracking.pipeline.spool.in_flight import Round, Sending
from tracking.recording import written_batches

logger = logging.getLogger(__name__)

#: Batches that are sent again in one round, so that it does not hold up what is new.
AT_ONCE = 50


class Patience(NamedTuple):
    """How long is waited, in seconds; twice as long after each further sending.

    Attributes:
        overtaken: for what should have arrived by now.
        queued: for what may still be in the queue.
        sendings: after so many the batch is written here, without any worker.
    """

    overtaken: float = 60.0
    queued: float = 3_600.0
    sendings: int = 8


def confirm(
    folder: Path,
    publish: Callable[[str], object],
    patience: Patience = Patience(),  # noqa: B008 - nothing can change it
    every: float = 5.0,
) -> None:
    """Forget what is written, and send again what is not, if it is the turn of this process.

    Args:
        folder: the folder of the spool.
        publish: hands a message to the broker.
        patience: how long is waited.
        every: seconds between two rounds, over all processes of this host.

    Raises:
        OSError: the folder cannot be used.
        django.db.Error: the database cannot say what is written.
        Exception: what ``publish`` raises.
    """
    with in_flight.looking_around(folder, every) as turn:
        if turn is None or not (sendings := in_flight.on_their_way(folder)):
            return
        written = written_batches.find_written(list({sending.key for sending in sendings}))
        _forget(sendings, written, turn)
        waiting = [sending for sending in sendings if sending.key not in written]
        now = time()
        overdue = [s for s in waiting if s.time + _pause(s, turn, patience) <= now]
        for sending in overdue[:AT_ONCE]:
            _send_again(sending, publish, patience)
        if overdue:
            message = "Batches have not arrived and are sent again: %s of %s on their way"
            logger.warning(message, min(len(overdue), AT_ONCE), len(waiting))
        in_flight.sweep(folder)


def _forget(sendings: Sequence[Sending], written: Collection[UUID], turn: Round) -> None:
    arrived = [sending for sending in sendings if sending.key in written]
    # Of those that were sent several times nobody knows which one it was; to take it for the
    # last would make all that waits in the queue look overtaken.
    once = [sending.time for sending in arrived if sending.number == 1]
    if once:
        turn.note_arrival(max(once))
    for sending in arrived:
        sending.forget()


def _pause(sending: Sending, turn: Round, patience: Patience) -> float:
    pause = patience.overtaken if sending.time < turn.arrived else patience.queued
    return pause * float(2 ** (sending.number - 1))


def _send_again(sending: Sending, publish: Callable[[str], object], patience: Patience) -> None:
    try:
        message = sending.read()
    except FileNotFoundError:  # drained by hand meanwhile
        return
    if sending.number < patience.sendings:
        publish(message)
        sending.again()
    else:
        celery_messages.write(message, suspicious=True)
        sending.forget()
        logger.error("A batch was sent %s times in vain, and is written here", sending.number)

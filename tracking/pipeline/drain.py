"""Delivering by hand: what dead processes have left behind, and what was set aside."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tracking.pipeline import celery_messages, write_batch
from tracking.pipeline.spool import Record, Spool, in_flight, set_aside
from tracking.pipeline.spool.folders import Refused, taken
from tracking.pipeline.write_batch import Outcome, Unavailable

BATCH = 2_000


@dataclass
class Total:
    """What has become of everything.

    Attributes:
        files: how many files were gone through.
        written: hits that were delivered.
        duplicate: those among them that were there already.
        refused: hits that were set aside (again).
        error: why it was not gone on with, or ``""``.
    """

    files: int = 0
    written: int = 0
    duplicate: int = 0
    refused: int = 0
    error: str = field(default="")

    def add(self, outcome: Outcome) -> None:
        """Count what has become of a batch."""
        self.written += outcome.written
        self.duplicate += outcome.duplicate
        self.refused += len(outcome.refused)


def drain(folder: Path, progress: Callable[[Total], None] = lambda _total: None) -> Total:
    """Write what dead processes have left behind. What the living have is left to them.

    What was sent to workers and is not known to have arrived is written, too: who drains the
    folder may be about to delete it. A worker that gets it later knows it by its receipt.

    Args:
        folder: the folder of the spool.
        progress: is told after each batch.

    Raises:
        OSError: the folder cannot be used.
    """
    total = Total()
    spool = Spool(folder)
    try:
        while number := spool.adopt():
            total.files += number
            while batch := spool.take(BATCH):
                outcome = write_batch.deliver(batch.items)
                set_aside(folder, outcome.refused)
                spool.settle(batch)
                total.add(outcome)
                progress(total)
        for sending in in_flight.on_their_way(folder):
            with suppress(FileNotFoundError):  # it has arrived meanwhile
                total.add(celery_messages.write(sending.read()))
                sending.forget()
                total.files += 1
                progress(total)
    except Unavailable as error:
        total.error = str(error)
    finally:
        spool.close()
    return total


def replay(folder: Path, progress: Callable[[Total], None] = lambda _total: None) -> Total:
    """Write what was set aside, once more. What is refused again is set aside again.

    Args:
        folder: the folder of the spool.
        progress: is told after each file.

    Raises:
        OSError: the folder cannot be used.
    """
    total = Total()
    try:
        with taken(folder) as files:
            for path, refused in files:
                outcome = Outcome()
                for start in range(0, len(refused), BATCH):
                    part = _delivered_again(refused[start : start + BATCH])
                    outcome.refused += part.refused
                    total.add(part)
                set_aside(folder, outcome.refused)
                path.unlink()
                total.files += 1
                progress(total)
    except Unavailable as error:
        total.error = str(error)
    return total


def _delivered_again(refused: list[Refused]) -> Outcome:
    # There may be a whole message in it that could not be read then.
    return write_batch.deliver([Record(item.raw, 0.0) for item in refused])

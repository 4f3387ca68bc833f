"""Write what waits on disk, by hand: hits of dead processes, and rejected hits once more."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tracking.pipeline import celery_consumer, write_batch
from tracking.pipeline.spool import Record, Rejected, Spool, in_flight, save_rejected
from tracking.pipeline.spool.rejected import open_rejected
from tracking.pipeline.write_batch import BatchResult, Unavailable

BATCH_SIZE = 2_000


@dataclass
class DrainResult:
    """What became of the files so far.

    Attributes:
        files: files read.
        written: hits written.
        duplicate: hits among them that had been written before.
        rejected: hits set aside (again).
        error: why it stopped before the end, or ``""``.
    """

    files: int = 0
    written: int = 0
    duplicate: int = 0
    rejected: int = 0
    error: str = ""

    def add(self, batch: BatchResult) -> None:
        """Add the result of a batch."""
        self.written += batch.written
        self.duplicate += batch.duplicate
        self.rejected += len(batch.rejected)


def drain(
    folder: Path, progress: Callable[[DrainResult], None] = lambda _result: None
) -> DrainResult:
    """Write the hits of dead processes. Files of running processes are skipped.

    Batches that were sent to Celery workers and are not known to be written are written, too:
    the folder may be about to be deleted. A worker that gets such a batch later recognises it
    by its key.

    Args:
        folder: the folder of the spool.
        progress: called after each batch.

    Raises:
        OSError: the folder cannot be used.
    """
    result = DrainResult()
    spool = Spool(folder)
    try:
        while number := spool.adopt_orphans():
            result.files += number
            while batch := spool.take_batch(BATCH_SIZE):
                written = write_batch.write_records(batch.items)
                save_rejected(folder, written.rejected)
                spool.settle_batch(batch)
                result.add(written)
                progress(result)
        for sent in in_flight.sent_batches(folder):
            with suppress(FileNotFoundError):  # a worker wrote it meanwhile
                result.add(celery_consumer.write_message(sent.read_message()))
                sent.delete()
                result.files += 1
                progress(result)
    except Unavailable as error:
        result.error = str(error)
    finally:
        spool.close()
    return result


def replay(
    folder: Path, progress: Callable[[DrainResult], None] = lambda _result: None
) -> DrainResult:
    """Write rejected hits once more. Those refused again are set aside again.

    Args:
        folder: the folder of the spool.
        progress: called after each file.

    Raises:
        OSError: the folder cannot be used.
    """
    result = DrainResult()
    try:
        with open_rejected(folder) as files:
            for path, rejected in files:
                rejected_again: list[Rejected] = []
                for start in range(0, len(rejected), BATCH_SIZE):
                    written = _write_again(rejected[start : start + BATCH_SIZE])
                    rejected_again += written.rejected
                    result.add(written)
                save_rejected(folder, rejected_again)
                path.unlink()
                result.files += 1
                progress(result)
    except Unavailable as error:
        result.error = str(error)
    return result


def _write_again(rejected: list[Rejected]) -> BatchResult:
    return write_batch.write_records([Record(item.raw, 0.0) for item in rejected])

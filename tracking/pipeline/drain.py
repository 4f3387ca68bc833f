"""Write what waits on disk, by hand: hits of dead processes, and rejected hits once more."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from tracking.pipeline import celery_consumer, write_batch
from tracking.pipeline.spool import (
    Record,
    Rejected,
    Spool,
    in_flight,
    save_rejected,
    this_site,
)
from tracking.pipeline.spool.rejected import open_rejected
from tracking.pipeline.spool.unreadable import UnreadableFile, open_unreadable
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
        unreadable: files in which no hit was found.
        error: why it stopped before the end, or ``""``.
    """

    files: int = 0
    written: int = 0
    duplicate: int = 0
    rejected: int = 0
    unreadable: int = 0
    error: str = ""

    def __add__(self, other: Self) -> Self:
        """Return the result of both."""
        ours, theirs = asdict(self), asdict(other)
        return type(self)(**{name: ours[name] + theirs[name] for name in ours})

    def add(self, batch: BatchResult) -> None:
        """Add the result of a batch."""
        self.written += batch.written
        self.duplicate += batch.duplicate
        self.rejected += len(batch.rejected)


#: Called with the result so far.
Progress = Callable[[DrainResult], None]


def _show_nothing(_result: DrainResult) -> None:
    pass


def drain(
    folder: Path, progress: Progress = _show_nothing, *, from_any_site: bool = False
) -> DrainResult:
    """Write the hits of dead processes. Files of running processes are skipped.

    Batches that were sent to Celery workers and are not known to be written are written, too:
    the folder may be about to be deleted. A worker that gets such a batch later recognises it
    by its key.

    Args:
        folder: the folder of the spool.
        progress: called after each batch.
        from_any_site: whether files of other sites are written, too.

    Raises:
        OSError: the folder cannot be used.
    """
    result = DrainResult()
    spool = Spool(folder, from_any_site=from_any_site)
    site = None if from_any_site else this_site()
    try:
        while number := spool.adopt_orphans():
            result.files += number
            while batch := spool.take_batch(BATCH_SIZE):
                written = write_batch.write_records(batch.items)
                save_rejected(folder, written.rejected)
                spool.settle_batch(batch)
                result.add(written)
                progress(result)
        for sent in in_flight.sent_batches(folder, site):
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
    folder: Path, progress: Progress = _show_nothing, *, from_any_site: bool = False
) -> DrainResult:
    """Write rejected hits once more, and those in files that cannot be read.

    Hits refused again are set aside again.

    Args:
        folder: the folder of the spool.
        progress: called after each file.
        from_any_site: whether hits of other sites are written, too.

    Raises:
        OSError: the folder cannot be used.
    """
    result = DrainResult()
    site = None if from_any_site else this_site()
    try:
        with open_rejected(folder, site) as files:
            for path, rejected in files:
                _replay_rejected(folder, path, rejected, result)
                progress(result)
        with open_unreadable(folder) as unreadable_files:
            for file in unreadable_files:
                _replay_unreadable(folder, file, result)
                progress(result)
    except Unavailable as error:
        result.error = str(error)
    return result


def _replay_rejected(
    folder: Path, path: Path, rejected: list[Rejected], result: DrainResult
) -> None:
    rejected_again: list[Rejected] = []
    for start in range(0, len(rejected), BATCH_SIZE):
        records = [Record(one.raw, 0.0) for one in rejected[start : start + BATCH_SIZE]]
        written = write_batch.write_records(records)
        rejected_again += written.rejected
        result.add(written)
    save_rejected(folder, rejected_again)
    path.unlink()
    result.files += 1


def _replay_unreadable(folder: Path, file: UnreadableFile, result: DrainResult) -> None:
    number = 0
    for records in () if file.is_newer else file.records(BATCH_SIZE):
        number += len(records)
        written = write_batch.write_records(records)
        save_rejected(folder, written.rejected)
        result.add(written)
    if number:
        file.set_aside()
        result.files += 1
    else:
        result.unreadable += 1

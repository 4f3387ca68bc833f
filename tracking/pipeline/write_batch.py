"""Write a batch of hits; find those that the database refuses, and write the others.

    result = write_records(items)

A write fails for one of two reasons. Either a hit is at fault: then the batch is halved again
and again until each refused hit stands alone. Or the database is down: then the whole batch is
written again later.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db import DataError, IntegrityError

from tracking import recording
from tracking.hits import AnyHit, Hit
from tracking.log_limits import get_logger
from tracking.pipeline.spool import BadRecord, DamagedBytes, Item, Rejected, decode_hit
from tracking.recipient_consent.decisions import without_refused
from tracking.recording import written_batches

logger = get_logger(__name__)

#: Errors for which a hit is to blame, not the database.
_HIT_ERRORS = (DataError, IntegrityError, TypeError, ValueError, OverflowError, KeyError)

#: After so many refused hits in a row and none written, the database is to blame, not the hits.
_MAX_REFUSED_IN_A_ROW = 32

#: After so many failures in a row, even a database error may be caused by a single hit: the
#: batch is halved, too, and a hit is rejected if others can be written.
SUSPECT_HITS_AFTER = 5

#: Characters of an error that are kept as the reason for a rejection.
MAX_REASON = 500


def is_fault_of_hit(error: Exception) -> bool:
    """Return whether the hit is to blame for an error: the database will never take it."""
    return isinstance(error, _HIT_ERRORS)


class Unavailable(Exception):
    """The database or the broker is down. Nothing is lost: try again later."""


@dataclass
class Counters:
    """What this process has done since it started.

    Attributes:
        received: hits accepted.
        at_once: hits among them written in the request, because the disk refused them.
        written: hits written to the database, or sent to the broker.
        duplicate: hits among them that had been written before.
        rejected: hits set aside, by reason.
        failures: times that the database or the broker was down.
        lag: seconds that the oldest hit of the last batch had waited.
    """

    received: int = 0
    at_once: int = 0
    written: int = 0
    duplicate: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    failures: int = 0
    lag: float = 0.0

    def count_rejected(self, rejected: Sequence[Rejected]) -> None:
        """Count hits that were set aside, by the first words of their reason."""
        for item in rejected:
            reason = item.reason.partition(":")[0]
            self.rejected[reason] = self.rejected.get(reason, 0) + 1


#: Writes all of the hits or none, given the key of their batch or ``None``; returns how many
#: were duplicates.
WriteHits = Callable[[Sequence[AnyHit], UUID | None], int]


def write_hits(hits: Sequence[AnyHit], batch_key: UUID | None = None) -> int:
    """Write hits, and return how many of them had been written before.

    Those of recipients who have not agreed are dropped.

    Args:
        hits: the hits, written in one transaction.
        batch_key: the key under which the batch is recorded as written.
    """
    permitted = without_refused(hits)
    new = len(recording.write_permitted(permitted, batch_key))
    # Events of mail providers may wait for their message: they become rows later, or never.
    events = sum(isinstance(hit, Hit) and hit.report is not None for hit in permitted)
    own = sum(isinstance(hit, Hit) for hit in permitted) - events
    return max(own - new, 0) if events else own - new


@dataclass
class BatchResult:
    """What became of a batch.

    Attributes:
        written: hits written.
        duplicate: hits among them that had been written before.
        transactions: transactions that this took.
        rejected: records that can never be written as they are.
    """

    written: int = 0
    duplicate: int = 0
    transactions: int = 0
    rejected: list[Rejected] = field(default_factory=list)


def write_records(
    items: Sequence[Item],
    write: WriteHits = write_hits,
    *,
    suspect_hits: bool = False,
    always_with_key: bool = False,
) -> BatchResult:
    """Write records from a spool. The caller sets the rejected ones aside.

    Args:
        items: records, and damaged bytes between them.
        write: writes hits; replaced in tests.
        suspect_hits: whether a single hit may be the cause of a database error, because this
            batch has failed again and again.
        always_with_key: whether each transaction is recorded as written under a key of its
            own, even if its rows alone would show that.

    Raises:
        Unavailable: the database is down; hits already written may be written again.
    """
    result = BatchResult()
    decoded: list[tuple[bytes, AnyHit]] = []
    for item in items:
        if isinstance(item, DamagedBytes):
            if any(item.raw):  # zeros are space that was reserved and not written
                result.rejected.append(Rejected(item.raw, "damaged on disk"))
            continue
        try:
            decoded.append((item.payload, decode_hit(item.payload)))
        except BadRecord as error:
            result.rejected.append(Rejected(item.payload, f"undecodable: {error}"))
    if decoded:
        bisection = _Bisection(
            write, result, suspect_hits=suspect_hits, always_with_key=always_with_key
        )
        bisection.write_all(decoded)
    return result


class _Bisection:
    """Writes hits in ever smaller pieces, until the refused ones stand alone."""

    def __init__(
        self, write: WriteHits, result: BatchResult, *, suspect_hits: bool, always_with_key: bool
    ) -> None:
        self._write = write
        self._result = result
        self._suspect_hits = suspect_hits
        self._always_with_key = always_with_key
        self._suspects: list[tuple[bytes, AnyHit]] = []
        self._failed_alone = 0

    def write_all(self, decoded: Sequence[tuple[bytes, AnyHit]]) -> None:
        self._write_or_halve(decoded)
        for payload, hit in self._suspects:
            # The others were written. Once more: the error may have been temporary.
            error = self._try_to_write([(payload, hit)])
            if error is not None and not self._result.written:
                raise Unavailable(repr(error)) from error
            if error is not None:
                self._reject(payload, error)

    def _write_or_halve(self, decoded: Sequence[tuple[bytes, AnyHit]]) -> None:
        error = self._try_to_write(decoded)
        if error is None:
            return
        if not is_fault_of_hit(error) and not self._suspect_hits:
            raise Unavailable(repr(error)) from error
        if len(decoded) > 1:
            middle = len(decoded) // 2
            self._write_or_halve(decoded[:middle])
            self._write_or_halve(decoded[middle:])
        else:
            self._judge_single(*decoded[0], error)

    def _judge_single(self, payload: bytes, hit: AnyHit, error: Exception) -> None:
        self._failed_alone += 1
        if self._failed_alone >= _MAX_REFUSED_IN_A_ROW and not self._result.written:
            raise Unavailable(repr(error)) from error
        if not is_fault_of_hit(error):
            self._suspects.append((payload, hit))
        elif (
            again := self._try_to_write([(payload, hit)])
        ) is not None:  # the first error may be due to another process
            self._reject(payload, again)

    def _try_to_write(self, decoded: Sequence[tuple[bytes, AnyHit]]) -> Exception | None:
        hits = [hit for _, hit in decoded]
        key = None
        if self._always_with_key or written_batches.needs_key(hits):
            key = written_batches.batch_key(payload for payload, _ in decoded)
        try:
            duplicate = self._write(hits, key)
        except Exception as error:  # noqa: BLE001 - the caller decides by its type
            return error
        self._result.written += len(hits)
        self._result.transactions += 1
        self._result.duplicate += duplicate
        return None

    def _reject(self, payload: bytes, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}".strip()
        logger.error("The database refuses a hit; it is set aside for tracking_replay: %s", reason)
        self._result.rejected.append(Rejected(payload, reason[:MAX_REASON]))

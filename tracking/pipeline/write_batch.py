"""Delivering records: what is poisoned is found, and never stops the rest.

    refused = deliver(payloads, write)

``write`` is given hits, and the key of their receipt or ``None``. What it raises is of two
kinds. Either the hits are at fault; then the batch is cut in halves until the ones that are
refused stand alone. Or the database is away, and all is to be delivered again later.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db import DataError, IntegrityError

from tracking import recording
from tracking.hits import AnyHit, Hit
from tracking.pipeline.spool import BadRecord, Damage, Item, decode
from tracking.pipeline.spool.folders import Refused
from tracking.recording import written_batches

logger = logging.getLogger(__name__)

#: What says that the hits are at fault, and not the database.
_CONTENT = (DataError, IntegrityError, TypeError, ValueError, OverflowError, KeyError)

#: So many refused one after the other, and none accepted: it is not their fault.
_TOO_MANY = 32

#: Failures in a row after which even an error of the database is taken for one of a hit,
#: if others are accepted meanwhile.
PATIENCE = 5


class Unavailable(Exception):
    """Nothing can be delivered now; nothing is lost by trying again."""


@dataclass
class Counters:
    """What has happened in this process.

    Attributes:
        received: hits that were taken over.
        at_once: those of them that were written at once, because the disk took none.
        written: hits that were delivered.
        duplicate: those among them that had been delivered before.
        rejected: hits that were set aside, by reason.
        failures: times that the database (or the broker) was away.
        lag: seconds that the oldest hit of the last batch had been waiting.
    """

    received: int = 0
    at_once: int = 0
    written: int = 0
    duplicate: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    failures: int = 0
    lag: float = 0.0

    def reject(self, refused: Sequence[Refused]) -> None:
        """Count what was set aside."""
        for item in refused:
            reason = item.reason.partition(":")[0]
            self.rejected[reason] = self.rejected.get(reason, 0) + 1


#: Takes hits, all or none, and the key of their receipt; returns how many it had before.
Write = Callable[[Sequence[AnyHit], UUID | None], int]


def write(hits: Sequence[AnyHit], receipt: UUID | None = None) -> int:
    """Write hits, and return how many of them had been written before."""
    new = len(recording.write(hits, receipt))
    return sum(isinstance(hit, Hit) for hit in hits) - new


@dataclass
class Outcome:
    """What has become of a batch.

    Attributes:
        written: hits that were delivered.
        duplicate: those among them that were there already.
        pieces: in how many transactions that was.
        refused: what will never be delivered as it is.
    """

    written: int = 0
    duplicate: int = 0
    pieces: int = 0
    refused: list[Refused] = field(default_factory=list)


def deliver(
    items: Sequence[Item],
    write: Write = write,
    *,
    suspicious: bool = False,
    with_receipts: bool = False,
) -> Outcome:
    """Deliver what was found in a spool.

    Args:
        items: records, and what was found damaged.
        write: what takes them.
        suspicious: whether a single hit may be the cause of what looks like a database
            that is away, because this batch has failed again and again.
        with_receipts: whether what is written together gets a receipt even where it would be
            known by its rows.

    Raises:
        Unavailable: the database is away; whatever was written may be written again.
    """
    outcome = Outcome()
    known: list[tuple[bytes, AnyHit]] = []
    for item in items:
        if isinstance(item, Damage):
            outcome.refused.append(Refused(item.raw, "damaged on disk"))
            continue
        try:
            known.append((item.payload, decode(item.payload)))
        except BadRecord as error:
            outcome.refused.append(Refused(item.payload, f"undecodable: {error}"))
    if known:
        _Bisection(write, outcome, suspicious=suspicious, with_receipts=with_receipts).deliver(
            known
        )
    return outcome


class _Bisection:
    """Writes hits in ever smaller pieces, until the bad ones stand alone."""

    def __init__(
        self, write: Write, outcome: Outcome, *, suspicious: bool, with_receipts: bool
    ) -> None:
        self._write = write
        self._outcome = outcome
        self._suspicious = suspicious
        self._with_receipts = with_receipts
        self._suspects: list[tuple[bytes, AnyHit]] = []
        self._alone = 0

    def deliver(self, known: Sequence[tuple[bytes, AnyHit]]) -> None:
        self._piece(known)
        for payload, hit in self._suspects:
            # The others went through: once more, for it may have been bad luck.
            error = self._try([(payload, hit)])
            if error is not None and not self._outcome.written:
                raise Unavailable(repr(error)) from error
            if error is not None:
                self._refuse(payload, error)

    def _piece(self, known: Sequence[tuple[bytes, AnyHit]]) -> None:
        error = self._try(known)
        if error is None:
            return
        if not isinstance(error, _CONTENT) and not self._suspicious:
            raise Unavailable(repr(error)) from error
        if len(known) > 1:
            middle = len(known) // 2
            self._piece(known[:middle])
            self._piece(known[middle:])
        else:
            self._single(*known[0], error)

    def _single(self, payload: bytes, hit: AnyHit, error: Exception) -> None:
        self._alone += 1
        if self._alone >= _TOO_MANY and not self._outcome.written:
            raise Unavailable(repr(error)) from error
        if not isinstance(error, _CONTENT):
            self._suspects.append((payload, hit))
        elif (
            again := self._try([(payload, hit)])
        ) is not None:  # another process may have been in the way
            self._refuse(payload, again)

    def _try(self, known: Sequence[tuple[bytes, AnyHit]]) -> Exception | None:
        hits = [hit for _, hit in known]
        receipt = None
        if self._with_receipts or written_batches.needs_key(hits):
            receipt = written_batches.batch_key(payload for payload, _ in known)
        try:
            duplicate = self._write(hits, receipt)
        except Exception as error:  # noqa: BLE001 - told apart by the caller
            return error
        self._outcome.written += len(hits)
        self._outcome.pieces += 1
        self._outcome.duplicate += duplicate
        return None

    def _refuse(self, payload: bytes, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}".strip()
        logger.error("A hit is refused and set aside: %s", reason)
        self._outcome.refused.append(Refused(payload, reason[:500]))

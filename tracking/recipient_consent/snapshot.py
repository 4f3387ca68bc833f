"""What recipients have said, in the memory of each process.

    snapshot.current.state_of(digest)      # a look-up in memory, below a microsecond

A million recipients take nine megabytes: their digests in one sorted array, and one byte for each
of them. After a change, a process reads only what has changed.
"""

from array import array
from bisect import bisect_left
from collections.abc import Collection, Mapping
from operator import itemgetter
from typing import NamedTuple

from django.db import router
from django.db.models import Max

from tracking.caching import snapshots
from tracking.db.chunks import CHUNK_SIZE, KEYS_PER_QUERY, in_batches
from tracking.log_limits import get_logger
from tracking.models import ConsentState, MailConsent, MailConsentChange
from tracking.recipient_consent import address_key

logger = get_logger(__name__)

#: The numbers of the states: two bits for opens, and two for clicks.
CODES = {ConsentState.UNKNOWN: 0, ConsentState.GRANTED: 1, ConsentState.DENIED: 2}
GRANTED, DENIED = CODES[ConsentState.GRANTED], CODES[ConsentState.DENIED]
#: Where the bits begin.
OPENS, CLICKS = 0, 2

#: Changes that are read again each time: a database that fails over may give their numbers twice.
_READ_AGAIN = 500
#: Changes after which all rows are read anew, or a quarter of the rows, if those are more.
_MAX_CHANGED = 10_000


class Consents(NamedTuple):
    """The consents of all recipients. It never changes; a reload makes another one.

    Attributes:
        digests: the recipients at the last full load, sorted.
        states: the states of each of them: opens, and clicks shifted by two bits.
        changed: the states of recipients that have changed since.
        last_change: the number of the last change, or 0.
        address_key: the key of the hashes of addresses, or ``None``.
        is_key_lost: whether there is such a key, and the settings lack its secret.
    """

    digests: "array[int]"
    states: bytes
    changed: Mapping[int, int]
    last_change: int
    address_key: bytes | None
    is_key_lost: bool

    @property
    def is_empty(self) -> bool:
        """Whether no recipient has said anything."""
        return not self.changed and not self.states

    def state_of(self, digest: int) -> int:
        """Return the states of a recipient; 0 if it has said nothing."""
        state = self.changed.get(digest)
        if state is None:
            position = bisect_left(self.digests, digest)
            found = position < len(self.states) and self.digests[position] == digest
            return self.states[position] if found else 0
        return state


def _load(using: str) -> Consents:
    before = snapshot.committed
    changes = MailConsentChange.objects.using(using)
    # Read before the rows: a change made in between is read with both. Writers wait for each other
    # (rows_changing), so the numbers are in the order of the commits.
    last = changes.aggregate(last=Max("id"))["last"] or 0
    limit = max(_MAX_CHANGED, len(before.states) // 4) - len(before.changed)
    if before.last_change and 0 <= last - before.last_change <= limit:
        rows = changes.filter(id__gt=before.last_change - _READ_AGAIN).order_by("id")
        changed = dict(before.changed)
        for digest, *states in rows.values_list("consent__digest", "opens", "clicks"):
            changed[digest] = _CODE_OF[tuple(states)]
        content = before._replace(changed=changed, last_change=last)
        return content if content.address_key else _with_key(content, using)
    digests, states = _read_all(using) if last else (array("q"), b"")
    return _with_key(Consents(digests, states, {}, last, None, False), using)


def _with_key(content: Consents, using: str) -> Consents:
    try:
        return content._replace(address_key=address_key.find(using), is_key_lost=False)
    except address_key.AddressKeyLost as error:
        logger.error("%s", error)  # noqa: TRY400 - one line says it
        return content._replace(is_key_lost=True)


_CODE_OF = {
    (str(opens), str(clicks)): CODES[opens] << OPENS | CODES[clicks] << CLICKS
    for opens in ConsentState
    for clicks in ConsentState
}


#: The columns of a row: a million of them are read while requests are answered.
_DIGEST, _STATES = itemgetter(0), itemgetter(1, 2)


def _read_all(using: str) -> tuple["array[int]", bytes]:
    digests, states = array("q"), bytearray()
    rows = MailConsent.objects.using(using).order_by("digest")
    ordered = rows.values_list("digest", "opens", "clicks")
    chunk = list(ordered[:CHUNK_SIZE])
    while chunk:
        digests.extend(map(_DIGEST, chunk))
        states.extend(map(_CODE_OF.__getitem__, map(_STATES, chunk)))
        is_last = len(chunk) < CHUNK_SIZE
        chunk = [] if is_last else list(ordered.filter(digest__gt=chunk[-1][0])[:CHUNK_SIZE])
    return digests, bytes(states)


#: The ledger in memory, the same in all processes of the site.
snapshot = snapshots.Snapshot(
    address_key.SNAPSHOT, _load, Consents(array("q"), b"", {}, 0, None, False), MailConsent
)


def find_states(digests: Collection[int]) -> dict[int, int]:
    """Return the states of those recipients that have said something, from the database.

    Args:
        digests: the recipients.

    Raises:
        django.db.Error: the database does not answer.
    """
    rows = MailConsent.objects.using(router.db_for_write(MailConsent))
    found: dict[int, int] = {}
    for some in in_batches(digests, KEYS_PER_QUERY):
        for digest, *states in rows.filter(digest__in=some).values_list(
            "digest", "opens", "clicks"
        ):
            found[digest] = _CODE_OF[tuple(states)]
    return found

"""Whether an open or a click of a recipient is recorded.

Asked three times: when a mail is written, when its pixel or link comes back, and when the hit is
written to the database, which may be later. The first two look into the memory of the process; the
writer looks into the database if its memory is older than :data:`MAX_AGE`.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from time import monotonic
from typing import NamedTuple

from django.db import router
from django.db.models import Model

from tracking import compat
from tracking.caching import snapshots
from tracking.conf import conf, until_settings_change
from tracking.hits import AnyHit, Hit, Kind, Reference
from tracking.log_limits import get_logger
from tracking.models import ConsentState, MailConsent
from tracking.recipient_consent import address_key
from tracking.recipient_consent.recipients import (
    Recipient,
    digest_of_row,
    identify,
    identify_address,
)
from tracking.recipient_consent.snapshot import (
    CLICKS,
    CODES,
    DENIED,
    GRANTED,
    OPENS,
    find_states,
    snapshot,
)

logger = get_logger(__name__)

#: Values of ``TRACKING_MAIL_CONSENT``: who is recorded that has not said anything.
IF_GRANTED = "if-granted"
UNLESS_DENIED = "unless-denied"

#: Seconds after which a writer does not rely on what this process has read. It polls every half
#: second, and writing a batch may take some tenths.
MAX_AGE = 0.6

#: The bits of a state that decide, by the kind of the hit.
_BITS = {Kind.OPEN.value: OPENS, Kind.CLICK.value: CLICKS}


class Policy(NamedTuple):
    """Whether opens and clicks are recorded only of who has granted it, by their bits."""

    needs_grant: Mapping[int, bool]

    @property
    def records_unknown(self) -> bool:
        """Whether all are recorded that have said nothing."""
        return not any(self.needs_grant.values())


@until_settings_change
@cache
def policy() -> Policy:
    """Return what ``TRACKING_MAIL_CONSENT`` says.

    A wrong value, which a system check reports, records nobody who has not agreed.
    """
    asked = conf.mail_consent
    each = asked if isinstance(asked, Mapping) else {"opens": asked, "clicks": asked}
    bits = {"opens": OPENS, "clicks": CLICKS}
    return Policy(
        {bit: each.get(name) not in (UNLESS_DENIED, "", None) for name, bit in bits.items()}
    )


def allows(recipient: Recipient, kind: str) -> bool:
    """Return whether hits of a recipient are recorded, as far as this process knows.

    Args:
        recipient: a saved row of any model, or an address.
        kind: of :class:`tracking.hits.Kind`; only opens and clicks need consent.

    Raises:
        TypeError, ValueError, tracking.recipient_consent.AddressKeyLost, django.db.Error: as
            for :func:`tracking.recipient_consent.grant`.
    """
    if snapshots.is_due():
        snapshots.refresh()
    bits = _BITS.get(str(kind))
    if bits is None:
        return True
    if isinstance(recipient, str):
        digest = identify(recipient, router.db_for_write(MailConsent)).digest
    else:
        reference = recipient if isinstance(recipient, Reference) else Reference.to(recipient)
        digest = digest_of_row(reference)
    return not _refuses(bits, [snapshot.current.state_of(digest)])


def records_state(kind: str, state: str) -> bool:
    """Return whether hits are recorded of a recipient that has said this.

    Args:
        kind: ``open`` or ``click``.
        state: of :class:`tracking.models.ConsentState`.
    """
    bits = _BITS[kind]
    return not _refuses(bits, [CODES[ConsentState(state)] << bits])


class Decision(NamedTuple):
    """What a message may contain.

    Attributes:
        opens: whether it may have a pixel.
        clicks: whether it may have tracked links.
        recipient: the digest of its only address, for its links, or ``None``.
    """

    opens: bool
    clicks: bool
    recipient: int | None


def decide_for_message(entity: Model | None, addresses: Sequence[str]) -> Decision:
    """Return what a message may contain: what all its recipients agree to.

    Args:
        entity: the saved row of its only recipient, if it is known.
        addresses: the addresses that get it.

    Raises:
        tracking.recipient_consent.AddressKeyLost: nobody knows what addresses have said.
        django.db.Error: the database does not answer.
    """
    if snapshots.is_due():
        snapshots.refresh()
    content, key = snapshot.current, snapshot.current.address_key
    if content.is_key_lost:
        raise address_key.AddressKeyLost
    if key is None and conf.mail_consent:
        key = address_key.get_or_create(router.db_for_write(MailConsent))
    row = [] if entity is None else [digest_of_row(Reference.to(entity))]
    people = [[*row, *_digest_of(address, key)] for address in addresses] or [row]
    if content.is_empty and policy().records_unknown:
        opens = clicks = True
    else:
        states = [[content.state_of(digest) for digest in digests] for digests in people]
        opens, clicks = (
            not any(_refuses(bits, known) for known in states) for bits in (OPENS, CLICKS)
        )
    only = _digest_of(addresses[0], key) if len(addresses) == 1 else []
    return Decision(opens, clicks, only[0] if only else None)


def digest_of_address(address: str) -> int | None:
    """Return the digest of an address, or ``None`` if no address has one yet; without a query.

    Args:
        address: any text.
    """
    digests = _digest_of(address, snapshot.current.address_key)
    return digests[0] if digests else None


def _digest_of(address: str, key: bytes | None) -> list[int]:
    """Return the digest of an address, if there is one."""
    if key is None:
        return []
    try:
        return [identify_address(str(address), key).digest]
    except ValueError:  # the server will refuse it
        return []


def refuses(kind: str, entity: Reference | None, recipient: int | None) -> bool:
    """Return whether a hit must not be recorded, as far as this process knows; without a query.

    A process that has not read the ledger yet refuses nothing: the writer looks again.

    Args:
        kind: of :class:`tracking.hits.Kind`.
        entity: the row of the recipient.
        recipient: the digest of its address.
    """
    bits = _BITS.get(kind)
    if bits is None or not (snapshot.is_loaded or compat.is_test_environment()):
        return False
    content = snapshot.current
    if content.is_empty and policy().records_unknown:
        return False
    digests = _digests(entity, recipient)
    return bool(digests) and _refuses(bits, [content.state_of(digest) for digest in digests])


def without_refused(hits: Collection[AnyHit]) -> Collection[AnyHit]:
    """Return the hits that may be written now: what writers ask.

    Args:
        hits: any hits. Page views, and hits without a recipient, need no consent.

    Raises:
        django.db.Error: the database does not answer.
    """
    concerned = {
        hit.id: _digests(hit.entity, hit.recipient)
        for hit in hits
        if isinstance(hit, Hit) and hit.kind in _BITS and (hit.entity or hit.recipient is not None)
    }
    if not concerned:
        return hits
    states = _fresh_states(digest for digests in concerned.values() for digest in digests)
    if not states and policy().records_unknown:
        return hits
    refused = {
        hit.id
        for hit in hits
        if hit.id in concerned
        and _refuses(
            _BITS[hit.kind],  # type: ignore[union-attr]
            [states.get(digest, 0) for digest in concerned[hit.id]],
        )
    }
    if refused:
        logger.info("%s hits of recipients who have not agreed are dropped", len(refused))
    return [hit for hit in hits if hit.id not in refused]


def find_refusing(kind: str, entities: Iterable[Reference]) -> set[Reference]:
    """Return those recipients of whom no hits of a kind may be written now: what writers ask.

    Args:
        kind: ``open`` or ``click``.
        entities: the rows of the recipients.

    Raises:
        django.db.Error: the database does not answer.
    """
    digests = {entity: digest_of_row(entity) for entity in entities}
    if not digests:
        return set()
    states = _fresh_states(digests.values())
    if not states and policy().records_unknown:
        return set()
    bits = _BITS[kind]
    return {one for one, digest in digests.items() if _refuses(bits, [states.get(digest, 0)])}


def _fresh_states(digests: Iterable[int]) -> Mapping[int, int]:
    """Return what recipients have said, not more than ``MAX_AGE`` seconds ago."""
    if compat.is_test_environment() or _is_fresh():
        content = snapshot.current
        if content.is_empty:
            return {}
        return {digest: state for digest in digests if (state := content.state_of(digest))}
    if _empty_ledger.is_known():
        return {}
    states = find_states(set(digests))
    if not states:
        _empty_ledger.look()
    return states


def _is_fresh() -> bool:
    age = snapshots.freshness().age
    is_recent = age is not None and age < MAX_AGE
    return snapshot.is_loaded and is_recent and not snapshots.is_failing()


class _EmptyLedger:
    """Whether the ledger has no rows: sites that do not use it get no query for each batch."""

    #: Seconds for which a look counts.
    SECONDS = 0.5

    def __init__(self) -> None:
        self._until = -math.inf

    def is_known(self) -> bool:
        """Return whether the ledger was empty half a second ago."""
        return monotonic() < self._until

    def look(self) -> None:
        """Find out whether it is empty."""
        now = monotonic()
        rows = MailConsent.objects.using(router.db_for_write(MailConsent))
        self._until = -math.inf if rows.exists() else now + self.SECONDS


_empty_ledger = _EmptyLedger()


def _digests(entity: Reference | None, recipient: int | None) -> list[int]:
    digests = [] if entity is None else [digest_of_row(entity)]
    if recipient is not None:
        digests.append(recipient)
    return digests


def _refuses(bits: int, states: Iterable[int]) -> bool:
    """Return whether a recipient refuses that is known by several digests.

    Args:
        bits: ``OPENS`` or ``CLICKS``.
        states: what is known by each of them.
    """
    said = {state >> bits & 3 for state in states}
    return DENIED in said or (policy().needs_grant[bits] and GRANTED not in said)

"""Change verdicts: the rows, the counts of their days, and whoever listens.

A change and the note that its day is counted again are one transaction. So the counts of a day
follow even if the day is counted at the same moment: see :mod:`tracking.rollups.build`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import router, transaction
from django.utils import timezone

from tracking.db.chunks import KEYS_PER_QUERY, in_batches
from tracking.db.retry import retry_transaction
from tracking.enrichment.enrich import enrich_address
from tracking.enrichment.verdict_rules import Label, Verdict, describes_reader
from tracking.models import Beacon, SharedValue
from tracking.rollups import late_days
from tracking.signals import announce, verdicts_corrected
from tracking.verdicts.comparison import Change
from tracking.webhooks import outbox

#: The name of the row of :class:`tracking.models.SharedValue` that is locked while verdicts
#: change, so that each change happens once, and is announced once.
_LOCK = "verdict changes"


def correct(changes: Sequence[Change]) -> list[Change]:
    """Change verdicts, and send the signal.

    A row whose verdict is no longer the one that is to be changed stays as it is: another process
    was first.

    Args:
        changes: the changes, of different beacons.

    Returns:
        The changes that this call has made.

    Raises:
        django.db.DatabaseError: the database failed; some batches may have been changed.
    """
    using = router.db_for_write(Beacon)
    done: list[Change] = []
    for some in in_batches(changes, KEYS_PER_QUERY):
        made = retry_transaction(using, lambda some=some: _correct(some, using))  # type: ignore[misc]
        if made:
            _announce(made, using)
            done.extend(made)
    return done


def _correct(changes: Sequence[Change], using: str) -> list[Change]:
    rows = Beacon.objects.using(using).filter(
        # The times let PostgreSQL leave out the other partitions.
        time__range=(min(one.time for one in changes), max(one.time for one in changes))
    )
    with transaction.atomic(using=using):
        _lock(using)
        found = rows.filter(pk__in=[one.id for one in changes])
        now = {
            pk: (Verdict(Label(verdict), reason), address)
            for pk, verdict, reason, address in found.values_list(
                "pk", "verdict", "verdict_reason", "ip_address"
            )
            if verdict in Label.values
        }
        made = [one for one in changes if one.id in now and now[one.id][0] == one.before]
        addresses = {one.id: now[one.id][1] for one in made}
        for columns, keys in _updates(made, addresses):
            rows.filter(pk__in=keys).update(**columns)
        late_days.note(late_days.days_of(one.time for one in made), using)
        outbox.save_corrections({one.id: one.before for one in made}, using)
    return made


def _lock(using: str) -> None:
    """Lock until the end of the transaction. SQLite needs a write as first statement."""
    rows, now = SharedValue.objects.using(using), timezone.now()
    if not rows.filter(name=_LOCK).update(changed_at=now):
        rows.get_or_create(name=_LOCK, defaults={"changed_at": now})


def _updates(
    changes: Sequence[Change], addresses: Mapping[UUID, str | None]
) -> list[tuple[dict[str, Any], list[UUID]]]:
    """Return the new values of columns, each with the keys of the rows that get them."""
    groups: dict[tuple[Verdict, str | None, bool], list[UUID]] = defaultdict(list)
    for one in changes:
        is_readers = describes_reader(one.after.label)
        has_changed = is_readers != describes_reader(one.before.label)
        address = addresses[one.id] if has_changed and is_readers else None
        groups[one.after, address, has_changed].append(one.id)
    return [
        (
            {"verdict": verdict.label, "verdict_reason": verdict.reason}
            | (_location(address) if has_changed else {}),
            keys,
        )
        for (verdict, address, has_changed), keys in groups.items()
    ]


#: The columns that depend on the address, without a place.
_NO_PLACE = {"country": "", "region": "", "city": "", "latitude": None, "longitude": None}


def _location(address: str | None) -> dict[str, Any]:
    """Return the place of a reader whose address is known, and else no place."""
    found = enrich_address(address) if address else {}
    return _NO_PLACE | found


def _announce(changes: Sequence[Change], using: str) -> None:
    if not verdicts_corrected.has_listeners(Beacon):
        return
    beacons = Beacon.objects.using(using).in_bulk([one.id for one in changes])
    announce(
        verdicts_corrected,
        Beacon,
        beacons=[beacons[one.id] for one in changes if one.id in beacons],
        previous={one.id: one.before for one in changes},
    )

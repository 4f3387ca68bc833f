"""Ban many networks at once, such as those of an imported list."""

from collections.abc import Callable, Iterable
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

from django.db import connections, router, transaction
from django.utils import timezone

from tracking.bans.snapshot import snapshot
from tracking.caching import snapshots
from tracking.db.chunks import in_batches
from tracking.models import BannedIP

ROWS_PER_STATEMENT = 1_000
NETWORKS_PER_QUERY = 500


class BanEntry(NamedTuple):
    """A ban to make, or one that exists.

    Attributes:
        line: the number of its line in a list, from 1; 0 if it is from no list.
        network: the canonical form of an address or network.
        reason: the reason, at most 200 characters.
        expires_at: when it expires, or ``None`` for never.
    """

    line: int
    network: str
    reason: str
    expires_at: datetime | None

    @property
    def is_expired(self) -> bool:
        """Whether the ban has expired already."""
        return self.expires_at is not None and self.expires_at <= timezone.now()


class ExistingBanPolicy(Enum):
    """What to do with a network that is banned already."""

    #: Leave the ban unchanged.
    KEEP = "keep"
    #: Keep the reason, and let the ban end when the later of the two does.
    EXTEND = "extend"
    #: Replace reason and expiry.
    REPLACE = "replace"


class BulkBanResult(NamedTuple):
    """The networks of a list, by what happened to them."""

    #: They were not banned before.
    new: list[str]
    #: They were banned, and their bans were updated.
    updated: list[str]
    #: They were banned, and their bans were left unchanged.
    unchanged: list[str]


def active_bans(networks: Iterable[str], using: str | None = None) -> dict[str, BanEntry]:
    """Return the active bans of those of the networks that are banned, by network.

    Args:
        networks: networks in their canonical form.
        using: the alias of the database; by default the one the router reads from.
    """
    rows: Any = BannedIP.objects.using(using).live().with_readable_expiry()
    found: dict[str, BanEntry] = {}
    for some in in_batches(networks, NETWORKS_PER_QUERY):
        values = rows.filter(network__in=some).values_list("network", "reason", "expiry")
        found.update((network, BanEntry(0, network, *row)) for network, *row in values)
    return found


def _replace_all(_network: str) -> ExistingBanPolicy:
    return ExistingBanPolicy.REPLACE


def ban_all(
    entries: Iterable[BanEntry], policy_for: Callable[[str], ExistingBanPolicy] = _replace_all
) -> BulkBanResult:
    """Ban all networks of a list, or none. If a network is listed twice, the last entry counts.

    Args:
        entries: the bans.
        policy_for: returns for a network what to do with its active ban.

    Raises:
        django.db.Error: the database failed.
    """
    # Read to the end first: a slow pipe must not keep a transaction open.
    wanted = {entry.network: entry for entry in entries}
    using = router.db_for_write(BannedIP)
    result = BulkBanResult([], [], [])
    if not wanted:
        return result
    # One transaction, so that other processes reload the list once, not for each batch. It first
    # writes the row that every writer of bans writes first. So no two writers deadlock, and nobody
    # changes what is looked up here.
    with transaction.atomic(using=using):
        snapshots.changed(snapshot.name, using)
        for batch in in_batches(wanted.values(), ROWS_PER_STATEMENT):
            _ban_batch(batch, policy_for, using, result)
    return result


def _ban_batch(
    batch: list[BanEntry],
    policy_for: Callable[[str], ExistingBanPolicy],
    using: str,
    result: BulkBanResult,
) -> None:
    """Ban some networks, and add them to the result."""
    active = active_bans((entry.network for entry in batch), using)
    changed: list[BanEntry] = []
    for entry in batch:
        network = entry.network
        if network not in active:
            result.new.append(network)
            changed.append(entry)
        elif (policy := policy_for(network)) is ExistingBanPolicy.KEEP:
            result.unchanged.append(network)
        else:
            result.updated.append(network)
            is_replaced = policy is ExistingBanPolicy.REPLACE
            changed.append(entry if is_replaced else _extended(active[network], entry))
    _upsert(changed, using)


def _extended(old: BanEntry, new: BanEntry) -> BanEntry:
    ends = [old.expires_at, new.expires_at]
    later = None if None in ends else max(end for end in ends if end is not None)
    return old._replace(expires_at=later)


def _upsert(entries: Iterable[BanEntry], using: str) -> None:
    needs_target = connections[using].features.supports_update_conflicts_with_target
    BannedIP.objects.using(using).bulk_create(
        [
            BannedIP(network=entry.network, reason=entry.reason, expires_at=entry.expires_at)
            for entry in entries
        ],
        update_conflicts=True,
        update_fields=["reason", "expires_at"],
        unique_fields=["network"] if needs_target else None,
    )

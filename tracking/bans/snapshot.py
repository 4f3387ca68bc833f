"""The ban list in memory, and when a process reloads it.

A change by any process is effective in all processes within half a second::

    is_banned("192.0.2.7")            # refreshes the list if that is due

Middleware lets a thread refresh the list, and looks the address up in what there is::

    if snapshots.is_due():
        await snapshots.refresh_for_request(wait)
    is_in_snapshot("192.0.2.7")       # a look-up in memory, below a microsecond
"""

from collections.abc import Iterable
from typing import Any

from django.dispatch import receiver

from tracking.bans.prefix_set import PrefixSet
from tracking.caching import snapshots
from tracking.db.chunks import read_in_chunks
from tracking.models import BannedIP
from tracking.models.change_signals import rows_changed
from tracking.signals import address_banned, announce


def is_banned(address: str | None) -> bool:
    """Return whether an address is banned.

    It sees the bans of this process at once, those of others within half a second. If a refresh of
    the list is due, it queries the database, unless this process serves requests or an event loop
    runs it.

    Args:
        address: the client's address; ``None`` is never banned.
    """
    if snapshots.is_due():
        snapshots.refresh()
    return is_in_snapshot(address)


def is_in_snapshot(address: str | None) -> bool:
    """Return whether an address is banned as far as this process knows; without any query.

    Args:
        address: the client's address; ``None`` is never banned.
    """
    return address is not None and address in snapshot.current


def _load(using: str) -> PrefixSet:
    rows = BannedIP.objects.using(using).live().with_readable_expiry()
    return PrefixSet.from_networks(read_in_chunks(rows, "network", "expiry"))


#: The ban list, shared by all processes of the site.
snapshot = snapshots.Snapshot("bans", _load, PrefixSet(), BannedIP)


@receiver(rows_changed, sender=BannedIP)
def _send_signals(new: Iterable[BannedIP], **_: Any) -> None:
    if address_banned.has_listeners(BannedIP):
        for instance in new:
            announce(address_banned, BannedIP, ban=instance)

"""Who is kept out: the ban list in memory, and what is done to it.

if snapshots.due():
    snapshots.refresh()
is_banned("192.0.2.7")            # a look at the memory, below a microsecond

ban("192.0.2.0/24", reason="Scrapes the shop")
"""

import ipaddress
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from itertools import takewhile
from typing import Any

from django.db.models import Q, QuerySet
from django.dispatch import receiver
from django.utils.translation import gettext as _

from tracking import client, snapshots
from tracking.announcements import announce
from tracking.ban_list import BanList, Prefix
from tracking.columns import without_nul
from tracking.conf import conf
from tracking.models import BannedIP, Visitor
from tracking.models.unwanted import unwanted_changed, unwanted_changing
from tracking.signals import address_banned

#: Rows that are fetched by one query.
CHUNK = 20_000

#: How many bits the wide network around a visitor has in common with its address: what one
#: customer of a provider usually has, or has a part of.
WIDE_BITS = (24, 64)

#: How many bits a network must have. Two networks of one bit are everybody; so is 2000::/3,
#: the only part of IPv6 that is in use.
LEAST_BITS = (3, 4)


def is_banned(address: str | None) -> bool:
    """Return whether an address is kept out.

    It looks at the snapshot only; whether that is up to date is the caller's business.

    Args:
        address: as :func:`tracking.client.address` returns it; nobody bans the unknown.
    """
    return address is not None and address in snapshot.current


def _load(using: str) -> BanList:
    rows = BannedIP.objects.using(using).live().with_ends()
    return BanList.build(in_chunks(rows, "network", "ends"))


#: The ban list, as all processes of the site know it.
snapshot = snapshots.Snapshot("bans", _load, BanList())


@receiver(unwanted_changing, sender=BannedIP)
def _changing(using: str, **_: Any) -> None:
    snapshots.changed(snapshot.name, using)


@receiver(unwanted_changed, sender=BannedIP)
def _changed(new: Iterable[BannedIP], **_: Any) -> None:
    if address_banned.has_listeners(BannedIP):
        for instance in new:
            announce(address_banned, BannedIP, ban=instance)


# What is done to the list.


def ban(network: str, reason: str = "", expires_at: datetime | None = None) -> BannedIP:
    """Ban an address or a network. A ban that exists gets the new reason and expiry.

    Args:
        network: an address or a network in CIDR notation.
        reason: for whoever reads the list; 200 characters at most.
        expires_at: when it ends (aware), or ``None`` for never.

    Raises:
        django.core.exceptions.ValidationError: ``network`` is neither, the reason is too long,
            or the end too far away.
    """
    wanted = BannedIP(network=network, reason=without_nul(reason), expires_at=expires_at)
    wanted.clean_fields()
    banned, _is_new = BannedIP.objects.update_or_create(
        network=wanted.network,
        defaults={"reason": wanted.reason, "expires_at": wanted.expires_at},
    )
    return banned


def unban(networks: Iterable[str]) -> int:
    """Let in again what was banned under exactly these names, and return how many were.

    Raises:
        django.core.exceptions.ValidationError: one is neither an address nor a network.
    """
    deleted, _by_model = BannedIP.objects.filter(network__in=list(networks)).delete()
    return deleted


def objections(network: str, *, own_address: str | None) -> list[str]:
    """Return what speaks against a ban, each as a sentence for people.

    Args:
        network: an address or a network.
        own_address: the address of who asks for the ban, if it is known.
    """
    wanted = client.network_of(network)
    if wanted is None:
        return [_("%s is neither an IP address nor a network.") % network]
    if wanted.prefixlen == 0:
        return [_("%s is everybody.") % wanted]
    if wanted.prefixlen < LEAST_BITS[wanted.version == 6]:  # noqa: PLR2004
        return [_("%s is a large part of the whole Internet.") % wanted]
    found = []
    if own_address is not None and ipaddress.ip_address(own_address) in wanted:
        found.append(_("You are at %s: this would keep out yourself.") % own_address)
    found += [
        _("It overlaps %s, which TRACKING_TRUSTED_PROXIES says is a proxy of this site.") % proxy
        for proxy in client.trusted_networks()
        # A setting that believes half of the world must not make bans impossible.
        if proxy.prefixlen > 1 and proxy.version == wanted.version and proxy.overlaps(wanted)
    ]
    return found


def network_for(address: str, *, wide: bool) -> str:
    """Return what to ban to keep out a visitor.

    Args:
        address: its address as it is recorded. Where ``TRACKING_ANONYMIZE_IP`` masks it, that
            stands for a network, and nothing smaller can be banned.
        wide: whether to ban the network around it (``/24``, or ``/64`` of IPv6).
    """
    parsed = ipaddress.ip_address(address)
    version = 0 if parsed.version == 4 else 1  # noqa: PLR2004
    masked = conf.anonymize_ip
    bits: int = parsed.max_prefixlen
    if client.are_bits(masked):
        bits = masked[version]
    elif masked is not False:
        bits = (client.IPV4_BITS, client.IPV6_BITS)[version]
    if wide:
        bits = min(bits, WIDE_BITS[version])
    if bits == parsed.max_prefixlen:
        return str(parsed)
    return str(ipaddress.ip_network((address, bits), strict=False))


def keeping_out(network: str) -> list[str]:
    """Return the bans in force that keep out all of an address or network, the widest first."""
    around = networks_around(network)
    found = BannedIP.objects.live().filter(network__in=around).values_list("network", flat=True)
    return sorted(found, key=around.index)


def networks_around(address: str, *, at_most: tuple[int, int] = (32, 128)) -> list[str]:
    """Return all networks that contain an address or network, as they are spelled in the table.

    Args:
        address: an address or a network; for anything else there are none.
        at_most: the longest prefixes, of IPv4 and of IPv6.
    """
    inner = client.network_of(address)
    if inner is None:
        return []
    longest = min(inner.prefixlen, at_most[0] if inner.version == 4 else at_most[1])  # noqa: PLR2004
    networks = [str(inner.supernet(new_prefix=bits)) for bits in range(longest + 1)]
    if longest == inner.max_prefixlen:
        networks[-1] = str(inner.network_address)
    return networks


# Whom a ban would hit.


def visitors_hit(networks: Iterable[str], *, minutes: float | None = None) -> int:
    """Return how many of the visitors who are on the site now would be kept out.

    Args:
        networks: what would be banned.
        minutes: who counts as being on the site; by default ``TRACKING_TIMEOUT``.
    """
    networks = list(networks)
    wanted = BanList.build((network, None) for network in networks)
    return sum(address in wanted for address in _active_addresses(networks, minutes))


def visitors_by_network(networks: Iterable[str], *, minutes: float | None = None) -> dict[str, int]:
    """Return for each network how many visitors who are on the site now it would keep out.

    Args:
        networks: what would be banned, each an address or a network.
        minutes: who counts as being on the site; by default ``TRACKING_TIMEOUT``.
    """
    prefixes = {network: Prefix.of(network) for network in networks}
    wanted = BanList.build((network, None) for network in prefixes)
    counts: Counter[Prefix | None] = Counter()
    for address in _active_addresses(prefixes, minutes):
        counts.update(wanted.prefixes(address))
    return {network: counts[prefix] for network, prefix in prefixes.items()}


#: Networks up to which the database looks for addresses that begin like them.
_FEW = 20


def _active_addresses(networks: Collection[str], minutes: float | None) -> Iterator[str]:
    """Yield the addresses of who is on the site now, of which some may be in the networks."""
    active = Visitor.objects.active(minutes).exclude(ip_address=None)
    beginnings = {_beginning(network) for network in networks}
    if len(beginnings) <= _FEW and "" not in beginnings:
        # To compare texts in the database is far cheaper than to read 100,000 of them.
        alike = Q(ip_address__startswith="::ffff:")  # another spelling of IPv4
        for beginning in beginnings:
            alike |= Q(ip_address__startswith=beginning)
        active = active.filter(alike)
    return (address for (address,) in in_chunks(active, "ip_address"))


def _beginning(network: str) -> str:
    """Return how all addresses of a network begin as text, ``""`` if that is not known.

    >>> _beginning("203.0.113.0/24"), _beginning("2001:db8:1b00::/40"), _beginning("::/8")
    ('203.0.113.', '2001:db8:', '')
    """
    found = client.network_of(network)
    if found is None:
        return ""
    text = found.network_address.exploded
    if found.version == 4:  # noqa: PLR2004
        octets = text.split(".")[: found.prefixlen // 8]
        return ".".join(octets) + "." * (0 < len(octets) < 4)  # noqa: PLR2004
    groups = [int(group, 16) for group in text.split(":")[: found.prefixlen // 16]]
    # Groups of zeros may be left out, and so all that follows is uncertain.
    return "".join(f"{group:x}:" for group in takewhile(bool, groups[:7]))


def in_chunks(rows: QuerySet[Any], *columns: str) -> Iterator[tuple[Any, ...]]:
    """Yield columns of all rows, a bounded number in memory at a time.

    Not ``QuerySet.iterator()``: its cursors fail behind a pooler such as PgBouncer.
    """
    ordered = rows.order_by("pk").values_list("pk", *columns)
    chunk = list(ordered[:CHUNK])
    while chunk:
        for row in chunk:
            yield row[1:]
        if len(chunk) < CHUNK:
            return
        chunk = list(ordered.filter(pk__gt=chunk[-1][0])[:CHUNK])

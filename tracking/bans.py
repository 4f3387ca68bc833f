"""Who is kept out: the ban list in memory, and what is done to it.

    if snapshots.due():
        snapshots.refresh()
    is_banned("192.0.2.7")            # a look at the memory, below a microsecond

    ban("192.0.2.0/24", reason="Scrapes the shop")

The list is one set of integers for each length of prefix that occurs in it, IPv4 and IPv6
apart. An address is banned if its first so many bits are in one of them.
"""

import ipaddress
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any, NamedTuple

from django.db.models import QuerySet
from django.dispatch import receiver
from django.utils.translation import gettext as _

from tracking import client, snapshots
from tracking.announcements import announce
from tracking.columns import without_nul
from tracking.conf import conf
from tracking.models import BannedIP, Visitor
from tracking.models.unwanted import unwanted_changed
from tracking.signals import address_banned

logger = logging.getLogger(__name__)

#: Rows that are fetched by one query.
CHUNK = 20_000

#: How many bits the wide network around a visitor has in common with its address: what one
#: customer of a provider usually has, or has a part of.
WIDE_BITS = (24, 64)

_MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96, RFC 4291, section 2.5.5.2


class Prefix(NamedTuple):
    """The first bits of an address, as a number."""

    is_six: bool
    #: How many bits follow.
    shift: int
    number: int

    @classmethod
    def of(cls, network: str) -> "Prefix | None":
        """Return what the addresses of a network begin with, or ``None`` if it is none."""
        # Stored networks are canonical; the class of the standard library takes ten times as
        # long, and is asked only where something is odd.
        address, slash, bits = network.partition("/")
        is_six = ":" in address
        try:
            packed = inet_pton(AF_INET6 if is_six else AF_INET, address)
            shift = 8 * len(packed) - int(bits) if slash else 0
        except (OSError, ValueError):
            return cls._of_odd(network)
        if not 0 <= shift <= 8 * len(packed) or packed.startswith(_MAPPED):
            return cls._of_odd(network)
        return cls(is_six, shift, int.from_bytes(packed) >> shift)

    @classmethod
    def _of_odd(cls, text: str) -> "Prefix | None":
        network = client.network_of(text.strip())
        if network is None:
            return None
        shift = network.max_prefixlen - network.prefixlen
        return cls(network.version == 6, shift, int(network.network_address) >> shift)  # noqa: PLR2004


class BanList:
    """Networks, made for one question: whether an address is in any of them.

    Attributes:
        until: the POSIX time at which the first of them expires.
    """

    def __init__(self) -> None:
        """Make an empty list."""
        self.until = snapshots.NEVER
        self._four: dict[int, set[int]] = {}
        self._six: dict[int, set[int]] = {}

    @classmethod
    def build(cls, rows: Iterable[tuple[str, datetime | None]]) -> "BanList":
        """Return the list of the networks.

        Args:
            rows: each network with the time until which it is meant, or ``None`` for ever.
        """
        made = cls()
        odd: list[str] = []
        for network, expires_at in rows:
            prefix = Prefix.of(network)
            if prefix is None:
                odd.append(network)
                continue
            made._add(prefix)
            if expires_at is not None:
                made.until = min(made.until, expires_at.timestamp())
        if odd:
            logger.error(
                "%d banned networks make no sense and are left out, such as %r", len(odd), odd[0]
            )
        return made

    def _add(self, prefix: Prefix) -> None:
        numbers = self._six if prefix.is_six else self._four
        numbers.setdefault(prefix.shift, set()).add(prefix.number)

    def __contains__(self, address: str) -> bool:
        try:
            if ":" not in address:
                number = int.from_bytes(inet_pton(AF_INET, address))
                numbers = self._four
            else:
                packed = inet_pton(AF_INET6, address)
                mapped = packed.startswith(_MAPPED)
                number = int.from_bytes(packed[12:] if mapped else packed)
                numbers = self._four if mapped else self._six
        except (OSError, ValueError):
            return False  # no address is in no network
        for shift, banned in numbers.items():  # noqa: SIM110 - any() takes three times as long
            if number >> shift in banned:
                return True
        return False

    def prefixes(self, address: str) -> Iterator[Prefix]:
        """Yield the prefixes of all networks that the address is in."""
        whole = Prefix.of(address)
        if whole is None:
            return
        for shift, banned in (self._six if whole.is_six else self._four).items():
            if whole.number >> shift in banned:
                yield Prefix(whole.is_six, shift, whole.number >> shift)


def is_banned(address: str | None) -> bool:
    """Return whether an address is kept out.

    It looks at the snapshot only; whether that is up to date is the caller's business.

    Args:
        address: as :func:`tracking.client.address` returns it; nobody bans the unknown.
    """
    return address is not None and address in snapshot.current


def _load(using: str) -> BanList:
    return BanList.build(in_chunks(BannedIP.objects.using(using).live(), "network", "expires_at"))


#: The ban list, as all processes of the site know it.
snapshot = snapshots.Snapshot("bans", _load, BanList(), until=lambda bans: bans.until)


@receiver(unwanted_changed, sender=BannedIP)
def _changed(using: str, new: Iterable[BannedIP], **_: Any) -> None:
    snapshots.changed(snapshot.name, using)
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
        django.core.exceptions.ValidationError: ``network`` is neither, or the reason is too long.
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
    wanted = BanList.build((network, None) for network in networks)
    return sum(address in wanted for address in _active_addresses(minutes))


def visitors_by_network(networks: Iterable[str], *, minutes: float | None = None) -> dict[str, int]:
    """Return for each network how many visitors who are on the site now it would keep out.

    Args:
        networks: what would be banned, each an address or a network.
        minutes: who counts as being on the site; by default ``TRACKING_TIMEOUT``.
    """
    prefixes = {network: Prefix.of(network) for network in networks}
    wanted = BanList.build((network, None) for network in prefixes)
    counts: Counter[Prefix | None] = Counter()
    for address in _active_addresses(minutes):
        counts.update(wanted.prefixes(address))
    return {network: counts[prefix] for network, prefix in prefixes.items()}


def _active_addresses(minutes: float | None) -> Iterator[str]:
    active = Visitor.objects.active(minutes).exclude(ip_address=None)
    return (address for (address,) in in_chunks(active, "ip_address"))


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

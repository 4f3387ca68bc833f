"""What a ban would do before it is made: objections, and how many visitors it would hit."""

import ipaddress
from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from django.db.models import Q
from django.utils.translation import gettext as _

from tracking import client_address
from tracking.bans.networks import common_text_prefix, containing_networks
from tracking.bans.prefix_set import Prefix, PrefixSet
from tracking.db.chunks import read_in_chunks
from tracking.models import BannedIP, Visitor

#: How many bits a network must have. Two networks of one bit are everybody; so is 2000::/3,
#: the only part of IPv6 that is in use.
LEAST_BITS = (3, 4)


def find_objections(network: str, *, own_address: str | None) -> list[str]:
    """Return what speaks against a ban, each as a sentence for people.

    Args:
        network: an address or a network.
        own_address: the address of who asks for the ban, if it is known.
    """
    wanted = client_address.network_of(network)
    if wanted is None:
        return [_("%s is neither an IP address nor a network.") % network]
    if wanted.prefixlen == 0:
        return [_("%s contains every address.") % wanted]
    if wanted.prefixlen < LEAST_BITS[wanted.version == 6]:  # noqa: PLR2004
        return [_("%s is a large part of the Internet.") % wanted]
    found = []
    if own_address is not None and ipaddress.ip_address(own_address) in wanted:
        found.append(_("Your address is %s: this would lock you out.") % own_address)
    found += [
        _("It overlaps %s, a proxy of this site (TRACKING_TRUSTED_PROXIES).") % proxy
        for proxy in client_address.trusted_networks()
        # A setting that believes half of the world must not make bans impossible.
        if proxy.prefixlen > 1 and proxy.version == wanted.version and proxy.overlaps(wanted)
    ]
    return found


def bans_covering(network: str) -> list[str]:
    """Return the bans in force that keep out all of an address or network, the widest first."""
    around = containing_networks(network)
    found = BannedIP.objects.live().filter(network__in=around).values_list("network", flat=True)
    return sorted(found, key=around.index)


def count_affected_visitors(networks: Iterable[str], *, minutes: float | None = None) -> int:
    """Return how many of the visitors who are on the site now would be kept out.

    Args:
        networks: what would be banned.
        minutes: who counts as being on the site; by default ``TRACKING_TIMEOUT``.
    """
    networks = list(networks)
    wanted = PrefixSet.from_networks((network, None) for network in networks)
    return sum(address in wanted for address in _active_addresses(networks, minutes))


def count_affected_by_network(
    networks: Iterable[str], *, minutes: float | None = None
) -> dict[str, int]:
    """Return for each network how many visitors who are on the site now it would keep out.

    Args:
        networks: what would be banned, each an address or a network.
        minutes: who counts as being on the site; by default ``TRACKING_TIMEOUT``.
    """
    prefixes = {network: Prefix.of(network) for network in networks}
    wanted = PrefixSet.from_networks((network, None) for network in prefixes)
    counts: Counter[Prefix | None] = Counter()
    for address in _active_addresses(prefixes, minutes):
        counts.update(wanted.matching_prefixes(address))
    return {network: counts[prefix] for network, prefix in prefixes.items()}


#: Networks up to which the database looks for addresses that begin like them.
_FEW = 20


def _active_addresses(networks: Collection[str], minutes: float | None) -> Iterator[str]:
    """Yield the addresses of who is on the site now, of which some may be in the networks."""
    active = Visitor.objects.active(minutes).exclude(ip_address=None)
    beginnings = {common_text_prefix(network) for network in networks}
    if len(beginnings) <= _FEW and "" not in beginnings:
        # To compare texts in the database is far cheaper than to read 100,000 of them.
        alike = Q(ip_address__startswith="::ffff:")  # another spelling of IPv4
        for beginning in beginnings:
            alike |= Q(ip_address__startswith=beginning)
        active = active.filter(alike)
    return (address for (address,) in read_in_chunks(active, "ip_address"))

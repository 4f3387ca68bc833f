"""Preview a ban: objections, and the number of visitors it would affect."""

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

#: The shortest prefixes that may be banned, IPv4 and IPv6. Two networks of one bit contain every
#: address, and 2000::/3 contains all IPv6 addresses in use.
MIN_PREFIX_LENGTHS = (3, 4)


def find_objections(network: str, *, own_address: str | None) -> list[str]:
    """Return the objections to a ban, as translated sentences.

    Args:
        network: an address or a network.
        own_address: the address of the user who asks for the ban, if known.
    """
    wanted = client_address.network_of(network)
    if wanted is None:
        return [_("%s is neither an IP address nor a network.") % network]
    if wanted.prefixlen == 0:
        return [_("%s contains every address.") % wanted]
    if wanted.prefixlen < MIN_PREFIX_LENGTHS[wanted.version == 6]:  # noqa: PLR2004
        return [_("%s is a large part of the Internet.") % wanted]
    found = []
    if own_address is not None and ipaddress.ip_address(own_address) in wanted:
        found.append(_("Your address is %s: this would lock you out.") % own_address)
    found += [
        _("It overlaps %s, a proxy of this site (TRACKING_TRUSTED_PROXIES).") % proxy
        for proxy in client_address.trusted_networks()
        # A setting that trusts half of all addresses must not make bans impossible.
        if proxy.prefixlen > 1 and proxy.version == wanted.version and proxy.overlaps(wanted)
    ]
    return found


def bans_covering(network: str) -> list[str]:
    """Return the active bans that contain an address or network, the widest first.

    Args:
        network: an address or a network.
    """
    around = containing_networks(network)
    found = BannedIP.objects.live().filter(network__in=around).values_list("network", flat=True)
    return sorted(found, key=around.index)


def count_affected_visitors(networks: Iterable[str], *, minutes: float | None = None) -> int:
    """Return how many active visitors a ban of all these networks would affect.

    Args:
        networks: addresses and networks.
        minutes: a visitor is active for this long after a page; by default ``TRACKING_TIMEOUT``.
    """
    networks = list(networks)
    wanted = PrefixSet.from_networks((network, None) for network in networks)
    return sum(address in wanted for address in _active_addresses(networks, minutes))


def count_affected_by_network(
    networks: Iterable[str], *, minutes: float | None = None
) -> dict[str, int]:
    """Return how many active visitors a ban of each network would affect, by network.

    Args:
        networks: addresses and networks.
        minutes: a visitor is active for this long after a page; by default ``TRACKING_TIMEOUT``.
    """
    prefixes = {network: Prefix.of(network) for network in networks}
    wanted = PrefixSet.from_networks((network, None) for network in prefixes)
    counts: Counter[Prefix | None] = Counter()
    for address in _active_addresses(prefixes, minutes):
        counts.update(wanted.matching_prefixes(address))
    return {network: counts[prefix] for network, prefix in prefixes.items()}


#: Up to this many networks, the database filters addresses by their text.
_MAX_TEXT_FILTERS = 20


def _active_addresses(networks: Collection[str], minutes: float | None) -> Iterator[str]:
    """Yield the addresses of active visitors, at least those in the networks."""
    active = Visitor.objects.active(minutes).exclude(ip_address=None)
    text_prefixes = {common_text_prefix(network) for network in networks}
    if len(text_prefixes) <= _MAX_TEXT_FILTERS and "" not in text_prefixes:
        # Comparing text in the database is far cheaper than reading 100,000 addresses.
        may_match = Q(ip_address__startswith="::ffff:")  # IPv4 addresses in IPv6 notation
        for text_prefix in text_prefixes:
            may_match |= Q(ip_address__startswith=text_prefix)
        active = active.filter(may_match)
    return (address for (address,) in read_in_chunks(active, "ip_address"))

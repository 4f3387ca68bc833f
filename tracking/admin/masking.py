"""IP addresses and networks, masked for users who may not view full addresses."""

import ipaddress

from django.http import HttpRequest
from django.utils.translation import gettext

from tracking import client_address

#: Prefix lengths of masked addresses, of IPv4 and of IPv6. They identify nobody.
MASK_PREFIXES = (client_address.IPV4_BITS, client_address.IPV6_BITS)


def may_view_full_addresses(request: HttpRequest) -> bool:
    """Return whether the user may view full IP addresses."""
    return request.user.has_perm("tracking.view_full_address")


def is_coarse(network: str) -> bool:
    """Return whether a network is at least as wide as a masked address."""
    parsed = client_address.network_of(network)
    return parsed is not None and parsed.prefixlen <= MASK_PREFIXES[parsed.version == 6]  # noqa: PLR2004


def display_network(network: str, *, full: bool) -> str:
    """Return a network as text for people.

    Args:
        network: an address or a network.
        full: whether the user may view full addresses. If not, the text names the
            surrounding network.
    """
    if full or is_coarse(network):
        return network
    inner = ipaddress.ip_network(network, strict=False)
    surrounding = inner.supernet(new_prefix=MASK_PREFIXES[inner.version == 6])  # noqa: PLR2004
    return gettext("in %s") % surrounding

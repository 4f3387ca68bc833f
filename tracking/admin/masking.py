"""Networks, as far as whoever is looking may see them."""

import ipaddress

from django.http import HttpRequest
from django.utils.translation import gettext

from tracking import client_address

#: The longest prefixes that tell nothing of a person, of IPv4 and of IPv6.
MASK = (client_address.IPV4_BITS, client_address.IPV6_BITS)


def may_see_whole(request: HttpRequest) -> bool:
    """Return whether whole addresses may be seen."""
    return request.user.has_perm("tracking.view_full_address")


def is_wide(network: str) -> bool:
    """Return whether a network is no smaller than what a masked address shows."""
    parsed = client_address.network_of(network)
    return parsed is not None and parsed.prefixlen <= MASK[parsed.version == 6]  # noqa: PLR2004


def shown(network: str, *, whole: bool) -> str:
    """Return how a network is written for people.

    Args:
        network: an address or a network.
        whole: whether whole addresses may be seen; if not, it is the network around.
    """
    if whole or is_wide(network):
        return network
    inner = ipaddress.ip_network(network, strict=False)
    return gettext("in %s") % inner.supernet(new_prefix=MASK[inner.version == 6])  # noqa: PLR2004

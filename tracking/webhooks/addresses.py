"""To which addresses webhooks may go: to public ones, and to networks that the site names.

A URL of an endpoint must not reach what only the site's own network can reach, such as
``169.254.169.254``, where clouds hand out credentials.
"""

import ipaddress
from functools import cache

from tracking.client_address import network_of
from tracking.conf import conf, until_settings_change

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: NAT64 (RFC 6052): the last 32 bits are an IPv4 address.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_allowed(text: str) -> bool:
    """Return whether webhooks may be sent to an IP address.

    >>> is_allowed("192.168.1.1"), is_allowed("::ffff:127.0.0.1"), is_allowed("1.1.1.1")
    (False, False, True)

    Args:
        text: the address; what is none is not allowed.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    inner = _embedded(address) or address
    if any(inner.version == network.version and inner in network for network in _named()):
        return True
    return inner.is_global and not inner.is_multicast


def invalid_networks() -> list[str]:
    """Return what ``TRACKING_WEBHOOK_NETWORKS`` names that is neither address nor network."""
    networks = conf.webhook_networks
    if isinstance(networks, str):
        return [networks]
    return [str(text) for text in networks if network_of(str(text)) is None]


@until_settings_change
@cache
def _named() -> tuple[_Network, ...]:
    if isinstance(conf.webhook_networks, str):
        return ()
    found = (network_of(str(text)) for text in conf.webhook_networks)
    return tuple(network for network in found if network is not None)


def _embedded(address: _Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that a packet to an IPv6 address ends at."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)

"""Networks around an address, and how they are spelled in the table of bans."""

import ipaddress
from itertools import takewhile

from tracking import client_address
from tracking.conf import conf

#: How many bits the wide network around a visitor has in common with its address: what one
#: customer of a provider usually has, or has a part of.
WIDE_BITS = (24, 64)


def network_to_ban(address: str, *, wide: bool) -> str:
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
    if client_address.are_bits(masked):
        bits = masked[version]
    elif masked is not False:
        bits = (client_address.IPV4_BITS, client_address.IPV6_BITS)[version]
    if wide:
        bits = min(bits, WIDE_BITS[version])
    if bits == parsed.max_prefixlen:
        return str(parsed)
    return str(ipaddress.ip_network((address, bits), strict=False))


def containing_networks(address: str, *, at_most: tuple[int, int] = (32, 128)) -> list[str]:
    """Return all networks that contain an address or network, as they are spelled in the table.

    Args:
        address: an address or a network; for anything else there are none.
        at_most: the longest prefixes, of IPv4 and of IPv6.
    """
    inner = client_address.network_of(address)
    if inner is None:
        return []
    longest = min(inner.prefixlen, at_most[0] if inner.version == 4 else at_most[1])  # noqa: PLR2004
    networks = [str(inner.supernet(new_prefix=bits)) for bits in range(longest + 1)]
    if longest == inner.max_prefixlen:
        networks[-1] = str(inner.network_address)
    return networks


def common_text_prefix(network: str) -> str:
    """Return how all addresses of a network begin as text, ``""`` if that is not known.

    >>> common_text_prefix("203.0.113.0/24"), common_text_prefix("2001:db8:1b00::/40")
    ('203.0.113.', '2001:db8:')
    >>> common_text_prefix("::/8")
    ''
    """
    found = client_address.network_of(network)
    if found is None:
        return ""
    text = found.network_address.exploded
    if found.version == 4:  # noqa: PLR2004
        octets = text.split(".")[: found.prefixlen // 8]
        return ".".join(octets) + "." * (0 < len(octets) < 4)  # noqa: PLR2004
    groups = [int(group, 16) for group in text.split(":")[: found.prefixlen // 16]]
    # Groups of zeros may be left out, and so all that follows is uncertain.
    return "".join(f"{group:x}:" for group in takewhile(bool, groups[:7]))

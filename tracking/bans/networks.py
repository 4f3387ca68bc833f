"""Networks around an address, in the form in which bans are stored."""

import ipaddress
from itertools import takewhile

from tracking import client_address
from tracking.conf import conf
from tracking.models.fields import canonical_form

#: Prefix lengths of the wide network around a visitor, IPv4 and IPv6: providers usually give a
#: customer such a network or a part of one.
WIDE_BITS = (24, 64)


def network_to_ban(address: str, *, wide: bool) -> str:
    """Return the address or network to ban in order to lock out a visitor.

    Args:
        address: the visitor's address as it is recorded. If ``TRACKING_ANONYMIZE_IP`` masks it, it
            stands for a network, and nothing smaller can be banned.
        wide: whether to ban the network around the address (``/24``, or ``/64`` for IPv6).
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
    return canonical_form(ipaddress.ip_network((address, bits), strict=False))


def containing_networks(address: str, *, at_most: tuple[int, int] = (32, 128)) -> list[str]:
    """Return all networks that contain an address or network, the widest first.

    Args:
        address: an address or a network; anything else is contained in none.
        at_most: the longest prefixes, of IPv4 and IPv6.
    """
    inner = client_address.network_of(address)
    if inner is None:
        return []
    longest = min(inner.prefixlen, at_most[0] if inner.version == 4 else at_most[1])  # noqa: PLR2004
    return [canonical_form(inner.supernet(new_prefix=bits)) for bits in range(longest + 1)]


def common_text_prefix(network: str) -> str:
    """Return the text with which all addresses of a network start; ``""`` if it is unknown.

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
    # Groups of zeros may be abbreviated, so the text after the first one is uncertain.
    return "".join(f"{group:x}:" for group in takewhile(bool, groups[:7]))

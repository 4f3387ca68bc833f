"""Who sends a request: the client's address, and how it is shown to people.

>>> normalise("[::ffff:192.0.2.7]:443")
'192.0.2.7'
>>> mask("192.0.2.7"), mask("2001:db8:1:2::7")
('192.0.2.0', '2001:db8:1::')
"""

import ipaddress
import re

from django.http import HttpRequest

_IPV4_WITH_PORT = re.compile(r"(\d+\.\d+\.\d+\.\d+):\d+", re.ASCII)
_BRACKETED = re.compile(r"\[([^\]]*)\](?::\d+)?", re.ASCII)


def address(request: HttpRequest) -> str | None:
    """Return the address of the client that sent ``request``.

    It is the peer of the connection (``REMOTE_ADDR``). No header is believed, because
    a client writes headers as it pleases.

    Args:
        request: the request as Django hands it to a view or middleware.

    Returns:
        An IPv4 or IPv6 address in its canonical spelling (an IPv4 address mapped into
        IPv6 as IPv4), or ``None`` where there is none, as behind a unix socket.
    """
    return normalise(request.META.get("REMOTE_ADDR"))


def normalise(text: str | None) -> str | None:
    """Return the canonical spelling of an address, or ``None`` if ``text`` is not one.

    Args:
        text: an address, with or without port, brackets (``[::1]:443``) or zone.
    """
    if not text:
        return None
    text = text.strip()
    for spelling in (_IPV4_WITH_PORT, _BRACKETED):
        if match := spelling.fullmatch(text):
            text = match[1]
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return str(parsed)


def mask(address: str) -> str:
    """Return ``address`` with the part that tells one household from another set to zero.

    Args:
        address: an IPv4 or IPv6 address.

    Returns:
        The first address of its /24 (IPv4) or /48 (IPv6): the parts that, by common
        practice, are too coarse to single out a person.

    Raises:
        ValueError: ``address`` is not an IP address.
    """
    prefix = 24 if ipaddress.ip_address(address).version == 4 else 48  # noqa: PLR2004
    return str(ipaddress.ip_network((address, prefix), strict=False).network_address)

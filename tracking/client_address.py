"""The client's address behind proxies, and how much of it is recorded.

    >>> normalise("[::ffff:192.0.2.7]:443")
    '192.0.2.7'
    >>> mask("192.0.2.7"), mask("2001:db8:1:2::7")
    ('192.0.2.0', '2001:db8:1::')

Behind proxies, the connection comes from the nearest proxy, and a header lists the hops before
it. A client can send that header, too. So it is read from the nearest hop outwards, and only as
long as a hop is a proxy that the settings trust. The first hop that is not is the client.
"""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import chain
from typing import NamedTuple, TypeGuard

from django.http import HttpRequest

from tracking.conf import conf, until_settings_change

#: Bits of an address that masking keeps by default: by common practice, they do not identify
#: a person.
IPV4_BITS, IPV6_BITS = 24, 48

#: The name of a peer without address in ``TRACKING_TRUSTED_PROXIES``.
UNIX = "unix"


class Hop(NamedTuple):
    """One station of a request on its way from the client to the site.

    Attributes:
        text: the hop as the connection or the header names it.
        address: its address, or ``None`` if ``text`` is not an address.
        trusted: whether it is one of the site's proxies, which names the hop before it.
    """

    text: str
    address: str | None
    trusted: bool


def client_address(request: HttpRequest) -> str | None:
    """Return the address of the client that sent ``request``.

    Args:
        request: the request as Django hands it to a view or middleware.

    Returns:
        An IPv4 or IPv6 address in its canonical spelling (an IPv4 address mapped into IPv6 as
        IPv4), or ``None`` if it is not known, as behind a unix socket.
    """
    policy = _policy()
    remote = request.META.get("REMOTE_ADDR") or ""
    if not policy.has_proxies:
        return normalise(remote)
    return _last_address(hops(remote, request.META.get(policy.key, "")))


def anonymize(address: str | None) -> str | None:
    """Return as much of an address as ``TRACKING_ANONYMIZE_IP`` lets the site record.

    Args:
        address: as :func:`client_address` returns it.
    """
    bits = _policy().kept_bits
    return address if address is None or bits is None else mask(address, *bits)


def are_bits(value: object) -> TypeGuard[Sequence[int]]:
    """Return whether ``value`` is a pair of numbers of bits, of IPv4 and of IPv6."""
    if not isinstance(value, list | tuple) or len(value) != 2:  # noqa: PLR2004
        return False
    of_four, of_six = value
    return type(of_four) is type(of_six) is int and 0 <= of_four <= 32 and 0 <= of_six <= 128  # noqa: PLR2004


def hops(remote: str, header: str) -> Iterator[Hop]:
    """Yield the hops of a request from the nearest outwards; the last one is the client.

    Args:
        remote: the peer of the connection (``REMOTE_ADDR``).
        header: the value of ``TRACKING_PROXY_HEADER``, with the nearest proxy's entry last.
    """
    policy = _policy()
    for number, text in enumerate(chain([remote], policy.entries(header))):
        found = normalise(text)
        trusted = policy.trusts(number, found)
        yield Hop(text, found, trusted)
        if not trusted:
            return


def _last_address(path: Iterator[Hop]) -> str | None:
    found = None
    for hop in path:
        found = hop.address or found
    return found


_IPV4_WITH_PORT = re.compile(r"(\d+\.\d+\.\d+\.\d+):\d+", re.ASCII)
_BRACKETED = re.compile(r"\[([^\]]*)\](?::\d+)?", re.ASCII)


def normalise(text: str | None) -> str | None:
    """Return the canonical spelling of an address, or ``None`` if ``text`` is not one.

    Args:
        text: an address, with or without port, brackets (``[::1]:443``) or zone.
    """
    if not text or len(text) > _MAX_LENGTH:
        return None
    return _normalised(text.strip())


#: Characters of the longest address, with brackets, port and zone.
_MAX_LENGTH = 80


@lru_cache(maxsize=10_000)
def _normalised(text: str) -> str | None:
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


def mask(address: str, ipv4_bits: int = IPV4_BITS, ipv6_bits: int = IPV6_BITS) -> str:
    """Return the first address of the network that ``address`` is in.

    Args:
        address: an IPv4 or IPv6 address.
        ipv4_bits: how many bits of an IPv4 address are kept.
        ipv6_bits: how many bits of an IPv6 address are kept.

    Raises:
        ValueError: ``address`` is not an IP address, or has fewer bits.
    """
    bits = ipv4_bits if ipaddress.ip_address(address).version == 4 else ipv6_bits  # noqa: PLR2004
    return str(ipaddress.ip_network((address, bits), strict=False).network_address)


class _Policy(NamedTuple):
    """The settings about proxies and masking."""

    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    unix: bool
    at_most: int | None
    key: str
    #: Bits of IPv4 and IPv6 that are recorded; ``None`` keeps addresses whole.
    kept_bits: Sequence[int] | None
    #: Whether the site trusts any proxy; if not, the header is not read.
    has_proxies: bool

    def trusts(self, number: int, address: str | None) -> bool:
        """Return whether a hop is one of the site's proxies; the nearest has number 0."""
        if self.at_most is not None and number >= self.at_most:
            return False
        if not (self.networks or self.unix):
            # Proxies are only counted. A hop without address is a unix socket if it is nearest.
            return self.at_most is not None and (address is not None or number == 0)
        if address is None:
            return self.unix and number == 0
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self.networks)

    def entries(self, header: str) -> Iterator[str]:
        """Yield the entries of the header, the nearest proxy's first, as far as they are read."""
        if not header:
            return iter(())
        header = header[-_MAX_HEADER:]
        if self.key == "HTTP_FORWARDED":
            return map(_forwarded_for, _split_from_end(header, ","))
        if self.key == _CLOUDFRONT:
            return iter([header.rpartition(":")[0].strip()])
        return map(str.strip, reversed(header.split(",")))


#: The header of CloudFront has one address with a port and no brackets: ``2001:db8::7:4711``.
#: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/adding-cloudfront-headers.html
_CLOUDFRONT = "HTTP_CLOUDFRONT_VIEWER_ADDRESS"

#: Headers whose form is known, in small letters. Apart from that of CloudFront, they write no port,
#: or one that :func:`normalise` understands.
KNOWN_HEADERS = frozenset(
    {
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
        "x-client-ip",
        "client-ip",
        "x-cluster-client-ip",
        "x-original-forwarded-for",
        "cloudfront-viewer-address",
        "cf-connecting-ip",  # Cloudflare
        "cf-connecting-ipv6",
        "true-client-ip",  # Akamai, Cloudflare
        "fastly-client-ip",
        "fly-client-ip",
        "do-connecting-ip",  # DigitalOcean
        "x-appengine-user-ip",
        "x-azure-clientip",
        "x-azure-socketip",
        "x-envoy-external-address",
        "x-nf-client-connection-ip",  # Netlify
        "x-vercel-forwarded-for",
    }
)

#: Characters of the header that are read, from its end. The site's own proxies fill a few hundred.
_MAX_HEADER = 8_192


@until_settings_change
@cache
def _policy() -> _Policy:
    """Return the policy of the settings. A wrong setting trusts no proxy.

    The system checks report it; a request must not fail because of it.
    """
    proxies = [str(proxy).strip() for proxy in conf.trusted_proxies or ()]
    networks = tuple(network for network in map(network_of, proxies) if network)
    count = conf.proxy_count
    if count is not None and type(count) is not int:
        count = 0
    key = "HTTP_" + conf.proxy_header.upper().replace("-", "_")
    anonymize = conf.anonymize_ip
    kept_bits: Sequence[int] | None = None
    if anonymize is not False:  # a wrong value masks, too
        kept_bits = anonymize if are_bits(anonymize) else (IPV4_BITS, IPV6_BITS)
    has_unix = UNIX in proxies
    has_proxies = bool(networks or has_unix or count)
    return _Policy(networks, has_unix, count, key, kept_bits, has_proxies)


def trusted_networks() -> Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Return the valid networks of ``TRACKING_TRUSTED_PROXIES``."""
    return _policy().networks


def network_of(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the network that ``text`` names, or ``None`` if it names none.

    Args:
        text: an address, which is a network of its own, or a network in CIDR notation. IPv4
            mapped into IPv6 becomes IPv4, and a zone (``%eth0``) is dropped, as it is in clients'
            addresses.
    """
    if ":" in text:
        text = _ZONE.sub("", text)
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


_ZONE = re.compile("%[^/]*")  # names a network interface of this machine
_MAPPED_BITS = 96  # of the prefix ::ffff:0:0/96, RFC 4291, section 2.5.5.2


# RFC 7239: elements are separated by commas, their pairs by semicolons. A value may be quoted,
# and must be if it contains a colon, as IPv6 does.


def _forwarded_for(element: str) -> str:
    """Return the value of ``for`` in an element of ``Forwarded``, or ``""``."""
    found = ""
    for pair in _split_from_end(element, ";"):
        name, _equals, value = pair.partition("=")
        if name.strip().lower() == "for":
            found = value.strip()  # the first one counts
    quoted = len(found) > 1 and found[0] == found[-1] == '"'
    return re.sub(r"\\(.)", r"\1", found[1:-1]) if quoted else found


#: A quote with the backslashes before it. Without the look-behind, a run of backslashes would be
#: read again from each of them.
_QUOTE_OR_SEPARATOR = {
    separator: re.compile(rf'(?<!\\)(\\*)"|{separator}') for separator in (",", ";")
}


def _split_from_end(text: str, separator: str) -> Iterator[str]:
    """Yield the parts of a text between the separators outside quotes, the last one first.

    It is read from the end, where the nearest proxy has written, so that a quote which a client
    left open does not swallow the entries of the proxies.

    Args:
        text: the text; each of its characters is read once.
        separator: ``,`` or ``;``.
    """
    end, in_quotes = len(text), False
    for found in reversed(list(_QUOTE_OR_SEPARATOR[separator].finditer(text))):
        if found[1] is None:
            if not in_quotes:
                yield text[found.end() : end]
                end = found.start()
        elif len(found[1]) % 2 == 0:  # a backslash before it escapes the quote
            in_quotes = not in_quotes
    yield text[:end]

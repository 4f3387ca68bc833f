"""Settings of client addresses: trusted proxies and masking."""

import re
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004

from tracking import client_address
from tracking.checks.middleware import BAN, TRACKING
from tracking.checks.tags import TAG
from tracking.conf import conf

_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


@register(TAG, Tags.security)
def check_proxies(**_: Any) -> list[CheckMessage]:
    """E007, E008, E010, W005, W006: which proxies are trusted, and their header."""
    proxies, count = conf.trusted_proxies, conf.proxy_count
    if isinstance(proxies, str) or not isinstance(proxies, Sequence):
        return [
            Error(
                "TRACKING_TRUSTED_PROXIES is not a list.",
                hint='Set a list of networks: ["10.0.0.0/8", "2001:db8::/32"].',
                id="tracking.E007",
            )
        ]
    messages: list[CheckMessage] = []
    networks = {str(proxy): client_address.network_of(str(proxy).strip()) for proxy in proxies}
    for proxy, network in networks.items():
        if network is None and proxy != client_address.UNIX:
            messages.append(
                Error(
                    f"TRACKING_TRUSTED_PROXIES: {proxy!r} is not an address, a network or 'unix'.",
                    hint="Correct it. Until then the proxy is not trusted.",
                    id="tracking.E007",
                )
            )
        if network is not None and network.prefixlen <= 1:
            messages.append(
                Warning(
                    f"TRACKING_TRUSTED_PROXIES: {proxy} trusts half of all addresses.",
                    hint="Any client can then claim any address. List only the proxies of this "
                    "site.",
                    id="tracking.W005",
                )
            )
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
        messages.append(
            Error(
                f"TRACKING_PROXY_COUNT is {count!r}.",
                hint="Set the number of proxies in front of this site, or None.",
                id="tracking.E008",
            )
        )
    if not _HEADER_NAME.fullmatch(conf.proxy_header):
        messages.append(
            Error(
                f"TRACKING_PROXY_HEADER is {conf.proxy_header!r}, which is not a header name.",
                hint='Write the name as in HTTP, such as "X-Forwarded-For".',
                id="tracking.E010",
            )
        )
    if hasattr(settings, "TRACKING_PROXY_HEADER") and not (proxies or count):
        messages.append(
            Warning(
                "TRACKING_PROXY_HEADER has no effect: no proxy is trusted.",
                hint="Set TRACKING_TRUSTED_PROXIES or TRACKING_PROXY_COUNT.",
                id="tracking.W006",
            )
        )
    return messages


@register(TAG, Tags.security)
def check_form_of_header(**_: Any) -> list[CheckMessage]:
    """W015: a header of unknown form, which may have a port after IPv6 without brackets."""
    is_read = conf.trusted_proxies or conf.proxy_count
    is_name = _HEADER_NAME.fullmatch(conf.proxy_header)
    if not (is_read and is_name) or conf.proxy_header.lower() in client_address.KNOWN_HEADERS:
        return []
    return [
        Warning(
            f"TRACKING_PROXY_HEADER is {conf.proxy_header!r}, a header of unknown form.",
            hint="It must hold addresses separated by commas, and a port after an IPv6 address "
            "only with brackets ([2001:db8::7]:443): without them it would be part of the "
            "address. Try out what your proxy sends: manage.py tracking_doctor "
            "--remote-addr=... --header=...; then silence this check.",
            id="tracking.W015",
        )
    ]


@register(TAG, Tags.security)
def check_proxy_is_trusted(**_: Any) -> list[CheckMessage]:
    """W011: the site is behind a proxy that is not trusted, so all clients share its address."""
    is_behind_proxy = settings.SECURE_PROXY_SSL_HEADER or settings.USE_X_FORWARDED_HOST
    uses_addresses = {BAN, TRACKING} & set(settings.MIDDLEWARE or ())
    if not (is_behind_proxy and uses_addresses) or conf.trusted_proxies or conf.proxy_count:
        return []
    return [
        Warning(
            "The site is behind a proxy, but no proxy is trusted.",
            hint="All visitors have the address of the proxy, and one ban would hit them all. "
            "Set TRACKING_TRUSTED_PROXIES or TRACKING_PROXY_COUNT.",
            id="tracking.W011",
        )
    ]


@register(TAG)
def check_anonymize_ip(**_: Any) -> list[CheckMessage]:
    """E009: how addresses are masked."""
    anonymize = conf.anonymize_ip
    if isinstance(anonymize, bool) or client_address.are_bits(anonymize):
        return []
    return [
        Error(
            f"TRACKING_ANONYMIZE_IP is {anonymize!r}.",
            hint="Set True, False, or how many bits of IPv4 and IPv6 are kept: (24, 48).",
            id="tracking.E009",
        )
    ]

"""Settings of beacons, tokens, backends and proxies."""

import difflib
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from tracking import client_address
from tracking import conf as configuration
from tracking.backends import get_backend
from tracking.conf import conf

TAG = "tracking"

#: Bytes below which a secret can be guessed: 128 bits, if every one were random.
SHORT_SECRET = 16


@register(TAG)
def check_names(**_: Any) -> list[CheckMessage]:
    """W001: a ``TRACKING_`` setting that looks like a misspelled one of this app."""
    prefix = configuration.PREFIX
    ours = [name.removeprefix(prefix) for name in configuration.NAMES]
    theirs = [name.removeprefix(prefix) for name in dir(settings) if name.startswith(prefix)]
    return [
        Warning(
            f"There is no setting {prefix}{name}.",
            hint=f"Did you mean {prefix}{close[0]}?",
            id="tracking.W001",
        )
        for name in theirs
        if name not in ours and (close := difflib.get_close_matches(name, ours, n=1, cutoff=0.75))
    ]


@register(TAG, Tags.security)
def check_secret_keys(**_: Any) -> list[CheckMessage]:
    """E001-E002, W002: the secrets of the tokens."""
    keys = getattr(settings, "TRACKING_SECRET_KEYS", None)
    if keys is None:
        return []
    if isinstance(keys, str | bytes) or not isinstance(keys, Sequence) or not keys:
        return [
            Error(
                "TRACKING_SECRET_KEYS is not a list of secrets, or empty.",
                hint='Write a list, newest secret first: ["...", "..."].',
                id="tracking.E001",
            )
        ]
    messages: list[CheckMessage] = []
    for index, key in enumerate(keys):
        if not isinstance(key, str | bytes) or not key:
            messages.append(
                Error(
                    f"TRACKING_SECRET_KEYS[{index}] is empty or not text.",
                    hint="Whoever knows the secret can forge pixels and links: make a long one.",
                    id="tracking.E002",
                )
            )
        elif len(key) < SHORT_SECRET:
            messages.append(
                Warning(
                    f"TRACKING_SECRET_KEYS[{index}] has {len(key)} characters, "
                    f"fewer than {SHORT_SECRET}.",
                    hint="Make one with: python -c 'import secrets; print(secrets.token_hex(32))'.",
                    id="tracking.W002",
                )
            )
    return messages


@register(TAG)
def check_token_max_age(**_: Any) -> list[CheckMessage]:
    """E003: the age limit."""
    age = conf.token_max_age
    if age is None or (isinstance(age, int | float) and not isinstance(age, bool) and age > 0):
        return []
    return [
        Error(
            f"TRACKING_TOKEN_MAX_AGE is {age!r}.",
            hint="Give a positive number of seconds, or None for no limit.",
            id="tracking.E003",
        )
    ]


@register(TAG)
def check_encoder(**_: Any) -> list[CheckMessage]:
    """E004: the encoder."""
    path = conf.encoder
    if not path:
        return []
    try:
        encoder = import_string(path)
        encoder = encoder() if isinstance(encoder, type) else encoder
    except Exception as error:  # noqa: BLE001 - whatever the site's class raises
        return [_encoder_error(f"TRACKING_ENCODER cannot be used: {error!r}")]
    missing = [
        name for name in ("encrypt", "decrypt") if not callable(getattr(encoder, name, None))
    ]
    if missing:
        return [_encoder_error(f"TRACKING_ENCODER {path} has no {' and no '.join(missing)}.")]
    return []


def _encoder_error(message: str) -> Error:
    return Error(
        message,
        hint=(
            "Give the dotted path of a class that takes no arguments and has methods "
            "encrypt(*args, **kwargs) and decrypt(token)."
        ),
        id="tracking.E004",
    )


@register(TAG)
def check_base_url(**_: Any) -> list[CheckMessage]:
    """E005: the address in front of pixel and link URLs."""
    if not conf.base_url:
        return []
    if _is_base_url(conf.base_url):
        return []
    return [
        Error(
            f"TRACKING_BASE_URL is {conf.base_url!r}.",
            hint='Give scheme and host, such as "https://mail.example.com".',
            id="tracking.E005",
        )
    ]


def _is_base_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _port = parts.port  # raises ValueError if there can be no such port
    except ValueError:
        return False
    has_host = parts.scheme in {"http", "https"} and bool(parts.hostname)
    return has_host and not (parts.query or parts.fragment) and not re.search(r"\s", url)


@register(TAG)
def check_backend(**_: Any) -> list[CheckMessage]:
    """E006: the backend; and whatever it finds wrong itself."""
    try:
        return get_backend().check()
    except Exception as error:  # noqa: BLE001 - whatever the site's class raises
        return [
            Error(
                f"TRACKING_BACKEND cannot be used: {error!r}",
                hint='The default is "tracking.backends.immediate.ImmediateBackend".',
                id="tracking.E006",
            )
        ]


@register(TAG)
def check_max_lag(**_: Any) -> list[CheckMessage]:
    """E018: when a hit is late."""
    lag = conf.max_lag
    if isinstance(lag, int | float) and not isinstance(lag, bool) and lag > 0:
        return []
    return [
        Error(
            f"TRACKING_MAX_LAG is {lag!r}.",
            hint="Give a positive number of seconds.",
            id="tracking.E018",
        )
    ]


@register(TAG, deploy=True)
def check_deployed_spool(**_: Any) -> list[CheckMessage]:
    """W012: hits wait where files are temporary."""
    if conf.spool or not hasattr(get_backend(), "spool"):
        return []
    return [
        Warning(
            "TRACKING_SPOOL is not set: hits wait among the temporary files.",
            hint="Name a folder on a local disk that survives a restart of the machine.",
            id="tracking.W012",
        )
    ]


@register(TAG, Tags.security)
def check_proxies(**_: Any) -> list[CheckMessage]:
    """E007-E008, E010, W005-W006: who is believed about the client's address."""
    proxies, count = conf.trusted_proxies, conf.proxy_count
    if isinstance(proxies, str) or not isinstance(proxies, Sequence):
        return [
            Error(
                "TRACKING_TRUSTED_PROXIES is not a list.",
                hint='Write a list of networks: ["10.0.0.0/8", "2001:db8::/32"].',
                id="tracking.E007",
            )
        ]
    messages: list[CheckMessage] = []
    networks = {str(proxy): client_address.network_of(str(proxy).strip()) for proxy in proxies}
    for proxy, network in networks.items():
        if network is None and proxy != client_address.UNIX:
            messages.append(
                Error(
                    f"TRACKING_TRUSTED_PROXIES: {proxy!r} is no address, network or 'unix'.",
                    hint="It is ignored, and whoever it was meant for is not believed.",
                    id="tracking.E007",
                )
            )
        if network is not None and network.prefixlen <= 1:
            messages.append(
                Warning(
                    f"TRACKING_TRUSTED_PROXIES: {proxy} believes half of the world.",
                    hint="Any client can then claim any address. Name the proxies of this site.",
                    id="tracking.W005",
                )
            )
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
        messages.append(
            Error(
                f"TRACKING_PROXY_COUNT is {count!r}.",
                hint="Give the number of proxies in front of this site, or None.",
                id="tracking.E008",
            )
        )
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", conf.proxy_header):
        messages.append(
            Error(
                f"TRACKING_PROXY_HEADER is {conf.proxy_header!r}.",
                hint='Name the header as HTTP does, such as "X-Forwarded-For".',
                id="tracking.E010",
            )
        )
    if hasattr(settings, "TRACKING_PROXY_HEADER") and not (proxies or count):
        messages.append(
            Warning(
                "TRACKING_PROXY_HEADER is set, and nobody is believed who could write it.",
                hint="Set TRACKING_TRUSTED_PROXIES or TRACKING_PROXY_COUNT.",
                id="tracking.W006",
            )
        )
    return messages


@register(TAG)
def check_anonymize_ip(**_: Any) -> list[CheckMessage]:
    """E009: how addresses are masked."""
    anonymize = conf.anonymize_ip
    if isinstance(anonymize, bool) or client_address.are_bits(anonymize):
        return []
    return [
        Error(
            f"TRACKING_ANONYMIZE_IP is {anonymize!r}.",
            hint="Give True, False, or the bits that are kept of IPv4 and IPv6: (24, 48).",
            id="tracking.E009",
        )
    ]


@register(Tags.urls)
def check_urls(**_: Any) -> list[CheckMessage]:
    """W003: the URLs are not included, so that the tags have nothing to point to."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    try:
        reverse("tracking:pixel", args=["token"])
    except NoReverseMatch:
        return [
            Warning(
                "tracking.urls is not included in the URLconf.",
                hint='Add path("t/", include("tracking.urls")) to your urls.py.',
                id="tracking.W003",
            )
        ]
    return []


@register(TAG, deploy=True)
def check_deployed_base_url(**_: Any) -> list[CheckMessage]:
    """W004: in mail, which has no request, URLs would have no host."""
    if conf.base_url:
        return []
    return [
        Warning(
            "TRACKING_BASE_URL is not set.",
            hint=(
                "Pixels and links in mail need a host. Set it, or silence this "
                "if all your templates are rendered for a request."
            ),
            id="tracking.W004",
        )
    ]

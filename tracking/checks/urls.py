"""URLs of pixels and links: the base URL and the URLconf."""

import re
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004
from django.urls import NoReverseMatch, reverse

from tracking.checks.tags import TAG
from tracking.conf import conf


@register(TAG)
def check_base_url(**_: Any) -> list[CheckMessage]:
    """E005: the scheme and host of pixel and link URLs."""
    if not conf.base_url or _is_base_url(conf.base_url):
        return []
    return [
        Error(
            f"TRACKING_BASE_URL is {conf.base_url!r}, which is not a URL with scheme and host.",
            hint='Set scheme and host, such as "https://mail.example.com".',
            id="tracking.E005",
        )
    ]


def _is_base_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _port = parts.port  # raises ValueError for an impossible port
    except ValueError:
        return False
    has_host = parts.scheme in {"http", "https"} and bool(parts.hostname)
    return has_host and not (parts.query or parts.fragment) and not re.search(r"\s", url)


@register(TAG, deploy=True)
def check_base_url_is_set(**_: Any) -> list[CheckMessage]:
    """W004: without a request, as in mail, URLs have no host."""
    if conf.base_url:
        return []
    return [
        Warning(
            "TRACKING_BASE_URL is not set.",
            hint=(
                "Pixels and links in mail need a host. Set it, or silence this check "
                "if all your templates are rendered for a request."
            ),
            id="tracking.W004",
        )
    ]


@register(Tags.urls)
def check_urlconf(**_: Any) -> list[CheckMessage]:
    """W003: the URLconf does not include ``tracking.urls``, so the template tags fail."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    try:
        reverse("tracking:pixel", args=["token"])
    except NoReverseMatch:
        return [
            Warning(
                "The URLconf does not include tracking.urls.",
                hint='Add path("t/", include("tracking.urls")) to your urls.py.',
                id="tracking.W003",
            )
        ]
    return []

"""The order of the middleware."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register  # noqa: A004

from tracking.checks.tags import TAG

BAN, TRACKING, CLEAN_UP = (
    f"tracking.middleware.{name}"
    for name in ("BannedIPMiddleware", "VisitorTrackingMiddleware", "VisitorCleanUpMiddleware")
)

#: Middleware that works on every request: a banned client should not reach it.
_COSTLY = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    TRACKING,
    CLEAN_UP,
)

#: Middleware that caches pages. A response with a cookie is not cached, and a cached response
#: never reaches the middleware below.
_CACHES = (
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.middleware.cache.CacheMiddleware",
    "django.middleware.cache.FetchFromCacheMiddleware",
)


@register(TAG)
def check_middleware_order(**_: Any) -> list[CheckMessage]:
    """W009, W010: the position of this app's middleware."""
    messages: list[CheckMessage] = []
    if others := _before(BAN, _COSTLY):
        messages.append(
            Warning(
                f"{BAN} comes after {', '.join(others)}.",
                hint="Put it first in MIDDLEWARE: middleware before it runs for banned clients "
                "too.",
                id="tracking.W009",
            )
        )
    if others := _before(TRACKING, _CACHES):
        messages.append(
            Warning(
                f"{TRACKING} comes after {', '.join(others)}.",
                hint="Put it before: it misses pages that come from the cache, and its cookie "
                "keeps the pages of new visitors out of the cache.",
                id="tracking.W010",
            )
        )
    return messages


def _before(name: str, others: Sequence[str]) -> list[str]:
    """Return which of the others come before a middleware; none if it is not installed."""
    installed = list(settings.MIDDLEWARE or ())
    before = installed[: installed.index(name)] if name in installed else []
    return [other for other in others if other in before]

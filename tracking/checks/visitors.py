"""Settings of visitors, bans, places and clean-up, and the order of the middlewares."""

import re
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import get_template
from django.utils.functional import Promise

from tracking import exclusions, retention
from tracking.checks.beacons import TAG
from tracking.conf import conf
from tracking.enrichment import geoip
from tracking.identity import browser_consent

BAN, TRACKING, CLEAN_UP = (
    f"tracking.middleware.{name}"
    for name in ("BannedIPMiddleware", "VisitorTrackingMiddleware", "VisitorCleanUpMiddleware")
)

#: What does work for every request, which a banned client must not cost.
_COSTLY = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    TRACKING,
    CLEAN_UP,
)

#: What keeps pages: those that give a cookie are not kept, and those that were kept are not seen.
_CACHES = (
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.middleware.cache.CacheMiddleware",
    "django.middleware.cache.FetchFromCacheMiddleware",
)


@register(TAG)
def check_consent(**_: Any) -> list[CheckMessage]:
    """E011: whom the site asks for consent."""
    if not conf.consent:
        return []
    try:
        browser_consent.loaded()
    except Exception as error:  # noqa: BLE001 - whatever the site's module raises
        return [
            Error(
                f"TRACKING_CONSENT cannot be used: {error!r}",
                hint="Give a callable that takes a request, or its dotted path; no coroutine "
                "function. Until then no page is tracked, because nobody has said yes.",
                id="tracking.E011",
            )
        ]
    return []


@register(TAG)
def check_exclude(**_: Any) -> list[CheckMessage]:
    """E012: the rules by which a request is no page view."""
    rules = conf.exclude
    if isinstance(rules, str) or not isinstance(rules, Sequence | set | frozenset):
        unknown = [rules]
    else:
        unknown = [rule for rule in rules if rule not in exclusions.RULES]
    return [
        Error(
            f"TRACKING_EXCLUDE: there is no rule {rule!r}.",
            hint=f"Write a list of some of: {', '.join(exclusions.RULES)}.",
            id="tracking.E012",
        )
        for rule in unknown
    ]


@register(TAG)
def check_prefixes(**_: Any) -> list[CheckMessage]:
    """E013: the beginnings of paths that are not tracked."""
    prefixes = conf.no_tracking_prefixes
    wrong: Sequence[object]
    if isinstance(prefixes, str) or not isinstance(prefixes, Sequence):
        wrong = [prefixes]
    else:
        wrong = [p for p in prefixes if not _is_beginning(p)]
    return [
        Error(
            f"NO_TRACKING_PREFIXES: {prefix!r} is no beginning of a path.",
            hint='Write a list of paths: ["/family/"].',
            id="tracking.E013",
        )
        for prefix in wrong
    ]


def _is_beginning(prefix: object) -> bool:
    return isinstance(prefix, str | Promise) and str(prefix).startswith("/")


@register(TAG)
def check_numbers(**_: Any) -> list[CheckMessage]:
    """E014: how long things last."""
    messages = list(retention.problems())
    for name, value, unit in (
        ("TRACKING_TIMEOUT", conf.timeout, "minutes"),
        ("TRACKING_COOKIE_AGE", conf.cookie_age, "seconds"),
    ):
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            messages.append(f"{name} is {value!r}. Give a positive number of {unit}.")
    return [Error(message, id="tracking.E014") for message in messages]


@register(TAG)
def check_cookie_name(**_: Any) -> list[CheckMessage]:
    """E015: what the cookie is called."""
    taken = {settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, settings.LANGUAGE_COOKIE_NAME}
    # The characters of a token, RFC 6265, section 4.1.1.
    if re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", conf.cookie_name) and (
        conf.cookie_name not in taken
    ):
        return []
    return [
        Error(
            f"TRACKING_COOKIE_NAME is {conf.cookie_name!r}.",
            hint="Give a name of letters and digits that no other cookie of the site has.",
            id="tracking.E015",
        )
    ]


@register(TAG)
def check_ban_answer(**_: Any) -> list[CheckMessage]:
    """E016, W007: what banned clients are told."""
    messages: list[CheckMessage] = []
    status = conf.ban_status
    if type(status) is not int or not 400 <= status < 600:  # noqa: PLR2004
        messages.append(
            Error(
                f"TRACKING_BAN_STATUS is {status!r}.",
                hint="Give a status of HTTP that refuses, such as 403 or 404.",
                id="tracking.E016",
            )
        )
    try:
        get_template(conf.ban_template)
    except (TemplateDoesNotExist, TemplateSyntaxError) as error:
        messages.append(
            Warning(
                f"TRACKING_BAN_TEMPLATE {conf.ban_template!r} cannot be loaded: {error}",
                hint="Banned clients are told in plain text until it can.",
                id="tracking.W007",
            )
        )
    return messages


@register(TAG)
def check_places(**_: Any) -> list[CheckMessage]:
    """W008: why no address has a place."""
    problem = geoip.problem()
    if problem is None:
        return []
    return [
        Warning(
            problem,
            hint="Until then addresses have no place. Or set TRACKING_USE_GEOIP = False.",
            id="tracking.W008",
        )
    ]


@register(TAG)
def check_map(**_: Any) -> list[CheckMessage]:
    """E020, W014: what the page of active visitors is made of."""
    messages: list[CheckMessage] = []
    tiles = conf.map_tiles
    starts_well = tiles.startswith(("https://", "http://", "/"))
    if tiles and not (starts_well and all(part in tiles for part in ("{z}", "{x}", "{y}"))):
        messages.append(
            Error(
                f"TRACKING_MAP_TILES is {tiles!r}.",
                hint="Give a URL such as https://tiles.example.com/{z}/{x}/{y}.png, or leave it "
                "out: the map then shows the outlines that come with this app.",
                id="tracking.E020",
            )
        )
    try:
        get_template(conf.map_template)
    except (TemplateDoesNotExist, TemplateSyntaxError) as error:
        messages.append(
            Warning(
                f"DEFAULT_TRACKING_TEMPLATE {conf.map_template!r} cannot be loaded: {error}",
                hint="The page of active visitors fails until it can.",
                id="tracking.W014",
            )
        )
    return messages


@register(TAG)
def check_middleware_order(**_: Any) -> list[CheckMessage]:
    """W009-W010: where our middlewares stand."""
    too_late = [
        Warning(
            f"{BAN} comes after {other}.",
            hint="Put it first in MIDDLEWARE: what stands before it runs for banned clients too.",
            id="tracking.W009",
        )
        for other in _before(BAN, _COSTLY)
    ]
    unseen = [
        Warning(
            f"{TRACKING} comes after {other}.",
            hint="It does not see the pages that the cache answers, and keeps it from being "
            "filled by new visitors. Put it before.",
            id="tracking.W010",
        )
        for other in _before(TRACKING, _CACHES)
    ]
    return [*too_late, *unseen]


def _before(name: str, others: Sequence[str]) -> list[str]:
    """Return which of the others stand before a middleware, if that is installed."""
    installed = list(settings.MIDDLEWARE or ())
    before = installed[: installed.index(name)] if name in installed else []
    return [other for other in others if other in before]


@register(TAG, Tags.security)
def check_proxies_are_told(**_: Any) -> list[CheckMessage]:
    """W011: the site is behind a proxy, and every visitor has the address of that."""
    is_behind_one = settings.SECURE_PROXY_SSL_HEADER or settings.USE_X_FORWARDED_HOST
    matters = {BAN, TRACKING} & set(settings.MIDDLEWARE or ())
    if not (is_behind_one and matters) or conf.trusted_proxies or conf.proxy_count:
        return []
    return [
        Warning(
            "The site is behind a proxy, and no proxy is believed about its clients.",
            hint="All visitors have the address of the proxy, and a ban would hit them all. "
            "Set TRACKING_TRUSTED_PROXIES or TRACKING_PROXY_COUNT.",
            id="tracking.W011",
        )
    ]

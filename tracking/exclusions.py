"""Whether a response is a page that somebody has asked to see, and if not, why not.

Each rule has a name, by which ``TRACKING_EXCLUDE`` holds it or leaves it out.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import get_script_prefix
from django.utils.functional import Promise

from tracking.conf import conf, until_settings_change
from tracking.enrichment import verdict_rules

HTML = frozenset({"text/html", "application/xhtml+xml"})
NOT_MODIFIED = 304


def uncounted(request: HttpRequest, response: HttpResponseBase) -> str | None:
    """Return why this is no page view, or ``None`` if it is one.

    Args:
        request: the request, with its ``resolver_match`` if a view was found for it.
        response: what the site answers.

    Returns:
        A short reason in English, for logs: a method, a header, or the name of a rule.
    """
    if reason := verdict_rules.uncounted(request):
        return reason
    if response.status_code in _REDIRECTS:
        return f"status {response.status_code}"
    if "tracking" in _app_names(request):
        return "a URL of tracking"
    policy = _policy()
    for prefix in policy.prefixes:
        if request.path.startswith(prefix):
            return f"prefix {prefix}"
    for name, holds in policy.rules:
        if holds(request, response):
            return name
    return None


#: Somebody is on the way to another page. (304 is none: that page is in the browser.)
_REDIRECTS = frozenset(range(300, 400)) - {NOT_MODIFIED}


def _is_admin(request: HttpRequest, response: HttpResponseBase) -> bool:
    return "admin" in _app_names(request)


def _app_names(request: HttpRequest) -> list[str]:
    match = request.resolver_match
    return match.app_names if match else []


def _is_static(request: HttpRequest, response: HttpResponseBase) -> bool:
    return request.path.startswith(_policy().static)


def _is_xhr(request: HttpRequest, response: HttpResponseBase) -> bool:
    # Fetch Metadata tells it in every current browser, XMLHttpRequest in libraries that say so.
    meta = request.META
    if meta.get("HTTP_X_REQUESTED_WITH") == "XMLHttpRequest":
        return True
    return str(meta.get("HTTP_SEC_FETCH_MODE", "navigate")) != "navigate"


def _is_frame(request: HttpRequest, response: HttpResponseBase) -> bool:
    return request.META.get("HTTP_SEC_FETCH_DEST") in _FRAMES


_FRAMES = frozenset({"iframe", "frame", "embed", "object", "fencedframe"})


def _is_error(request: HttpRequest, response: HttpResponseBase) -> bool:
    return response.status_code >= 400  # noqa: PLR2004


def _is_not_html(request: HttpRequest, response: HttpResponseBase) -> bool:
    if response.status_code == NOT_MODIFIED:  # carries no type: what is asked for must do
        return "text/html" not in request.META.get("HTTP_ACCEPT", "")
    content_type = response.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type not in HTML:
        return True
    return response.get("Content-Disposition", "").lower().startswith("attachment")


Rule = Callable[[HttpRequest, HttpResponseBase], bool]

#: What keeps a response from being a page view, by the names of ``TRACKING_EXCLUDE``.
RULES: Mapping[str, Rule] = {
    "admin": _is_admin,
    "static": _is_static,
    "xhr": _is_xhr,
    "frames": _is_frame,
    "errors": _is_error,
    "non_html": _is_not_html,
}


class _Policy(NamedTuple):
    prefixes: tuple[str, ...]
    rules: tuple[tuple[str, Rule], ...]
    static: tuple[str, ...]


@until_settings_change
@cache
def _policy() -> _Policy:
    """Return the rules of the settings. What makes no sense there is left out.

    The checks tell of it; a request must not fail for it.
    """
    # A prefix that is empty, or a site's root for files, would match every page.
    prefixes = conf.no_tracking_prefixes
    prefixes = [prefixes] if isinstance(prefixes, str) else prefixes
    urls = (settings.STATIC_URL, settings.MEDIA_URL)
    return _Policy(
        tuple(str(prefix) for prefix in prefixes if prefix and isinstance(prefix, str | Promise)),
        tuple((name, RULES[name]) for name in RULES if name in conf.exclude),
        tuple(url for url in urls if url and url.rstrip("/") != get_script_prefix().rstrip("/")),
    )

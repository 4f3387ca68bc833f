"""Every rule by which a request is not counted, and the reason that the log gives.

Such a request is answered like any other: its sender must not notice a difference.

An open, a click or a page view is not counted if

- its method is not GET: ``method HEAD``;
- a header says that a machine fetches it in advance: ``Sec-Purpose: prefetch``;
- the browser opts out by ``DNT: 1`` or ``Sec-GPC: 1``, and ``TRACKING_RESPECT_OPT_OUT`` is on:
  ``opt-out``;
- its user agent contains a keyword of ``UntrackedUserAgent`` (where the site tracks visitors):
  ``untracked user agent``.

A page view is not counted either if

- the reader refuses (``TRACKING_CONSENT``): ``no consent``;
- the response is a redirect: ``status 302``;
- the URL is one of this app: ``a URL of tracking``;
- the path begins with one of ``NO_TRACKING_PREFIXES``: ``prefix /family/``;
- one of :data:`RULES` applies that ``TRACKING_EXCLUDE`` lists: its name, such as ``xhr``;
- its visitor is new, and ``TRACKING_NEW_VISITORS_PER_NETWORK`` of its network came in this minute:
  ``over the budget of new visitors``.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import get_script_prefix
from django.utils.functional import Promise

from tracking import compat
from tracking.caching import snapshots
from tracking.conf import DEFAULT_EXCLUDE, conf, until_settings_change
from tracking.models import UntrackedUserAgent

HEAD = "method HEAD"
OPT_OUT = "opt-out"
UNTRACKED_AGENT = "untracked user agent"
NO_CONSENT = "no consent"
OVER_BUDGET = "over the budget of new visitors"

# Requests.

#: Headers of requests in advance. ``Sec-Purpose`` is the standard (Fetch, section "Sec-Purpose");
#: the others are older ones of Chromium, WebKit and Gecko, which some clients still send.
_PURPOSE_HEADERS = {
    "HTTP_SEC_PURPOSE": "Sec-Purpose",
    "HTTP_PURPOSE": "Purpose",
    "HTTP_X_PURPOSE": "X-Purpose",
    "HTTP_X_MOZ": "X-Moz",
}
_PURPOSES = frozenset({"prefetch", "prerender", "preview"})


def exclude_request(request: HttpRequest) -> str | None:
    """Return why nobody reads what is requested, or ``None`` if somebody does.

    Args:
        request: the request as Django hands it to a view.

    Returns:
        The method, or the header that says so.
    """
    if request.method != "GET":
        return f"method {request.method}"
    meta = request.META
    for key in _PURPOSE_HEADERS:
        if key in meta and (reason := _purpose(key, meta[key])):
            return reason
    return None


def exclude_machine(request: HttpRequest) -> str | None:
    """Return why nobody did what a request of any method does, or ``None`` if somebody did.

    Args:
        request: the request as Django hands it to a view.

    Returns:
        The method ``HEAD``, or the header of a request in advance.
    """
    return exclude_request(request) if request.method in _READING else None


#: The methods of requests that may be made in advance.
_READING = frozenset({"GET", "HEAD"})


def _purpose(key: str, value: str) -> str | None:
    # "prefetch;prerender" and "prefetch;anonymous-client-ip" are prefetches, too.
    is_early = value.partition(";")[0].strip().lower() in _PURPOSES
    return f"{_PURPOSE_HEADERS[key]}: {value}" if is_early else None


# Readers.


def opts_out(request: HttpRequest) -> bool:
    """Return whether the browser asks by a header not to be tracked, and the site respects that.

    The headers are Global Privacy Control (``Sec-GPC``) and its predecessor, Tracking
    Preference Expression (``DNT``).

    Args:
        request: the request as Django hands it to a view or middleware.
    """
    meta = request.META
    asks = meta.get("HTTP_SEC_GPC") == "1" or meta.get("HTTP_DNT") == "1"
    return asks and conf.respect_opt_out


class Keywords(dict[str, bool]):
    """Maps a user agent to whether it contains a keyword; found once, and remembered."""

    #: User agents that are remembered at most.
    MAX_AGENTS = 10_000
    #: Characters of the longest that is remembered: headers of 8 kB must not fill the memory.
    MAX_LENGTH = 512

    def __init__(self, words: Iterable[str] = ()) -> None:
        """Take the keywords, without the blank ones, which every user agent contains."""
        super().__init__()
        lowered = (word.strip().lower() for word in words)
        self.words = tuple(dict.fromkeys(word for word in lowered if word))

    def __missing__(self, user_agent: str) -> bool:
        lowered = user_agent.lower()
        found = any(word in lowered for word in self.words)
        if len(user_agent) <= self.MAX_LENGTH:
            if len(self) >= self.MAX_AGENTS:
                self.clear()
            self[user_agent] = found
        return found


def is_untracked(user_agent: str) -> bool:
    """Return whether the user agent contains a keyword of ``UntrackedUserAgent``.

    It reads the snapshot only; the caller refreshes it (:mod:`tracking.caching.snapshots`).
    """
    return untracked_agents.current[user_agent]


def _load(using: str) -> Keywords:
    rows = UntrackedUserAgent.objects.using(using)
    return Keywords(rows.values_list("keyword", flat=True))


#: The keywords, the same in all processes of the site.
untracked_agents = snapshots.Snapshot("filters", _load, Keywords(), UntrackedUserAgent)


# Pages.

HTML = frozenset({"text/html", "application/xhtml+xml"})
NOT_MODIFIED = 304


def exclude_page(request: HttpRequest, response: HttpResponseBase) -> str | None:
    """Return why a response is not a page that somebody reads, or ``None`` if it is.

    Args:
        request: the request, with its ``resolver_match`` if a view was found for it.
        response: the response of the site.
    """
    if reason := exclude_request(request):
        return reason
    if response.status_code in _REDIRECTS:
        return f"status {response.status_code}"
    match = request.resolver_match
    apps = match.app_names if match is not None else ()
    if "tracking" in apps:
        return "a URL of tracking"
    prefixes, rules = _policy()
    if prefixes and request.path.startswith(prefixes):
        return next(f"prefix {p}" for p in prefixes if request.path.startswith(p))
    return _broken_rule(rules, apps, request, response)


#: The reader is on the way to another page. (Not with 304: that page is in the browser.)
_REDIRECTS = frozenset(range(300, 400)) - {NOT_MODIFIED}


def _broken_rule(
    rules: Collection[str], apps: Sequence[str], request: HttpRequest, response: HttpResponseBase
) -> str | None:
    """Return the first of the rules that applies.

    One function for all: calls would take most of the time.
    """
    meta = request.META
    if "admin" in rules and "admin" in apps:
        return "admin"
    if "static" in rules and request.path.startswith(_static_prefixes()):
        return "static"
    if "xhr" in rules and (
        # Every current browser sends Fetch Metadata; some libraries send X-Requested-With.
        meta.get("HTTP_X_REQUESTED_WITH") == "XMLHttpRequest"
        or meta.get("HTTP_SEC_FETCH_MODE", "navigate") != "navigate"
    ):
        return "xhr"
    if "frames" in rules and meta.get("HTTP_SEC_FETCH_DEST") in _FRAMES:
        return "frames"
    if "errors" in rules and response.status_code >= 400:  # noqa: PLR2004
        return "errors"
    return "non_html" if "non_html" in rules and _is_not_html(request, response) else None


_FRAMES = frozenset({"iframe", "frame", "embed", "object", "fencedframe"})


def _is_not_html(request: HttpRequest, response: HttpResponseBase) -> bool:
    if response.status_code == NOT_MODIFIED:  # has no type: what the client accepts must do
        return "text/html" not in request.META.get("HTTP_ACCEPT", "")
    headers = compat.raw_headers(response)
    if "content-type" not in headers or not _is_html(headers["content-type"][1]):
        return True
    if "content-disposition" not in headers:
        return False
    return headers["content-disposition"][1].lower().startswith("attachment")


@lru_cache(maxsize=100)
def _is_html(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() in HTML


#: The rules by which a response is not a page view, by their names in ``TRACKING_EXCLUDE``.
RULES = DEFAULT_EXCLUDE


class _Policy(NamedTuple):
    prefixes: tuple[str, ...]
    rules: frozenset[str]


@until_settings_change
@cache
def _policy() -> _Policy:
    """Return the rules of the settings without wrong values.

    The system checks report them; a request must not fail because of them.
    """
    # An empty prefix would match every page.
    prefixes = conf.no_tracking_prefixes
    prefixes = [prefixes] if isinstance(prefixes, str) else prefixes
    return _Policy(
        tuple(str(prefix) for prefix in prefixes if prefix and isinstance(prefix, str | Promise)),
        frozenset(name for name in RULES if name in conf.exclude),
    )


@until_settings_change
@cache
def _static_prefixes() -> tuple[str, ...]:
    # The site's root as URL of static files would match every page.
    urls = (settings.STATIC_URL, settings.MEDIA_URL)
    root = get_script_prefix().rstrip("/")
    return tuple(url for url in urls if url and url.rstrip("/") != root)

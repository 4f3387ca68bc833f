"""What a request tells of a page view: where the reader came from, the session and the user.

Nothing is loaded for it: the session and the user are known only if the page has used them.
"""

import re
from functools import lru_cache
from urllib.parse import SplitResult, parse_qsl, urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.http.request import validate_host

from tracking import compat
from tracking.conf import until_settings_change
from tracking.enrichment.referrers import host_of

# Referrer.

#: Characters of the longest referrer whose origin is remembered: clients write what they like.
_USUAL_REFERRER = 200


def outside_referrer(request: HttpRequest, referrer: str) -> str:
    """Return the ``Referer`` of a request in one spelling, or ``""`` if no other site led here.

    Neither a page of this site nor a text that is no URL (``about:blank``) is another site. The
    site's hosts are the host of the request and those of ``ALLOWED_HOSTS``, each with ``www.`` and
    without.

    Args:
        request: its host is the site's.
        referrer: the header as text.
    """
    if not referrer:
        return ""
    # get_host() checks ALLOWED_HOSTS, which is the site's business and slow.
    host = None if settings.USE_X_FORWARDED_HOST else request.META.get("HTTP_HOST")
    try:
        host = host or request.get_host()
    except DisallowedHost:
        return ""
    read = _outside if len(referrer) <= _USUAL_REFERRER else _outside.__wrapped__
    return read(referrer, host)


@until_settings_change
@lru_cache(maxsize=4_000)
def _outside(referrer: str, host: str) -> str:
    came_from = host_of(referrer)
    if not came_from:
        return ""
    try:
        parts = urlsplit(referrer.strip())
        here = urlsplit(f"{parts.scheme}://{host}")
        port = _port(parts)
        if port == _port(here) and came_from == host_of(f"http://{host}"):
            return ""
    except ValueError:
        return ""
    own_hosts = [own for own in settings.ALLOWED_HOSTS if own != "*"]
    if port is None and (
        validate_host(came_from, own_hosts) or validate_host(f"www.{came_from}", own_hosts)
    ):
        return ""
    name = (parts.hostname or "").rstrip(".")
    name = f"[{name}]" if ":" in name else name
    return parts._replace(netloc=name if port is None else f"{name}:{port}", fragment="").geturl()


def _port(parts: SplitResult) -> int | None:
    """Return the port; the usual one of the scheme is ``None``."""
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return None if parts.port == usual else parts.port


# Campaign.

_UTM = ("source", "medium", "campaign", "term", "content")
#: A parameter as senders write it: as an array (``utm_source[]``), or in a link that was escaped
#: for HTML twice (``&amp;utm_source``).
_UTM_KEY = re.compile(rf"(?:amp;)*utm_({'|'.join(_UTM)})(?:\[\w*\])?", re.ASCII)
#: Characters of a query that are read: more than any campaign has.
_MAX_QUERY = 4_000
#: Characters kept of each UTM parameter.
MAX_PARAMETER = 200


def campaign(request: HttpRequest) -> dict[str, str]:
    """Return the UTM parameters of a request, by their names without ``utm_``."""
    query = request.META.get("QUERY_STRING", "")
    if "utm_" not in query:
        return {}
    if len(query) > _MAX_QUERY:
        query = query[:_MAX_QUERY].rpartition("&")[0]
    # Not request.GET, which raises on a thousand parameters.
    found: dict[str, str] = {}
    for key, value in parse_qsl(query, errors="replace"):
        match = _UTM_KEY.fullmatch(key)
        if match and (trimmed := " ".join(value.split())):
            found[match[1]] = trimmed[:MAX_PARAMETER]
    return {name: found[name] for name in _UTM if name in found}


# Session and user.

#: Characters of the longest key of a session. The key of a session in a signed cookie is its
#: whole content, which must not be recorded.
_MAX_SESSION_KEY = 40


def session_key(request: HttpRequest) -> str | None:
    """Return the key of the session, ``""`` for none, and ``None`` if the page has not used it."""
    session = getattr(request, "session", None)
    if not getattr(session, "accessed", False):
        return None
    key = getattr(session, "session_key", None) or ""
    return key if len(key) <= _MAX_SESSION_KEY else ""


def user_pk(request: HttpRequest) -> str | None:
    """Return the user's primary key, ``""`` for nobody, and ``None`` if the page did not ask."""
    user = compat.loaded_user(request)
    if user is None:
        return None
    if not getattr(user, "is_authenticated", False) or user.pk is None:
        return ""
    return str(user.pk)

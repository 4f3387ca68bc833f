"""What a request tells of a page view: where the reader came from, the session and the user.

Nothing is loaded for it: the session and the user are known only if the page has used them.
"""

from functools import lru_cache
from urllib.parse import SplitResult, parse_qsl, urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest

from tracking import compat

# Referrer.

#: Characters of the longest referrer whose origin is remembered: clients write what they like.
_USUAL_REFERRER = 200


def outside_referrer(request: HttpRequest, referrer: str) -> str:
    """Return the ``Referer`` of a request, or ``""`` if it is a page of this site.

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
    is_outside = _is_outside if len(referrer) <= _USUAL_REFERRER else _is_outside.__wrapped__
    return referrer if is_outside(referrer, host) else ""


@lru_cache(maxsize=4_000)
def _is_outside(referrer: str, host: str) -> bool:
    try:
        came_from = urlsplit(referrer)
        here = urlsplit(f"{came_from.scheme}://{host}")
        return _origin(came_from) != _origin(here)
    except ValueError:
        return False


def _origin(parts: SplitResult) -> tuple[str | None, int | None]:
    """Return host and port; the usual port of the scheme is ``None``."""
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.hostname, None if parts.port == usual else parts.port


# Campaign.

_UTM = ("source", "medium", "campaign", "term", "content")
#: Characters of a query that are read: more than any campaign has.
_MAX_QUERY = 4_000


def campaign(request: HttpRequest) -> dict[str, str]:
    """Return the UTM parameters of a request, by their names without ``utm_``."""
    query = request.META.get("QUERY_STRING", "")
    if "utm_" not in query:
        return {}
    if len(query) > _MAX_QUERY:
        query = query[:_MAX_QUERY].rpartition("&")[0]
    # Not request.GET, which raises on a thousand parameters.
    found = dict(parse_qsl(query, errors="replace"))
    return {name: found["utm_" + name] for name in _UTM if "utm_" + name in found}


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

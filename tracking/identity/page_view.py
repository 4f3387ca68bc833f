"""What a request tells of a page view: the site's host, the session and the user.

Nothing is loaded for it: the session and the user are known only if the page has used them.
"""

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest

from tracking import compat


def site_host(request: HttpRequest) -> str | None:
    """Return the host that a request is for, or ``None`` if the site does not have that host."""
    # get_host() checks ALLOWED_HOSTS, which is the site's business and slow.
    host = None if settings.USE_X_FORWARDED_HOST else request.META.get("HTTP_HOST")
    try:
        return host or request.get_host()
    except DisallowedHost:
        return None


#: Characters of the longest key of a session. The key of a session in a signed cookie is its
#: whole content, which must not be recorded.
_MAX_SESSION_KEY = 40


def session_key(request: HttpRequest) -> str | None:
    """Return the key of the session, ``""`` for none, and ``None`` if the page has not used it."""
    session = getattr(request, "session", None)
    if session is None or not getattr(session, "accessed", False):
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

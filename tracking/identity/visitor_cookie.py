"""The visitor's cookie: read it, set it, take it back.

It is signed, comes from the site itself, and holds nothing but the visitor's key.
"""

import re
from functools import cache, lru_cache

from django.core import signing
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from tracking.conf import conf, until_settings_change
from tracking.identity.visitor_key import KEY_LENGTH

#: Ties a signature to its purpose.
_SALT = "tracking.visitor"

#: Characters of the longest cookie that is checked; ours have 66.
MAX_LENGTH = 200


def read(request: HttpRequest) -> str | None:
    """Return the key that the cookie of a request holds.

    Args:
        request: the request as Django hands it to a view or middleware.

    Returns:
        The key, or ``None`` without a cookie that this site has signed. Always ``None`` if
        ``TRACKING_COOKIES`` is off.
    """
    if not conf.cookies:
        return None
    cookie = request.COOKIES.get(conf.cookie_name)
    # Over-long cookies never reach the cache: clients send what they like.
    return _verify(cookie) if cookie and len(cookie) <= MAX_LENGTH else None


def set_on(request: HttpRequest, response: HttpResponseBase, key: str) -> None:
    """Set the cookie on a response, unless a shared cache may keep that for other readers.

    Args:
        request: its ``is_secure()`` becomes the cookie's.
        response: gets the cookie, and the header ``Vary: Cookie``.
        key: the visitor's key.
    """
    if _make_private(response):
        response.set_cookie(
            conf.cookie_name,
            sign(key),
            max_age=conf.cookie_age,
            secure=request.is_secure(),
            httponly=True,
            samesite="Lax",
        )


def take_back(request: HttpRequest, response: HttpResponseBase) -> None:
    """Delete the cookie if the browser has one, and no shared cache may keep the response."""
    if conf.cookie_name in request.COOKIES and _make_private(response):
        response.delete_cookie(conf.cookie_name, samesite="Lax")


def sign(key: str) -> str:
    """Return the value of the cookie that holds ``key``."""
    return _signers()[0].sign(key)


@until_settings_change
@lru_cache(maxsize=10_000)
def _verify(cookie: str) -> str | None:
    for signer in _signers():
        try:
            key = signer.unsign(cookie)
        except signing.BadSignature:
            continue
        return key if len(key) == KEY_LENGTH else None
    return None


@until_settings_change
@cache
def _signers() -> list[signing.Signer]:
    """Return a signer per secret. The first signs, each of them verifies."""
    return [signing.Signer(key=key, salt=_SALT, fallback_keys=[]) for key in conf.secret_keys]


_SHARED = re.compile(r"\b(public|s-maxage)\b", re.IGNORECASE)


def _make_private(response: HttpResponseBase) -> bool:
    """Return whether a response may carry a cookie, and keep caches from giving it to others."""
    if _SHARED.search(response.get("Cache-Control", "")):
        return False
    # Django's own cache keeps pages for everybody, too, unless they vary.
    patch_vary_headers(response, ["Cookie"])
    return True

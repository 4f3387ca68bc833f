"""The visitor's cookie: read it, set it, take it back.

It is signed, comes from the site itself, and holds nothing but the visitor's key.
"""

import base64
import hmac
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from time import time

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.crypto import constant_time_compare, salted_hmac

from tracking import compat
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
        name, attributes = _attributes(int(time()), is_secure=request.is_secure())
        response.cookies[name] = compat.make_morsel(name, sign(key), attributes)


@until_settings_change
@lru_cache(maxsize=2)
def _attributes(now: int, *, is_secure: bool) -> tuple[str, Mapping[str, object]]:
    """Return the name of the cookie, and the attributes that Django's ``set_cookie()`` makes.

    That takes longer than all else for a new visitor. They are the same for all of one second.
    """
    response = HttpResponse()
    response.set_cookie(
        conf.cookie_name,
        max_age=conf.cookie_age,
        secure=is_secure,
        httponly=True,
        samesite="Lax",
    )
    [(name, morsel)] = response.cookies.items()
    return name, dict(morsel)


def take_back(request: HttpRequest, response: HttpResponseBase) -> None:
    """Delete the cookie if the browser has one, and no shared cache may keep the response."""
    if conf.cookie_name in request.COOKIES and _make_private(response):
        response.delete_cookie(conf.cookie_name, samesite="Lax")


def sign(key: str) -> str:
    """Return the value of the cookie that holds ``key``, as Django's ``Signer`` writes it."""
    return f"{key}:{_signature(_macs()[0], key)}"


@until_settings_change
@lru_cache(maxsize=10_000)
def _verify(cookie: str) -> str | None:
    key, _, signature = cookie.rpartition(":")
    if len(key) != KEY_LENGTH:
        return None
    signatures = [_signature(mac, key) for mac in _macs()]
    return key if any(constant_time_compare(signature, ours) for ours in signatures) else None


def _signature(mac: hmac.HMAC, key: str) -> str:
    mac = mac.copy()
    mac.update(key.encode(errors="replace"))
    return base64.urlsafe_b64encode(mac.digest()).rstrip(b"=").decode()


@until_settings_change
@cache
def _macs() -> list[hmac.HMAC]:
    """Return an HMAC per secret, before the key of a visitor. The first signs, each verifies."""
    return [salted_hmac(f"{_SALT}signer", "", key, algorithm="sha256") for key in conf.secret_keys]


_VARY = ("Vary", "Cookie")
_SHARED = re.compile(r"\b(public|s-maxage)\b", re.IGNORECASE)


def _make_private(response: HttpResponseBase) -> bool:
    """Return whether a response may carry a cookie, and keep caches from giving it to others."""
    headers = compat.raw_headers(response)
    if "cache-control" in headers and _SHARED.search(headers["cache-control"][1]):
        return False
    # Django's own cache keeps pages for everybody, too, unless they vary.
    if "vary" in headers and headers["vary"][1]:
        patch_vary_headers(response, ["Cookie"])
    else:
        headers["vary"] = _VARY
    return True

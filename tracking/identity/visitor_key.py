"""Which browser sends a request: the key of its visitor.

A signed first-party cookie tells it, if the site sets any. Without one the key is made
of what the request shows anyway, and of a salt that is thrown away when its day is over:
the same browser has the same key all day long, also in two requests at the same
moment, and nobody can find out afterwards whose it was.
"""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import NamedTuple

from django.core import signing
from django.http import HttpRequest

from tracking import client_address
from tracking.conf import conf, until_settings_change
from tracking.identity.browser_consent import Consent

#: Ties a signature to its purpose.
_SALT = "tracking.visitor"

#: Characters of a key: ``KEY_BYTES`` in base64 without padding.
KEY_LENGTH = len(client_address.random_key())


#: Characters of the longest cookie that is looked at; ours have 66.
MAX_COOKIE = 200


class Identity(NamedTuple):
    """The visitor that a request comes from.

    Attributes:
        key: what the visitor is known by.
        has_cookie: whether the browser has brought it.
    """

    key: str
    has_cookie: bool


def recognise(
    request: HttpRequest, salt: bytes | None, agreed: Consent = Consent.TRACK
) -> Identity:
    """Return who sends ``request``.

    Args:
        request: the request as Django hands it to a view or middleware.
        salt: the salt of the day; ``None`` makes do with one that the site's secret gives.
        agreed: how far the sender agrees; who was not asked is not known by a cookie, even if
            the browser still brings one.
    """
    policy = _policy()
    if (
        agreed is Consent.TRACK
        and policy.cookies
        and (cookie := request.COOKIES.get(policy.cookie_name))
    ):
        key = _key_in(cookie)
        if key is not None:
            return Identity(key, has_cookie=True)
    return Identity(day_key(request, salt), has_cookie=False)


def day_key(request: HttpRequest, salt: bytes | None) -> str:
    """Return the key that the sender of ``request`` has today, cookie or not.

    Args:
        request: the request as Django hands it to a view or middleware.
        salt: as for :func:`recognise`.
    """
    meta = request.META
    shown = "\n".join(
        (
            client_address.address(request) or "",
            meta.get("HTTP_USER_AGENT", ""),
            meta.get("HTTP_ACCEPT_LANGUAGE", ""),
            meta.get("HTTP_HOST", ""),
        )
    )
    digest = hmac.digest(salt or _makeshift_salt(), shown.encode(errors="replace"), "sha256")
    return base64.urlsafe_b64encode(digest[: client_address.KEY_BYTES]).rstrip(b"=").decode()


def sets_cookies() -> bool:
    """Return whether the site recognises visitors by a cookie."""
    return _policy().cookies


def cookie_for(key: str) -> str:
    """Return the value of the cookie that brings ``key`` back."""
    return _policy().signers[0].sign(key)


class _Policy(NamedTuple):
    cookies: bool
    cookie_name: str
    #: The first signs, all read.
    signers: tuple[signing.Signer, ...]


@until_settings_change
@cache
def _policy() -> _Policy:
    signers = tuple(
        signing.Signer(key=key, salt=_SALT, fallback_keys=[]) for key in conf.secret_keys
    )
    return _Policy(conf.cookies, conf.cookie_name, signers)


def _key_in(cookie: str) -> str | None:
    """Return the key that a cookie brings, or ``None`` if it is not one of ours."""
    # What cannot be one is not kept in memory either: strangers send what they like.
    return _key_signed(cookie) if 0 < len(cookie) <= MAX_COOKIE else None


@until_settings_change
@lru_cache(maxsize=10_000)
def _key_signed(cookie: str) -> str | None:
    for signer in _policy().signers:
        try:
            key = signer.unsign(cookie)
        except signing.BadSignature:
            continue
        return key if len(key) == KEY_LENGTH else None
    return None


def _makeshift_salt() -> bytes:
    # While the database is away. Who has the secret could try all addresses out, so it
    # is second best.
    secret = conf.secret_keys[0]
    secret = secret.encode() if isinstance(secret, str) else secret
    day = datetime.now(UTC).date().isoformat()
    return hmac.digest(secret, f"{_SALT} {day}".encode(), hashlib.sha256)

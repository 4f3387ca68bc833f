"""The key of a visitor whose browser has no cookie of ours.

It is a keyed hash of the address and three headers. A browser keeps its key for one day of the
site's time zone, also in two requests at the same moment. The hash is keyed with the salt of the
day (:mod:`tracking.identity.daily_salt`): once that is deleted, nobody can find out whose key it
was.
"""

import base64
import hashlib
import hmac
from datetime import date

from django.http import HttpRequest

from tracking.conf import conf
from tracking.models.visitors import KEY_BYTES, random_key
from tracking.rollups import days

#: Characters of a key: ``KEY_BYTES`` in base64 without padding.
KEY_LENGTH = len(random_key())


def day_key(
    request: HttpRequest, address: str | None, salt: bytes | None, day: date | None = None
) -> str:
    """Return the key that the sender of ``request`` has on a day.

    Args:
        request: the request as Django hands it to a view or middleware.
        address: the client's address.
        salt: the salt of the day; without one, a salt derived from the site's secret is used.
        day: the day; by default today.
    """
    meta = request.META
    traits = "\n".join(
        (
            address or "",
            meta.get("HTTP_USER_AGENT", ""),
            meta.get("HTTP_ACCEPT_LANGUAGE", ""),
            meta.get("HTTP_HOST", ""),
        )
    )
    # BLAKE2 (RFC 7693) takes a key of its own, and a quarter of the time of an HMAC.
    digest = hashlib.blake2b(
        traits.encode(errors="replace"), key=salt or _fallback_salt(day), digest_size=KEY_BYTES
    )
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()


def _fallback_salt(day: date | None) -> bytes:
    # For as long as the database is away. It is second best: a person with the secret could
    # try out all addresses.
    secret = conf.secret_keys[0]
    secret = secret.encode() if isinstance(secret, str) else secret
    return hmac.digest(secret, f"tracking.visitor {day or days.today()}".encode(), hashlib.sha256)

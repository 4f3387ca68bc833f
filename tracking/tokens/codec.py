"""``dumps`` and ``loads``: a payload becomes a token, and a token its payload."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Protocol

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from tracking.conf import conf, until_settings_change
from tracking.hits import Reference
from tracking.tokens.aes_siv import SivCodec
from tracking.tokens.payload import BadToken, ExpiredToken, Payload
from tracking.tokens.site_encoder import EncoderCodec

#: Characters of the longest token. Servers refuse long request lines (gunicorn: 4,094
#: bytes by default), so that a longer one would be a link that leads nowhere.
MAX_LENGTH = 3_800


def dumps(
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    salt: str,
    url: str | None = None,
    source: Reference | None = None,
    entity: Reference | None = None,
    target: Reference | None = None,
    issued_at: datetime | None = None,
) -> str:
    """Return the token for a payload. Equal payloads give equal tokens.

    Args:
        args: positional arguments: JSON values, ``date``, ``datetime``, ``Decimal``,
            ``UUID`` and lazy strings, nested as JSON is. An aware ``datetime`` comes
            back as the same instant with the same offset from UTC.
        kwargs: keyword arguments of the same types.
        salt: the purpose; only ``loads`` with the same salt reads the token.
        url: where a link leads.
        source, entity, target: the objects that the pixel or link is tied to.
        issued_at: the date that ``max_age`` counts from (aware). Without it the token
            is the same whenever it is made.

    Returns:
        Letters, digits, ``-`` and ``_`` (or what ``TRACKING_ENCODER`` makes).

    Raises:
        TypeError, ValueError: an argument cannot be put into a token, or the token
            would be longer than ``MAX_LENGTH``; the message names which and why.
        django.core.exceptions.ImproperlyConfigured: the secrets or the encoder are unusable.
    """
    payload = Payload(list(args), dict(kwargs), url, source, entity, target, issued_at)
    token = _codec().encode(payload, salt)
    if len(token) > MAX_LENGTH:
        raise ValueError(
            f"The token would have {len(token):,} characters, more than the {MAX_LENGTH:,} that "
            "servers are sure to take in a URL; pass less, such as an id that leads to the rest."
        )
    return token


def loads(token: str, *, salt: str, max_age: float | None = None) -> Payload:
    """Return the payload of a token.

    Args:
        token: the text from the URL.
        salt: the purpose it must have been made for.
        max_age: seconds after ``issued_at`` until which the token is accepted.

    Raises:
        ExpiredToken: authentic, but older than ``max_age``, or without a date to count from.
        BadToken: forged, truncated, re-spelled, for another purpose, or under a
            secret that is not in the ring.
        django.core.exceptions.ImproperlyConfigured: the secrets or the encoder are unusable.
    """
    if len(token) > MAX_LENGTH:
        raise BadToken("The token is longer than any that this site makes.")
    payload = _codec().decode(token, salt)
    if max_age is not None:
        _check_age(payload, max_age)
    return payload


def _check_age(payload: Payload, max_age: float) -> None:
    if payload.issued_at is None:
        raise ExpiredToken("The token has no date, so that its age is unknown.", payload)
    age = time.time() - payload.issued_at.timestamp()
    if age > max_age:
        raise ExpiredToken(f"The token is {age:.0f} s old, and {max_age} s is the limit.", payload)


class _Codec(Protocol):
    def encode(self, payload: Payload, salt: str) -> str: ...

    def decode(self, token: str, salt: str) -> Payload: ...


@until_settings_change
@cache
def _codec() -> _Codec:
    path = conf.encoder
    if not path:
        return SivCodec()
    try:
        encoder = import_string(path)
        return EncoderCodec(encoder() if isinstance(encoder, type) else encoder)
    except (ImportError, TypeError, ValueError) as error:
        raise ImproperlyConfigured(f"TRACKING_ENCODER: {error}") from error

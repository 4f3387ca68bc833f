"""``dumps`` and ``loads``: payloads to tokens and back."""

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

#: Characters of the longest token. Servers reject long request lines (gunicorn: 4,094 bytes by
#: default), so a link with a longer token would not work.
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
    recipient: int | None = None,
) -> str:
    """Return the token of a payload. Equal payloads give equal tokens.

    Args:
        args: positional arguments: JSON values, ``date``, ``datetime``, ``Decimal``,
            ``UUID`` and lazy strings, nested as in JSON. An aware ``datetime`` comes back as the
            same instant with the same UTC offset.
        kwargs: keyword arguments of the same types.
        salt: the purpose; only ``loads`` with the same salt reads the token.
        url: the destination of a link.
        source: the source of the beacon.
        entity: the entity of the beacon.
        target: the target of the beacon.
        issued_at: when the token was issued (aware); ``max_age`` counts from it. Without it, the
            token is always the same.
        recipient: the digest of the recipient's address.

    Returns:
        Letters, digits, ``-`` and ``_`` (or the token of ``TRACKING_ENCODER``).

    Raises:
        TypeError: an argument has a type that cannot be packed; the message names the argument.
        ValueError: an argument cannot be packed, or the token exceeds ``MAX_LENGTH``.
        django.core.exceptions.ImproperlyConfigured: the secrets or the encoder are invalid.
    """
    payload = Payload(list(args), dict(kwargs), url, source, entity, target, issued_at, recipient)
    token = _codec().encode(payload, salt)
    if len(token) > MAX_LENGTH:
        raise ValueError(
            f"The token would have {len(token):,} characters. Servers reject URLs with more than "
            f"{MAX_LENGTH:,}. Pass less data, such as the id of a row with the rest."
        )
    return token


def loads(token: str, *, salt: str, max_age: float | None = None) -> Payload:
    """Return the payload of a token.

    Args:
        token: the text from the URL.
        salt: the purpose it must have been made for.
        max_age: the token expires this many seconds after ``issued_at``.

    Raises:
        ExpiredToken: authentic, but older than ``max_age`` or without ``issued_at``.
        BadToken: forged, truncated, altered, for another purpose, or encrypted with a secret that
            is no longer in the settings.
        django.core.exceptions.ImproperlyConfigured: the secrets or the encoder are invalid.
    """
    if len(token) > MAX_LENGTH:
        raise BadToken("The token is too long.")
    payload = _codec().decode(token, salt)
    if max_age is not None:
        _check_age(payload, max_age)
    return payload


def _check_age(payload: Payload, max_age: float) -> None:
    if payload.issued_at is None:
        raise ExpiredToken("The token has no date, so its age is unknown.", payload)
    age = time.time() - payload.issued_at.timestamp()
    if age > max_age:
        raise ExpiredToken(f"The token is {age:.0f} s old; the limit is {max_age} s.", payload)


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

"""The payload of a token, and the errors of invalid tokens."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from tracking.hits import Reference

#: The salts of this app's own tokens.
PIXEL = "tracking.pixel"
REDIRECT = "tracking.redirect"
PREFERENCES = "tracking.preferences"
UNSUBSCRIBE = "tracking.unsubscribe"

#: The date of tokens that never count: those of messages that are tests.
UNCOUNTED = datetime.fromtimestamp(0, UTC)


class BadToken(ValueError):
    """The text is not a token that this site made for this purpose."""


class ExpiredToken(BadToken):
    """The token is authentic, but older than allowed or of unknown age.

    Attributes:
        payload: the payload; an expired link still redirects.
    """

    def __init__(self, message: str, payload: "Payload") -> None:
        super().__init__(message)
        self.payload = payload


class Payload(msgspec.Struct, frozen=True):
    """The payload of a token.

    Attributes:
        args: the positional arguments.
        kwargs: the keyword arguments.
        url: the destination of a link, or ``None``.
        source: the source of the beacon, or ``None``.
        entity: the entity of the beacon, or ``None``.
        target: the target of the beacon, or ``None``.
        issued_at: when the token was issued (aware, whole seconds), or ``None``.
        recipient: the digest of the recipient's address, or ``None``
            (:mod:`tracking.recipient_consent`).
    """

    args: list[Any]
    kwargs: dict[str, Any]
    url: str | None = None
    source: Reference | None = None
    entity: Reference | None = None
    target: Reference | None = None
    issued_at: datetime | None = None
    recipient: int | None = None


def text_or_none(value: Any) -> str | None:
    """Return a string or ``None`` unchanged.

    Raises:
        TypeError: the value is neither.
    """
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"{value!r} is not a URL.")


def date_from(timestamp: int | None) -> datetime | None:
    """Return the time (aware) of a POSIX timestamp in seconds, or ``None`` for ``None``."""
    return None if timestamp is None else datetime.fromtimestamp(timestamp, UTC)


def integer_or_none(value: Any) -> int | None:
    """Return an integer or ``None`` unchanged.

    Raises:
        TypeError: the value is neither.
    """
    if value is None or type(value) is int:
        return value
    raise TypeError(f"{value!r} is no integer.")

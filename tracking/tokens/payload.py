"""What a token says, and the errors of a text that is no token."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from tracking.hits import Reference

#: The salts of the app's own tokens.
PIXEL = "tracking.pixel"
REDIRECT = "tracking.redirect"


class BadToken(ValueError):
    """The text is no token made by this site for this purpose."""


class ExpiredToken(BadToken):
    """The token is authentic, but older than allowed or of unknown age.

    Attributes:
        payload: what the token says; a link still leads where it led.
    """

    def __init__(self, message: str, payload: "Payload") -> None:
        super().__init__(message)
        self.payload = payload


class Payload(msgspec.Struct, frozen=True):
    """What a token says.

    Attributes:
        args: the positional arguments.
        kwargs: the keyword arguments.
        url: where a link leads, or ``None``.
        source, entity, target: the objects the token is tied to, or ``None``.
        issued_at: when the token was made (aware, whole seconds), or ``None`` for a
            token without date.
    """

    args: list[Any]
    kwargs: dict[str, Any]
    url: str | None = None
    source: Reference | None = None
    entity: Reference | None = None
    target: Reference | None = None
    issued_at: datetime | None = None


def text_or_none(value: Any) -> str | None:
    """Return a URL from a token, or ``None`` for none.

    Raises:
        TypeError: it is no text.
    """
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"{value!r} is no URL")


def date_from(timestamp: int | None) -> datetime | None:
    """Return the time (aware) that a token gives in POSIX seconds, or ``None`` for none."""
    return None if timestamp is None else datetime.fromtimestamp(timestamp, UTC)

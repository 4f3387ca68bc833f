"""Tokens made by an encoder of the site's own (``TRACKING_ENCODER``)."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tracking.hits import ROLES, Reference
from tracking.tokens import values
from tracking.tokens.payload import BadToken, Payload, date_from, text_or_none


class Encoder(Protocol):
    """What ``TRACKING_ENCODER`` names: the interface that django-ptrack documented.

    ``kwargs`` holds one keyword of the app's own,
    ``"tracking:token"``; it must come back as it went in.
    """

    def encrypt(self, *args: Any, **kwargs: Any) -> str:
        """Return a text that fits into one segment of a URL path and that only this site makes."""

    def decrypt(self, token: str) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """Return what ``encrypt`` was given; any exception means that the token is not ours."""


class EncoderCodec:
    """Tokens of the site's own encoder, tied to their purpose by one more keyword."""

    _OWN = "tracking:token"

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def encode(self, payload: Payload, salt: str) -> str:
        values.plain(payload.args, "args")  # names the argument that is of no type we take
        values.plain_mapping(payload.kwargs, "kwargs")
        own: dict[str, Any] = {"salt": salt, "url": payload.url}
        for role in ROLES:
            if reference := getattr(payload, role):
                own[role] = list(reference)
        if payload.issued_at is not None:
            own["issued_at"] = int(payload.issued_at.timestamp())
        token = self._encoder.encrypt(*payload.args, **payload.kwargs, **{self._OWN: own})
        return token.decode() if isinstance(token, bytes) else token

    def decode(self, token: str, salt: str) -> Payload:
        try:
            args, named = self._encoder.decrypt(token)
            kwargs = dict(named)
            own = kwargs.pop(self._OWN)
            references = {role: Reference(*own[role]) for role in ROLES if role in own}
            issued_at = date_from(own.get("issued_at"))
            url = text_or_none(own["url"])
            payload = Payload(list(args), kwargs, url, issued_at=issued_at, **references)
            made_for = own["salt"]
        except Exception as error:
            raise BadToken("The encoder of this site does not know the token.") from error
        if made_for != salt:
            raise BadToken("The token was made for another purpose.")
        return payload

"""Tokens of the site's own encoder (``TRACKING_ENCODER``)."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tracking.hits import ROLES, Reference
from tracking.tokens import packing
from tracking.tokens.payload import BadToken, Payload, date_from, integer_or_none, text_or_none


class Encoder(Protocol):
    """The interface of the class in ``TRACKING_ENCODER``, as django-ptrack documents it.

    ``kwargs`` contains one keyword of this app, ``"tracking:token"``. It must come back unchanged.
    """

    def encrypt(self, *args: Any, **kwargs: Any) -> str:
        """Return a token that fits into one URL path segment and that only this site can make."""

    def decrypt(self, token: str) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """Return the arguments of ``encrypt``. Any exception means that the token is forged."""


class EncoderCodec:
    """Tokens of the site's own encoder. One extra keyword ties them to their purpose."""

    _OWN = "tracking:token"

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def encode(self, payload: Payload, salt: str) -> str:
        """Return the token of a payload; see :func:`tracking.tokens.dumps`."""
        packing.packable(payload.args, "args")  # raises an error that names a wrong argument
        packing.packable_mapping(payload.kwargs, "kwargs")
        own: dict[str, Any] = {"salt": salt, "url": payload.url}
        for role in ROLES:
            if reference := getattr(payload, role):
                own[role] = list(reference)
        if payload.issued_at is not None:
            own["issued_at"] = int(payload.issued_at.timestamp())
        if payload.recipient is not None:
            own["recipient"] = payload.recipient
        token = self._encoder.encrypt(*payload.args, **payload.kwargs, **{self._OWN: own})
        return token.decode() if isinstance(token, bytes) else token

    def decode(self, token: str, salt: str) -> Payload:
        """Return the payload of a token; see :func:`tracking.tokens.loads`."""
        try:
            args, named = self._encoder.decrypt(token)
            kwargs = dict(named)
            own = kwargs.pop(self._OWN)
            references = {role: Reference(*own[role]) for role in ROLES if role in own}
            issued_at = date_from(own.get("issued_at"))
            url = text_or_none(own["url"])
            recipient = integer_or_none(own.get("recipient"))
            payload = Payload(
                list(args), kwargs, url, issued_at=issued_at, recipient=recipient, **references
            )
            made_for = own["salt"]
        except Exception as error:
            raise BadToken("The encoder of this site rejects the token.") from error
        if made_for != salt:
            raise BadToken("The token was made for another purpose.")
        return payload

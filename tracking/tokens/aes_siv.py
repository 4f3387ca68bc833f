"""The default tokens: the packed payload, encrypted by AES-SIV, as base64url."""

import binascii
import re
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag

from tracking.hits import ROLES, Reference
from tracking.tokens import packing
from tracking.tokens.keys import key_ring
from tracking.tokens.payload import BadToken, Payload, date_from, integer_or_none, text_or_none


class SivCodec:
    """The default codec: the packed payload, encrypted by AES-SIV.

    The payload is packed as one list: the positional arguments, then one map. A key of the map that
    is a string names a keyword argument; a small number names a claim (URL, date, reference).
    """

    _URL, _ISSUED_AT, _FIRST_ROLE, _RECIPIENT = 0, 1, 2, 5

    def encode(self, payload: Payload, salt: str) -> str:
        """Return the token of a payload; see :func:`tracking.tokens.dumps`."""
        packed = packing.pack(self._to_list(payload))
        key = key_ring(salt).newest
        raw = bytes([key.number]) + key.cipher.encrypt(packed, None)
        return binascii.b2a_base64(raw, newline=False).translate(_TO_URL, b"=").decode()

    def decode(self, token: str, salt: str) -> Payload:
        """Return the payload of a token; see :func:`tracking.tokens.loads`."""
        raw = _decode_base64(token)
        sealed = raw[1:]
        for cipher in key_ring(salt).ciphers.get(raw[0], ()):
            try:
                packed = cipher.decrypt(sealed, None)
            except InvalidTag:
                continue
            try:
                return self._from_packed(packed)
            except (ValueError, TypeError, ArithmeticError, LookupError, OSError) as error:
                raise BadToken("The token is authentic, but its content is unknown.") from error
        raise BadToken("The token was not made by this site for this purpose.")

    def _to_list(self, payload: Payload) -> list[Any]:
        named: dict[Any, Any] = {}
        if payload.url is not None:
            named[self._URL] = packing.packable(payload.url, "url")
        for claim, role in enumerate(ROLES, self._FIRST_ROLE):
            if reference := getattr(payload, role):
                named[claim] = [reference.label, _shortest_key(reference.pk)]
        if payload.issued_at is not None:
            named[self._ISSUED_AT] = int(payload.issued_at.timestamp())
        if payload.recipient is not None:
            named[self._RECIPIENT] = payload.recipient
        named |= packing.packable_mapping(payload.kwargs, "kwargs")
        args = [packing.packable(value, f"args[{i}]") for i, value in enumerate(payload.args)]
        return [*args, named]

    def _from_packed(self, packed: bytes) -> Payload:
        args: list[Any] = packing.unpack(packed)
        if not isinstance(args, list) or not args:
            raise TypeError("The payload is not a list.")
        named = args.pop()
        if not isinstance(named, dict):
            raise TypeError("The payload has no map.")
        if isinstance(next(iter(named), ""), str):  # claims come first, so there are none
            return Payload(args, named)
        kwargs = {name: value for name, value in named.items() if isinstance(name, str)}
        references = {
            role: Reference(str(named[claim][0]), str(named[claim][1]))
            for claim, role in enumerate(ROLES, self._FIRST_ROLE)
            if claim in named
        }
        issued_at = date_from(named.get(self._ISSUED_AT))
        url = text_or_none(named.get(self._URL))
        recipient = integer_or_none(named.get(self._RECIPIENT))
        return Payload(args, kwargs, url, issued_at=issued_at, recipient=recipient, **references)


_UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_INTEGER_TEXT = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)


def _shortest_key(pk: str) -> Any:
    """Return a primary key in the type that packs shortest and has the same text."""
    if _INTEGER_TEXT.fullmatch(pk):
        return int(pk)
    return packing.packable(UUID(pk) if _UUID_TEXT.fullmatch(pk) else pk, "a primary key")


# Base64url, with exactly one text for each value.

_TO_URL = bytes.maketrans(b"+/", b"-_")
#: The inverse. Characters that only the standard alphabet has become invalid.
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/!!!")
_PADDING = (b"", b"", b"==", b"=")
#: Valid last characters, by the number of characters after the last group of four. The last
#: character has 4 or 2 surplus bits. They must be zero, or one token would have several texts.
#: One character alone cannot hold a byte.
_LAST_CHARACTERS = (None, "", "AQgw", "AEIMQUYcgkosw048")


def _decode_base64(token: str) -> bytes:
    surplus = len(token) % 4
    last = _LAST_CHARACTERS[surplus]
    if token and (last is None or token[-1] in last):
        try:
            encoded = token.encode("ascii").translate(_FROM_URL) + _PADDING[surplus]
            return binascii.a2b_base64(encoded, strict_mode=True)
        except ValueError as error:
            raise BadToken("The token contains invalid characters.") from error
    raise BadToken("The token is truncated or malformed.")

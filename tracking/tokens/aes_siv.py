"""The default tokens: the packed payload under AES-SIV, in base64url with one spelling."""

import binascii
import re
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag

from tracking.hits import ROLES, Reference
from tracking.tokens import values
from tracking.tokens.keys import ring
from tracking.tokens.payload import BadToken, Payload, date_from, text_or_none


class SivCodec:
    """The default: the packed payload under AES-SIV.

    What is packed is one list: the positional arguments, and behind them one map, in
    which a key that is text names a keyword argument and a small number a claim.
    """

    _URL, _ISSUED_AT, _FIRST_ROLE = 0, 1, 2

    def encode(self, payload: Payload, salt: str) -> str:
        packed = values.pack(self._plain(payload))
        key = ring(salt).newest
        raw = bytes([key.number]) + key.cipher.encrypt(packed, None)
        return binascii.b2a_base64(raw, newline=False).translate(_TO_URL, b"=").decode()

    def decode(self, token: str, salt: str) -> Payload:
        raw = _bytes_of(token)
        sealed = raw[1:]
        for cipher in ring(salt).ciphers.get(raw[0], ()):
            try:
                packed = cipher.decrypt(sealed, None)
            except InvalidTag:
                continue
            try:
                return self._payload(packed)
            except (ValueError, TypeError, ArithmeticError, LookupError, OSError) as error:
                raise BadToken("The token is authentic, but says nothing known.") from error
        raise BadToken("The token was not made by this site for this purpose.")

    def _plain(self, payload: Payload) -> list[Any]:
        named: dict[Any, Any] = {}
        if payload.url is not None:
            named[self._URL] = values.plain(payload.url, "url")
        for claim, role in enumerate(ROLES, self._FIRST_ROLE):
            if reference := getattr(payload, role):
                named[claim] = [reference.label, _shortest_key(reference.pk)]
        if payload.issued_at is not None:
            named[self._ISSUED_AT] = int(payload.issued_at.timestamp())
        named |= values.plain_mapping(payload.kwargs, "kwargs")
        args = [values.plain(value, f"args[{i}]") for i, value in enumerate(payload.args)]
        return [*args, named]

    def _payload(self, packed: bytes) -> Payload:
        args: list[Any] = values.unpack(packed)
        if not isinstance(args, list) or not args:
            raise TypeError("there are no arguments")
        named = args.pop()
        # The claims stand first, so that one look tells whether there are any.
        if not isinstance(named, dict):
            raise TypeError("the arguments have no names")
        if isinstance(next(iter(named), ""), str):
            return Payload(args, named)
        kwargs = {name: value for name, value in named.items() if isinstance(name, str)}
        references = {
            role: Reference(str(named[claim][0]), str(named[claim][1]))
            for claim, role in enumerate(ROLES, self._FIRST_ROLE)
            if claim in named
        }
        issued_at = date_from(named.get(self._ISSUED_AT))
        url = named.get(self._URL)
        return Payload(args, kwargs, text_or_none(url), issued_at=issued_at, **references)


_UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_INTEGER_TEXT = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)


def _shortest_key(pk: str) -> Any:
    """Return a primary key in the form that packs shortest and has the same text."""
    if _INTEGER_TEXT.fullmatch(pk):
        return int(pk)
    return values.plain(UUID(pk) if _UUID_TEXT.fullmatch(pk) else pk, "a primary key")


# The spelling of a token: one text for one value.

_TO_URL = bytes.maketrans(b"+/", b"-_")
#: The way back; what the standard alphabet has and ours has not becomes invalid.
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/!!!")
_PADDING = (b"", b"", b"==", b"=")
#: By how many characters stand behind the last group of four: what the last may be.
#: It has 4 or 2 bits too many; if they could be other than zero, a token would have
#: several spellings. One character alone cannot carry a byte.
_LAST = (None, "", "AQgw", "AEIMQUYcgkosw048")


def _bytes_of(token: str) -> bytes:
    surplus = len(token) % 4
    last = _LAST[surplus]
    if token and (last is None or token[-1] in last):
        try:
            encoded = token.encode("ascii").translate(_FROM_URL) + _PADDING[surplus]
            return binascii.a2b_base64(encoded, strict_mode=True)
        except ValueError as error:
            raise BadToken("The token has characters that no token has.") from error
    raise BadToken("The token is cut off or not spelled as this site spells tokens.")

"""Tokens: what a pixel or link means, encrypted into its URL.

    >>> token = dumps([12345], {"campaign": "spring-sale"}, salt=PIXEL)
    >>> loads(token, salt=PIXEL).kwargs
    {'campaign': 'spring-sale'}
    >>> loads(token, salt=REDIRECT)
    Traceback (most recent call last):
    tracking.tokens.BadToken: The token was not made by this site for this purpose.

A token is base64url (RFC 4648, section 5, without padding) of one byte that names
the key, and the packed payload under AES-SIV (RFC 5297). SIV needs no random
number: equal payloads give equal tokens, so that a mail rendered twice carries one
URL. The key is derived from the secret by HKDF (RFC 5869), another one for each
salt, so that a token for one purpose is rubbish for every other.

The byte that names the key is derived as well. A ring of any length costs one
decryption, secrets can be added in front and removed behind, and sites that share
a secret agree on it wherever it stands in their lists.
"""

import binascii
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from tracking import packing
from tracking.conf import conf
from tracking.hits import ROLES, Reference

#: The salts of the app's own tokens.
PIXEL = "tracking.pixel"
REDIRECT = "tracking.redirect"

#: Characters of the longest token. Servers refuse long request lines (gunicorn: 4,094
#: bytes by default), so that a longer one would be a link that leads nowhere.
MAX_LENGTH = 3_800


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


class _SivCodec:
    """The default: the packed payload under AES-SIV.

    What is packed is one list: the positional arguments, and behind them one map, in
    which a key that is text names a keyword argument and a small number a claim.
    """

    _URL, _ISSUED_AT, _FIRST_ROLE = 0, 1, 2

    def encode(self, payload: Payload, salt: str) -> str:
        packed = packing.pack(self._plain(payload))
        key = _ring(salt).newest
        raw = bytes([key.number]) + key.cipher.encrypt(packed, None)
        return binascii.b2a_base64(raw, newline=False).translate(_TO_URL, b"=").decode()

    def decode(self, token: str, salt: str) -> Payload:
        raw = _bytes_of(token)
        sealed = raw[1:]
        for cipher in _ring(salt).ciphers.get(raw[0], ()):
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
            named[self._URL] = packing.plain(payload.url, "url")
        for claim, role in enumerate(ROLES, self._FIRST_ROLE):
            if reference := getattr(payload, role):
                named[claim] = [reference.label, _shortest_key(reference.pk)]
        if payload.issued_at is not None:
            named[self._ISSUED_AT] = int(payload.issued_at.timestamp())
        named |= packing.plain_mapping(payload.kwargs, "kwargs")
        args = [packing.plain(value, f"args[{i}]") for i, value in enumerate(payload.args)]
        return [*args, named]

    def _payload(self, packed: bytes) -> Payload:
        args: list[Any] = packing.unpack(packed)
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
        issued_at = _date(named.get(self._ISSUED_AT))
        url = named.get(self._URL)
        return Payload(args, kwargs, _text_or_none(url), issued_at=issued_at, **references)


_UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_INTEGER_TEXT = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)


def _shortest_key(pk: str) -> Any:
    """Return a primary key in the form that packs shortest and has the same text."""
    if _INTEGER_TEXT.fullmatch(pk):
        return int(pk)
    return packing.plain(UUID(pk) if _UUID_TEXT.fullmatch(pk) else pk, "a primary key")


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


# The keys.


class _Key(NamedTuple):
    number: int
    cipher: AESSIV


class _Ring(NamedTuple):
    newest: _Key
    ciphers: dict[int, list[AESSIV]]  # by number; one pair of keys in 256 shares one


_KEY_BYTES = 64  # AES-256 in SIV mode takes two keys of 32 bytes


@lru_cache(maxsize=32)
def _ring(salt: str) -> _Ring:
    """Return the keys for a purpose, derived once from the secrets of the settings."""
    secrets = conf.secret_keys
    if isinstance(secrets, str | bytes) or not isinstance(secrets, Sequence) or not secrets:
        # A text would be taken for a list of letters, each of them a secret to guess.
        raise ImproperlyConfigured(
            "TRACKING_SECRET_KEYS must be a list of secrets, and not empty; leave it out to derive "
            "the keys from SECRET_KEY."
        )
    keys = [_derive(secret, salt) for secret in secrets]
    ciphers: dict[int, list[AESSIV]] = {}
    for key in keys:
        ciphers.setdefault(key.number, []).append(key.cipher)
    return _Ring(keys[0], ciphers)


def _derive(secret: str | bytes, salt: str) -> _Key:
    if not secret:
        raise ImproperlyConfigured(
            "A secret of the tracking tokens is empty: set SECRET_KEY, and take empty texts out of "
            "TRACKING_SECRET_KEYS and SECRET_KEY_FALLBACKS."
        )
    material = secret.encode() if isinstance(secret, str) else secret
    purpose = b"django-beacons token 1:" + salt.encode()
    derived = HKDF(SHA256(), _KEY_BYTES + 1, salt=None, info=purpose).derive(material)
    return _Key(derived[_KEY_BYTES], AESSIV(derived[:_KEY_BYTES]))


# Another encoder.


class Encoder(Protocol):
    """What ``TRACKING_ENCODER`` names: the interface that django-ptrack documented.

    ``kwargs`` holds one keyword of the app's own,
    ``"tracking:token"``; it must come back as it went in.
    """

    def encrypt(self, *args: Any, **kwargs: Any) -> str:
        """Return a text that fits into one segment of a URL path and that only this site makes."""

    def decrypt(self, token: str) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """Return what ``encrypt`` was given; any exception means that the token is not ours."""


class _EncoderCodec:
    """Tokens of the site's own encoder, tied to their purpose by one more keyword."""

    _OWN = "tracking:token"

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def encode(self, payload: Payload, salt: str) -> str:
        packing.plain(payload.args, "args")  # names the argument that is of no type we take
        packing.plain_mapping(payload.kwargs, "kwargs")
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
            issued_at = _date(own.get("issued_at"))
            url = _text_or_none(own["url"])
            payload = Payload(list(args), kwargs, url, issued_at=issued_at, **references)
            made_for = own["salt"]
        except Exception as error:
            raise BadToken("The encoder of this site does not know the token.") from error
        if made_for != salt:
            raise BadToken("The token was made for another purpose.")
        return payload


def _text_or_none(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"{value!r} is no URL")


def _date(timestamp: int | None) -> datetime | None:
    return None if timestamp is None else datetime.fromtimestamp(timestamp, UTC)


@lru_cache(maxsize=1)
def _codec() -> _Codec:
    path = conf.encoder
    if not path:
        return _SivCodec()
    try:
        encoder = import_string(path)
        return _EncoderCodec(encoder() if isinstance(encoder, type) else encoder)
    except (ImportError, TypeError, ValueError) as error:
        raise ImproperlyConfigured(f"TRACKING_ENCODER: {error}") from error


def _forget(*, setting: str, **_: Any) -> None:
    if setting in {"SECRET_KEY", "SECRET_KEY_FALLBACKS", "TRACKING_SECRET_KEYS"}:
        _ring.cache_clear()
    elif setting == "TRACKING_ENCODER":
        _codec.cache_clear()


# Reading settings costs more than all of loads(); only override_settings changes them.
setting_changed.connect(_forget)

"""Tokens: the data of a pixel or link, encrypted in its URL.

    >>> token = dumps([12345], {"campaign": "spring-sale"}, salt=PIXEL)
    >>> loads(token, salt=PIXEL).kwargs
    {'campaign': 'spring-sale'}
    >>> loads(token, salt=REDIRECT)
    Traceback (most recent call last):
    tracking.tokens.payload.BadToken: The token was not made by this site for this purpose.

A token is the base64url encoding (RFC 4648, section 5, without padding) of one byte that
identifies the key, and of the packed payload, encrypted by AES-SIV (RFC 5297). SIV needs no random
number: equal payloads give equal tokens, so a mail that is rendered twice contains the same URL.
HKDF (RFC 5869) derives one key per salt from the secret, so a token for one purpose is invalid for
every other.

The byte that identifies the key is derived too. So a token costs one decryption however many
secrets there are, new secrets can be prepended and old ones removed, and sites that share a secret
agree on its byte.
"""

from tracking.tokens.codec import MAX_LENGTH, dumps, loads
from tracking.tokens.payload import (
    PIXEL,
    PREFERENCES,
    REDIRECT,
    UNCOUNTED,
    UNSUBSCRIBE,
    BadToken,
    ExpiredToken,
    Payload,
)
from tracking.tokens.site_encoder import Encoder

__all__ = [
    "MAX_LENGTH",
    "PIXEL",
    "PREFERENCES",
    "REDIRECT",
    "UNCOUNTED",
    "UNSUBSCRIBE",
    "BadToken",
    "Encoder",
    "ExpiredToken",
    "Payload",
    "dumps",
    "loads",
]

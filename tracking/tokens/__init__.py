"""Tokens: what a pixel or link means, encrypted into its URL.

    >>> token = dumps([12345], {"campaign": "spring-sale"}, salt=PIXEL)
    >>> loads(token, salt=PIXEL).kwargs
    {'campaign': 'spring-sale'}
    >>> loads(token, salt=REDIRECT)
    Traceback (most recent call last):
    tracking.tokens.payload.BadToken: The token was not made by this site for this purpose.

A token is base64url (RFC 4648, section 5, without padding) of one byte that names
the key, and the packed payload under AES-SIV (RFC 5297). SIV needs no random
number: equal payloads give equal tokens, so that a mail rendered twice carries one
URL. The key is derived from the secret by HKDF (RFC 5869), another one for each
salt, so that a token for one purpose is rubbish for every other.

The byte that names the key is derived as well. A ring of any length costs one
decryption, secrets can be added in front and removed behind, and sites that share
a secret agree on it wherever it stands in their lists.
"""

from tracking.tokens.codec import MAX_LENGTH, dumps, loads
from tracking.tokens.payload import PIXEL, REDIRECT, BadToken, ExpiredToken, Payload
from tracking.tokens.site_encoder import Encoder

__all__ = [
    "MAX_LENGTH",
    "PIXEL",
    "REDIRECT",
    "BadToken",
    "Encoder",
    "ExpiredToken",
    "Payload",
    "dumps",
    "loads",
]

"""The keys of the tokens, derived from the secrets in the settings. Old secrets still decrypt."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.core.exceptions import ImproperlyConfigured

from tracking.conf import conf, until_settings_change


class Key(NamedTuple):
    """A derived key: the byte that identifies it in a token, and its cipher."""

    number: int
    cipher: AESSIV


class KeyRing(NamedTuple):
    """The keys of one purpose: the newest encrypts, all decrypt."""

    newest: Key
    ciphers: dict[int, list[AESSIV]]  # by number; one pair of keys in 256 shares its number


_KEY_BYTES = 64  # AES-256 in SIV mode needs two keys of 32 bytes


@until_settings_change
@lru_cache(maxsize=32)
def key_ring(salt: str) -> KeyRing:
    """Return the keys of a purpose, derived once from the secrets in the settings."""
    secrets = conf.secret_keys
    if isinstance(secrets, str | bytes) or not isinstance(secrets, Sequence) or not secrets:
        # A string is a sequence of characters, each of which would be a secret.
        raise ImproperlyConfigured(
            "TRACKING_SECRET_KEYS must be a list of at least one secret. Remove it to derive the "
            "keys from SECRET_KEY."
        )
    keys = [derive_key(secret, salt) for secret in secrets]
    ciphers: dict[int, list[AESSIV]] = {}
    for key in keys:
        ciphers.setdefault(key.number, []).append(key.cipher)
    return KeyRing(keys[0], ciphers)


def derive_key(secret: str | bytes, salt: str) -> Key:
    """Return the key of a purpose, derived from a secret by HKDF (RFC 5869)."""
    if not secret:
        raise ImproperlyConfigured(
            "A secret of the tracking tokens is empty. Set SECRET_KEY, and remove empty strings "
            "from TRACKING_SECRET_KEYS and SECRET_KEY_FALLBACKS."
        )
    material = secret.encode() if isinstance(secret, str) else secret
    purpose = b"django-beacons token 1:" + salt.encode()
    derived = HKDF(SHA256(), _KEY_BYTES + 1, salt=None, info=purpose).derive(material)
    return Key(derived[_KEY_BYTES], AESSIV(derived[:_KEY_BYTES]))

"""The keys of the tokens, derived from the secrets of the settings; old ones still decrypt."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.core.exceptions import ImproperlyConfigured

from tracking.conf import conf, until_settings_change


class Key(NamedTuple):
    """A derived key: the byte that names it in a token, and its cipher."""

    number: int
    cipher: AESSIV


class Ring(NamedTuple):
    """The keys of one purpose: the newest encrypts, all of them decrypt."""

    newest: Key
    ciphers: dict[int, list[AESSIV]]  # by number; one pair of keys in 256 shares one


_KEY_BYTES = 64  # AES-256 in SIV mode takes two keys of 32 bytes


@until_settings_change
@lru_cache(maxsize=32)
def ring(salt: str) -> Ring:
    """Return the keys for a purpose, derived once from the secrets of the settings."""
    secrets = conf.secret_keys
    if isinstance(secrets, str | bytes) or not isinstance(secrets, Sequence) or not secrets:
        # A text would be taken for a list of letters, each of them a secret to guess.
        raise ImproperlyConfigured(
            "TRACKING_SECRET_KEYS must be a list of secrets, and not empty; leave it out to derive "
            "the keys from SECRET_KEY."
        )
    keys = [derive(secret, salt) for secret in secrets]
    ciphers: dict[int, list[AESSIV]] = {}
    for key in keys:
        ciphers.setdefault(key.number, []).append(key.cipher)
    return Ring(keys[0], ciphers)


def derive(secret: str | bytes, salt: str) -> Key:
    """Return the key of a purpose, derived from a secret by HKDF (RFC 5869)."""
    if not secret:
        raise ImproperlyConfigured(
            "A secret of the tracking tokens is empty: set SECRET_KEY, and take empty texts out of "
            "TRACKING_SECRET_KEYS and SECRET_KEY_FALLBACKS."
        )
    material = secret.encode() if isinstance(secret, str) else secret
    purpose = b"django-beacons token 1:" + salt.encode()
    derived = HKDF(SHA256(), _KEY_BYTES + 1, salt=None, info=purpose).derive(material)
    return Key(derived[_KEY_BYTES], AESSIV(derived[:_KEY_BYTES]))

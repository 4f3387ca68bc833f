"""The key of the hashes of addresses: random, and the same for ever.

It is stored in the database, encrypted by the secret of the tokens. So a copy of the database does
not tell whose hashes these are, and new secrets can be put in front of old ones as for tokens: the
first process that reads the key encrypts it with the newest secret.
"""

import binascii
import secrets

from cryptography.exceptions import InvalidTag
from django.utils import timezone

from tracking.caching import snapshots
from tracking.db.isolation import log_errors_with_savepoints, savepoints
from tracking.log_limits import get_logger
from tracking.models import MailConsent, SharedValue
from tracking.tokens.keys import key_ring

logger = get_logger(__name__)

#: The name of the shared value, and the purpose of the key that encrypts it.
NAME = "mail consent key"
_PURPOSE = "tracking.mail-consent-key"

#: The name of the snapshot that holds the key with the ledger.
SNAPSHOT = "mail consents"

#: Bytes of the key.
KEY_BYTES = 16


class AddressKeyLost(RuntimeError):
    """The secret is no longer in the settings that encrypts the key of addresses."""

    def __init__(self) -> None:
        super().__init__(
            "The consent of addresses cannot be read: the secret that it needs is neither in "
            "TRACKING_SECRET_KEYS nor in SECRET_KEY_FALLBACKS. Put the old secret back there."
        )


def get_or_create(using: str) -> bytes:
    """Return the key; make it if there is none.

    Args:
        using: the alias of the database.

    Raises:
        AddressKeyLost: it cannot be decrypted.
        django.db.Error: the database does not answer.
    """
    key = find(using)
    if key is None:
        _insert(secrets.token_bytes(KEY_BYTES), using)
        snapshots.changed(SNAPSHOT, using)
        key = find(using)
    if key is None:
        raise AddressKeyLost
    return key


def find(using: str) -> bytes | None:
    """Return the key, or ``None`` if there is none.

    Args:
        using: the alias of the database.

    Raises:
        AddressKeyLost: it cannot be decrypted, and addresses of the ledger need it.
        django.db.Error: the database does not answer.
    """
    rows = SharedValue.objects.using(using).filter(name=NAME)
    row = rows.first()
    if row is None:
        return None
    encrypted = binascii.a2b_base64(row.value)
    newest = key_ring(_PURPOSE).newest
    for cipher in key_ring(_PURPOSE).ciphers.get(encrypted[0], ()):
        try:
            key = cipher.decrypt(encrypted[1:], None)
        except InvalidTag:
            continue
        if cipher is not newest.cipher:
            with log_errors_with_savepoints(logger, "Encrypting the key with the newest secret"):
                rows.filter(value=row.value).update(value=_encrypt(key), changed_at=timezone.now())
        return key
    if MailConsent.objects.using(using).filter(label="").exists():
        raise AddressKeyLost
    rows.filter(value=row.value).delete()
    return None


def _insert(key: bytes, using: str) -> None:
    """Save a key, unless another process has just done so."""
    with savepoints():
        SharedValue.objects.using(using).bulk_create(
            [SharedValue(name=NAME, value=_encrypt(key), changed_at=timezone.now())],
            ignore_conflicts=True,
        )


def _encrypt(key: bytes) -> str:
    newest = key_ring(_PURPOSE).newest
    raw = bytes([newest.number]) + newest.cipher.encrypt(key, None)
    return binascii.b2a_base64(raw, newline=False).decode()

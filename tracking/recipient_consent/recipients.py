"""Who a recipient is: a row of the site, or an e-mail address.

    >>> address_of("Anna <Anna@Example.COM>")
    'anna@example.com'

A recipient is known by a digest of eight bytes: that of its model and key, or a keyed hash of its
address. A million of them fit into the memory of each process.
"""

from email.utils import parseaddr
from hashlib import blake2b
from typing import NamedTuple
from unicodedata import normalize

from django.db.models import Model

from tracking.hits import Reference
from tracking.recipient_consent import address_key

#: What names a recipient: a saved row of any model, the reference to one, or an address.
Recipient = Model | Reference | str

#: Bytes of a digest.
DIGEST_BYTES = 8
#: Bytes of the hash of an address; the first eight are its digest.
_HASH_BYTES = 16
#: Characters of the longest address, RFC 5321, section 4.5.3.1.3.
_MAX_ADDRESS = 320


class Identity(NamedTuple):
    """A recipient as the ledger knows it.

    Attributes:
        digest: a signed integer of 64 bits.
        label: the model, or ``""`` for an address.
        key: the primary key as text, or the hash of the address.
    """

    digest: int
    label: str
    key: str


def identify(recipient: Recipient, using: str) -> Identity:
    """Return how the ledger knows a recipient.

    Args:
        recipient: a saved row, the reference to one, or an address.
        using: the alias of the database that keeps the key of addresses. It is made if it is
            missing.

    Raises:
        TypeError: ``recipient`` is something else.
        ValueError: it is a row that is not saved, or a text that is no address.
        tracking.recipient_consent.AddressKeyLost: the secret is gone that addresses need.
        django.db.Error: the database does not answer.
    """
    if isinstance(recipient, str):
        return identify_address(recipient, address_key.get_or_create(using))
    reference = recipient if isinstance(recipient, Reference) else Reference.to(recipient)
    return Identity(digest_of_row(reference), *reference)


def identify_address(address: str, key: bytes) -> Identity:
    """Return how the ledger knows an address.

    Args:
        address: an address, with or without a name.
        key: the key of the hash.

    Raises:
        ValueError: the text is no address.
    """
    hashed = blake2b(
        address_of(address).encode(errors="replace"),
        digest_size=_HASH_BYTES,
        key=key,
        person=b"mail.address",
    )
    raw = hashed.digest()
    return Identity(_to_integer(raw[:DIGEST_BYTES]), "", raw.hex())


def digest_of_row(reference: Reference) -> int:
    """Return the digest of a row."""
    text = "\0".join(reference).encode(errors="replace")
    return _to_integer(blake2b(text, digest_size=DIGEST_BYTES, person=b"mail.row").digest())


def _to_integer(digest: bytes) -> int:
    return int.from_bytes(digest, "big", signed=True)


def address_of(text: str) -> str:
    """Return an address in the form in which all its spellings are the same.

    Upper case makes no difference, neither does the spelling of an international domain or of
    accents. (By RFC 5321 the part before the ``@`` might differ in case; no provider does that.)

    Args:
        text: an address, with or without a name.

    Raises:
        ValueError: the text is no address.
    """
    address = parseaddr(text)[1].strip() if len(text) <= 2 * _MAX_ADDRESS else ""
    local, _at, domain = address.rpartition("@")
    if not local or not domain or len(address) > _MAX_ADDRESS:
        raise ValueError(f"{text[:_MAX_ADDRESS]!r} is no e-mail address.")
    return f"{normalize('NFKC', local).lower()}@{_ascii_domain(domain)}"


def _ascii_domain(domain: str) -> str:
    domain = normalize("NFKC", domain).lower().rstrip(".")
    try:
        return domain.encode("idna").decode()
    except UnicodeError:  # too long, an empty label
        return domain

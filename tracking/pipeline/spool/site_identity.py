"""Which site a file of the spool belongs to.

A site is the database that its hits go to. Two sites that share a folder by mistake must not write
each other's hits; all processes and releases of one site should write all of its hits. So each
file carries a stamp of two digests, and belongs to a site if one of them is the site's:

*address*
    of the database's name, host and port. It stays when the secret changes.
*name*
    of the database's name, keyed with the newest of ``TRACKING_SECRET_KEYS``. It stays when the
    database moves to another host, or some processes reach it through a pooler. A file is
    recognised by any of the keys, so that they can be rotated.

Neither says anything about who has the stamp: it contains no name and no secret.
"""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

from django.db import connections, router
from django.utils.crypto import salted_hmac

from tracking.conf import conf
from tracking.models import Beacon

#: Bytes of each digest.
_DIGEST_LENGTH = 8

#: Bytes of a stamp.
STAMP_LENGTH = 2 * _DIGEST_LENGTH

_STAMP_IN_NAME = re.compile(rf"\.([0-9a-f]{{{2 * STAMP_LENGTH}}})\.\w+$")

#: The schema in the ``options`` of a connection to PostgreSQL: two sites may share a database.
_SEARCH_PATH = re.compile(r"search_path=(\S+)")


class SiteIdentity(NamedTuple):
    """The digests by which a site recognises its files.

    Attributes:
        address: of the database's name, host and port.
        names: of the database's name, with each of the secrets, newest first.
    """

    address: bytes
    names: tuple[bytes, ...]

    @classmethod
    def of(cls, vendor: str, database: Mapping[str, Any], keys: Iterable[str | bytes]) -> Self:
        """Return the identity of the site that writes to a database.

        Args:
            vendor: the kind of database, such as ``"postgresql"``.
            database: its entry in ``DATABASES``.
            keys: the secrets, newest first.
        """
        name = f"{vendor}\0{_database_name(vendor, database)}"
        place = f"{name}\0{database.get('HOST') or ''}\0{database.get('PORT') or ''}"
        return cls(
            # Without a secret: the digest of an address need not be one.
            _digest("tracking.spool.address", place, "-"),
            tuple(_digest("tracking.spool.name", name, key) for key in keys if key),
        )

    @property
    def stamp(self) -> bytes:
        """The ``STAMP_LENGTH`` bytes that mark a file of this site."""
        name = self.names[0] if self.names else bytes(_DIGEST_LENGTH)
        return self.address + name

    def owns(self, stamp: bytes | None) -> bool:
        """Return whether a file belongs to this site.

        Args:
            stamp: the stamp in the file; ``None`` for a file of an earlier version, which has none
                and is everybody's.
        """
        if stamp is None:
            return True
        return stamp[:_DIGEST_LENGTH] == self.address or stamp[_DIGEST_LENGTH:] in self.names


def owns_file(site: SiteIdentity | None, name: str) -> bool:
    """Return whether a file belongs to a site by its name, ``<anything>.<stamp>.<suffix>``.

    Args:
        site: the site; ``None`` stands for any.
        name: the name. A file of an earlier version has no stamp, and is everybody's.
    """
    found = _STAMP_IN_NAME.search(name)
    return site is None or site.owns(bytes.fromhex(found[1]) if found else None)


def this_site() -> SiteIdentity:
    """Return the identity of the running site."""
    connection = connections[router.db_for_write(Beacon)]
    return SiteIdentity.of(connection.vendor, connection.settings_dict, conf.secret_keys)


def _database_name(vendor: str, database: Mapping[str, Any]) -> str:
    options = database.get("OPTIONS") or {}
    name = str(database.get("NAME") or "")
    if vendor == "sqlite" and name != ":memory:" and not name.startswith("file:"):
        # Each release may have a folder of its own, with a link to the database.
        return os.path.realpath(name)
    # A database may be named in a file of its own driver.
    name = name or str(options.get("service") or options.get("read_default_file") or "")
    schema = _SEARCH_PATH.search(str(options.get("options") or ""))
    return f"{name}\0{schema[1]}" if schema else name


def _digest(salt: str, text: str, key: str | bytes) -> bytes:
    digest = salted_hmac(salt, text, secret=key, algorithm="sha256")
    return bytes(digest.digest()[:_DIGEST_LENGTH])

"""Where an address is, by a database of places on this machine.

    >>> locate("203.0.113.7")  # doctest: +SKIP
    Location(country='AU', region='New South Wales', city='Sydney', latitude=-33.87, ...)

``GEOIP_PATH`` names the database: a ``.mmdb`` file of MaxMind, DB-IP or one laid out like
theirs, or a folder that has one. No request leaves the machine, and a look-up takes some
microseconds.

The file is mapped into memory. It is opened again when another takes its place, which
must be by renaming, as geoipupdate does: a mapped file that is overwritten or cut short
kills the process that reads it (``SIGBUS``), and so may one whose bytes are damaged.
"""

import ipaddress
import logging
import math
import os
import stat
import threading
import time as clock
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, Self

from tracking.conf import conf, until_settings_change
from tracking.enrichment.geoip_records import Location, location_from

if TYPE_CHECKING:
    from maxminddb import Reader

logger = logging.getLogger(__name__)

#: Seconds for which a database is read without a look at its file.
LOOK_EVERY = 1.0


def locate(address: str | None) -> Location | None:
    """Return where ``address`` is, or ``None`` if that is not known. Never raises.

    A masked address is looked up as it stands: the answer is where its network begins.

    Args:
        address: an IPv4 or IPv6 address without port, or ``None``.
    """
    database = _database()
    if database is None or not isinstance(address, str):
        return None
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address):
        parsed = parsed.ipv4_mapped or parsed
    return location_from(database.record(parsed))


def database_problem() -> str | None:
    """Return what keeps places from being found although the site wants them.

    It looks at the file anew.

    Returns:
        A sentence in English, or ``None``: all is well, or ``TRACKING_USE_GEOIP`` is off.
    """
    if not conf.use_geoip:
        return None
    try:
        _open(_find(conf.geoip_path).path).close()
    except _UnusableError as error:
        return str(error)
    return None


class _UnusableError(Exception):
    """There is no database of places; the message is a sentence that says why."""


class _Stamp(NamedTuple):
    """A file as it was at a certain time: another one is told from it."""

    path: str
    modified: int
    size: int
    inode: int

    @classmethod
    def of(cls, path: str, status: os.stat_result) -> Self:
        return cls(path, status.st_mtime_ns, status.st_size, status.st_ino)


class _Database:
    """The database in use: opened when it is first asked, and again when it is another."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._reader: Reader | None = None
        self._stamp: _Stamp | None = None
        self._told: object = None
        self._next_look = -math.inf

    def record(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> object:
        """Return what the database has on ``address``, or ``None``."""
        reader = self._current()
        if reader is None:
            return None
        try:
            return reader.get(address)
        except ValueError:  # an IPv6 address, and a database of IPv4 alone
            return None
        except Exception as error:  # noqa: BLE001 - a damaged file may raise anything
            self._tell(("damaged", self._stamp), f"{self._path} is damaged: {error}")
            return None

    def _current(self) -> "Reader | None":
        # Whoever has a reader need not wait for the one that looks for a newer.
        if clock.monotonic() >= self._next_look and self._lock.acquire(self._reader is None):
            try:
                if clock.monotonic() >= self._next_look:
                    self._look()
                    self._next_look = clock.monotonic() + LOOK_EVERY
            finally:
                self._lock.release()
        return self._reader

    def _look(self) -> None:
        """Open the database if its file is not the one that was opened, or tried, last."""
        try:
            stamp = _find(self._path)
        except _UnusableError as error:
            # Taken away: who deletes a database, as its licence may ask, wants it unread.
            self._reader = self._stamp = None
            self._tell(str(error), str(error))
            return
        if stamp == self._stamp:
            return
        # It is said to be open before it is opened: if it is replaced in between, the next
        # look sees that.
        self._stamp = stamp
        try:
            # The reader before is left to its last user: closing it under another thread's
            # hands would break that look-up.
            self._reader = _open(stamp.path)
            self._told = None
        except _UnusableError as error:
            # Perhaps half a copy: what was opened before is still good.
            self._tell(stamp, str(error))

    def _tell(self, state: object, message: str) -> None:
        """Log ``message``, once for each state."""
        if state != self._told:
            self._told = state
            logger.warning("Addresses are not located: %s", message)


def _find(path: str) -> _Stamp:
    """Return the file that ``GEOIP_PATH`` means.

    Of a folder it is a database of cities, else of countries, else any; of several the
    latest.

    Raises:
        _UnusableError: there is none.
    """
    if not path:
        raise _UnusableError("GEOIP_PATH is empty.")
    try:
        status = os.stat(path)
        if not stat.S_ISDIR(status.st_mode):
            return _regular(path, status)
        return _best(path)
    except OSError as error:
        raise _UnusableError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # a NUL
        raise _UnusableError(f"{path!r} cannot be a path.") from error


def _regular(path: str, status: os.stat_result) -> _Stamp:
    # To open a pipe would wait for somebody to write into it.
    if not stat.S_ISREG(status.st_mode):
        raise _UnusableError(f"{path} is neither a file nor a folder.")
    return _Stamp.of(path, status)


def _best(folder: str) -> _Stamp:
    with os.scandir(folder) as entries:
        found = [
            _Stamp.of(entry.path, entry.stat())
            for entry in entries
            if entry.name.lower().endswith(".mmdb") and entry.is_file()
        ]
    if not found:
        raise _UnusableError(f"There is no .mmdb file in the folder {folder}.")
    return max(found, key=lambda stamp: (_rank(stamp.path), stamp.modified, stamp.path))


def _rank(path: str) -> int:
    """Return how much a database tells, by what its file is called."""
    name = os.path.basename(path).lower()
    return 2 if "city" in name else 1 if "country" in name else 0


def _open(path: str) -> "Reader":
    """Open a database with the C extension of maxminddb, or without if it was not built.

    ``MODE_MEMORY`` would always do without, and be twenty times slower.

    Raises:
        _UnusableError: it cannot be opened.
    """
    try:
        import maxminddb  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _UnusableError(
            "The package maxminddb is not installed; django-beacons[geoip] brings it."
        ) from error
    try:
        return maxminddb.open_database(path, maxminddb.MODE_AUTO)
    except Exception as error:  # whatever is in that file, the site goes on
        raise _UnusableError(f"{path} cannot be opened as a database: {error}") from error


@until_settings_change
@cache
def _database() -> _Database | None:
    """Return the database that the settings name, or ``None`` where they want none."""
    return _Database(conf.geoip_path) if conf.use_geoip else None


# Another thread of the parent may have held the lock. Not on Windows, which has no fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_database.cache_clear)

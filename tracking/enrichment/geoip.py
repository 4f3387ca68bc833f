"""Locate IP addresses with a GeoIP database on this machine.

    >>> locate("203.0.113.7")  # doctest: +SKIP
    Location(country='AU', region='New South Wales', city='Sydney', latitude=-33.87, ...)

``GEOIP_PATH`` names the database: a ``.mmdb`` file of MaxMind, of DB-IP or with the same layout, or
a folder with such a file. No request leaves the machine, and a look-up takes a few microseconds.

The file is mapped, and reopened when another file replaces it. Replace it by renaming, as
geoipupdate does: overwriting or truncating a mapped file kills the process that reads it
(``SIGBUS``), and a damaged file may do so too. ``GEOIP_CACHE_TYPE = 1`` copies the file into memory
first, which costs its size for each process and protects against overwriting.
"""

import ipaddress
import logging
import math
import os
import re
import shutil
import stat
import threading
import time as clock
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple, Self

from tracking.conf import conf, until_settings_change
from tracking.enrichment.geoip_records import Location, location_from

if TYPE_CHECKING:
    from maxminddb import Reader

logger = logging.getLogger(__name__)

#: Seconds between two checks whether the file was replaced.
CHECK_INTERVAL = 1.0

#: The bit of ``GEOIP_CACHE_TYPE`` that asks for the whole file in memory (GEOIP_MEMORY_CACHE of
#: MaxMind's first C library, whose numbers django-user-tracking documented).
MEMORY_CACHE = 1


def locate(address: str | None) -> Location | None:
    """Return the location of an address, or ``None`` if it is unknown. Never raises.

    A masked address has the location of the first address of its network.

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
    """Return why addresses cannot be located. It reads the file again.

    Returns:
        An English sentence, or ``None`` if the database works or ``TRACKING_USE_GEOIP`` is off.
    """
    if not conf.use_geoip:
        return None
    try:
        path = _find(conf.geoip_path).path
        kind = _type_of(path)
    except _UnusableError as error:
        return str(error)
    if _detail_of(kind) == _NO_PLACES:
        return f"{path} holds no places: it is a database of type {kind}."
    return None


#: What the type of a database says of the places in it, most detailed first, with how detailed
#: they are; a type that matches none may have places. Types of MaxMind, of DB-IP such as
#: "DBIP-Location-ISP (compat=Enterprise)", and of IPinfo: https://dev.maxmind.com/geoip/docs/databases
_DETAILS = (
    (re.compile(r"Enterprise", re.IGNORECASE), 5),
    (re.compile(r"City|Location", re.IGNORECASE), 4),
    (re.compile(r"Country", re.IGNORECASE), 3),
    (
        re.compile(
            r"ASN|ISP|Anonymous|Connection-Type|Domain|IP-Risk|Privacy|Carrier|Company|"
            r"DensityIncome|Static-IP|User-Count",
            re.IGNORECASE,
        ),
        1,
    ),
)
_UNKNOWN_DETAIL, _NO_PLACES, _UNREADABLE = 2, 1, 0


def _detail_of(kind: str) -> int:
    """Return how detailed the places of a type of database are, :data:`_NO_PLACES` at least."""
    return next((detail for name, detail in _DETAILS if name.search(kind)), _UNKNOWN_DETAIL)


def _type_of(path: str) -> str:
    """Return the ``database_type`` of a database.

    Raises:
        _UnusableError: the file cannot be opened.
    """
    with _open(path) as reader:
        return reader.metadata().database_type


class _UnusableError(Exception):
    """There is no usable database; the message is a sentence that says why."""


class _FileStamp(NamedTuple):
    """The identity of a file: a replaced or changed file has another one."""

    path: str
    modified: int
    size: int
    inode: int

    @classmethod
    def of(cls, path: str, status: os.stat_result) -> Self:
        return cls(path, status.st_mtime_ns, status.st_size, status.st_ino)


class _Database:
    """The database, opened on first use and reopened when its file is replaced."""

    def __init__(self, path: str, *, in_memory: bool = False) -> None:
        self._path = path
        self._in_memory = in_memory
        self._lock = threading.Lock()
        self._reader: Reader | None = None
        self._stamp: _FileStamp | None = None
        self._logged: object = None
        self._next_check = -math.inf

    def record(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> object:
        """Return the record of an address, or ``None``."""
        reader = self._current()
        if reader is None:
            return None
        try:
            return reader.get(address)
        except ValueError:  # an IPv6 address in a database of IPv4 only
            return None
        except Exception as error:  # noqa: BLE001 - a damaged file may raise anything
            self._log_once(("damaged", self._stamp), f"{self._path} is damaged: {error}")
            return None

    def _current(self) -> "Reader | None":
        # A thread that has a reader does not wait for the thread that checks for a newer file.
        if clock.monotonic() >= self._next_check and self._lock.acquire(self._reader is None):
            try:
                if clock.monotonic() >= self._next_check:
                    self._reopen_if_replaced()
                    self._next_check = clock.monotonic() + CHECK_INTERVAL
            finally:
                self._lock.release()
        return self._reader

    def _reopen_if_replaced(self) -> None:
        """Open the file, unless it is the one that was opened or tried last."""
        try:
            stamp = _find(self._path)
        except _UnusableError as error:
            # A deleted database must not be read any more: its licence may demand that.
            self._reader = self._stamp = None
            self._log_once(str(error), str(error))
            return
        if stamp == self._stamp:
            return
        # The stamp is older than the opened file: if the file is replaced in between, the next
        # check notices.
        self._stamp = stamp
        try:
            # The previous reader is not closed: another thread may be using it.
            self._reader = _open(stamp.path, in_memory=self._in_memory)
            self._logged = None
        except _UnusableError as error:
            # The file may be half copied. The previous reader still works.
            self._log_once(stamp, str(error))

    def _log_once(self, state: object, message: str) -> None:
        """Log a message, once for each state."""
        if state != self._logged:
            self._logged = state
            logger.warning("Addresses cannot be located: %s", message)


def _find(path: str) -> _FileStamp:
    """Return the file in ``GEOIP_PATH``.

    In a folder, a database of cities is preferred to one of countries, and both to others, by the
    type that each names; among several, the latest.

    Raises:
        _UnusableError: there is no such file.
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
        raise _UnusableError(f"{path!r} is not a valid path.") from error


def _regular(path: str, status: os.stat_result) -> _FileStamp:
    # Opening a pipe would block until somebody writes to it.
    if not stat.S_ISREG(status.st_mode):
        raise _UnusableError(f"{path} is neither a file nor a folder.")
    return _FileStamp.of(path, status)


def _best(folder: str) -> _FileStamp:
    with os.scandir(folder) as entries:
        found = [
            _FileStamp.of(entry.path, entry.stat())
            for entry in entries
            if entry.name.lower().endswith(".mmdb") and entry.is_file()
        ]
    if not found:
        raise _UnusableError(f"There is no .mmdb file in the folder {folder}.")
    return max(found, key=lambda stamp: (_detail_in(stamp), stamp.modified, stamp.path))


@lru_cache(maxsize=100)
def _detail_in(stamp: _FileStamp) -> int:
    """Return how detailed the places in a file are. The folder is looked at every second."""
    try:
        return _detail_of(_type_of(stamp.path))
    except _UnusableError:
        return _UNREADABLE


def _open(path: str, *, in_memory: bool = False) -> "Reader":
    """Open a database, with the C extension of maxminddb if it was built.

    ``MODE_MEMORY`` never uses the extension and is twenty times slower, so for ``in_memory``
    the extension maps a copy of the file in memory.

    Raises:
        _UnusableError: the file cannot be opened.
    """
    try:
        import maxminddb  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _UnusableError(
            "The package maxminddb is not installed. Install django-beacons[geoip]."
        ) from error
    try:
        with _copy_in_memory(path) if in_memory else nullcontext(path) as name:
            return maxminddb.open_database(name, maxminddb.MODE_AUTO)
    except Exception as error:  # the site must survive any content of that file
        raise _UnusableError(f"{path} is not a readable database: {error}") from error


@contextmanager
def _copy_in_memory(path: str) -> Iterator[str]:
    """Copy a file into memory, and give the name of the copy; a mapping of it outlives the block.

    Only Linux can do this. Elsewhere the name is that of the file itself.

    Raises:
        OSError: the file cannot be read, or memory is short.
    """
    if not hasattr(os, "memfd_create"):
        yield path
        return
    descriptor = os.memfd_create("tracking-geoip")
    with os.fdopen(descriptor, "wb") as copy, open(path, "rb") as file:
        shutil.copyfileobj(file, copy)
        copy.flush()
        yield f"/proc/self/fd/{descriptor}"


@until_settings_change
@cache
def _database() -> _Database | None:
    """Return the database of the settings, or ``None`` if ``TRACKING_USE_GEOIP`` is off."""
    if not conf.use_geoip:
        return None
    # A wrong value is reported by a system check (E021).
    is_flags = isinstance(conf.geoip_cache_type, int)
    in_memory = is_flags and bool(conf.geoip_cache_type & MEMORY_CACHE)
    return _Database(conf.geoip_path, in_memory=in_memory)


# Another thread of the parent may have held the lock. Not on Windows, which has no fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_database.cache_clear)

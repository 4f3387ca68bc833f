"""The lock of the writer process, of which a site has one in a folder.

    with WriterLock.take(spool_folder(), this_site()) as lock:
        lock.beat()                   # every second or so

The kernel says whether the process lives: it holds the lock. The time of the last change of the
file says whether it works: a stopped process, or one that the database keeps waiting, is silent.
A process whose file was deleted has to leave, since another one may have made a new file.

The processes that record hold another lock together, so that a writer process knows whether it is
still needed.
"""

import fcntl
import json
import math
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from tracking.pipeline.spool.folder import make_folder
from tracking.pipeline.spool.site_identity import SiteIdentity

#: Seconds without a sign of life after which other processes write.
SILENT_AFTER = 10.0

#: Attempts to get the lock, which others hold for microseconds while they look.
_ATTEMPTS = 5
_PAUSE = 0.02

_MAX_CONTENT = 4_096


class IsTaken(Exception):
    """Another process has the lock.

    Attributes:
        state: what is known of it.
    """

    def __init__(self, state: "WriterState") -> None:
        super().__init__(state)
        self.state = state


class WriterState(NamedTuple):
    """The writer process at work.

    Attributes:
        pid: its process id, on its host; 0 if unknown.
        host: the name of its host or container.
        since: when it was started, in POSIX seconds.
        is_child: whether a process that records has started it.
        release: a digest of the code of the site; ``""`` if unknown.
        failed: starts in a row by processes that record, from which no working child came.
        age: seconds since its last sign of life.
    """

    pid: int = 0
    host: str = ""
    since: float = 0.0
    is_child: bool = False
    release: str = ""
    failed: int = 0
    age: float = 0.0

    @property
    def is_silent(self) -> bool:
        """Whether it gave no sign of life for ``SILENT_AFTER`` seconds."""
        return self.age >= SILENT_AFTER


class WriterLock:
    """The lock, held by this process.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, folder: Path, site: SiteIdentity) -> Self:
        """Take the lock.

        Args:
            folder: the folder of the spool; it is made if necessary.
            site: the site.

        Raises:
            IsTaken: another process has it.
            OSError: the folder cannot be used.
        """
        make_folder(folder)
        path = lock_path(folder, site)
        for _ in range(_ATTEMPTS):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            if _try_lock(descriptor, fcntl.LOCK_EX) and os.fstat(descriptor).st_nlink:
                return cls(path, descriptor)
            os.close(descriptor)
            time.sleep(_PAUSE)
        raise IsTaken(read_writer(folder, site) or WriterState())

    @classmethod
    def inherit(cls, folder: Path, site: SiteIdentity, descriptor: int) -> Self:
        """Return the lock that the parent of this process has taken for it.

        Args:
            folder: the folder of the spool.
            site: the site.
            descriptor: the open file.

        Raises:
            OSError: it is no such lock; the settings of the parent may differ.
        """
        path = lock_path(folder, site)
        if not os.path.samestat(os.fstat(descriptor), os.stat(path)):
            raise OSError(f"descriptor {descriptor} is not {path}")
        os.set_inheritable(descriptor, False)
        return cls(path, descriptor)

    def describe(self, *, is_child: bool = False, release: str = "", failed: int = 0) -> None:
        """Save who has the lock.

        Args:
            is_child: whether a process that records has started the writer.
            release: a digest of the code of the site.
            failed: see :class:`WriterState`.

        Raises:
            OSError: the disk is full.
        """
        state = WriterState(
            os.getpid(), socket.gethostname(), time.time(), is_child, release, failed
        )
        content = json.dumps(state._asdict()).encode()
        # Padded, not cut first: a reader never finds an empty file.
        os.pwrite(self._descriptor, content.ljust(os.fstat(self._descriptor).st_size), 0)

    def beat(self) -> None:
        """Show that this process works."""
        os.utime(self._descriptor)

    @property
    def is_lost(self) -> bool:
        """Whether the file was deleted, so that another process may have the new one."""
        return os.fstat(self._descriptor).st_nlink == 0

    def fileno(self) -> int:
        """Return the file descriptor, for a child that inherits the lock."""
        return self._descriptor

    def release(self) -> None:
        """Release the lock, unless a child has inherited it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def lock_path(folder: Path, site: SiteIdentity) -> Path:
    """Return the path of the lock of a site: the same in all of its releases."""
    return folder / f"writer.{site.address.hex()}.lock"


def read_writer(folder: Path, site: SiteIdentity) -> WriterState | None:
    """Return the writer process that has the lock; ``None`` without one.

    Args:
        folder: the folder of the spool.
        site: the site.

    Raises:
        OSError: the folder cannot be read.
    """
    try:
        descriptor = os.open(lock_path(folder, site), os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return None if _try_lock(descriptor, fcntl.LOCK_SH) else _read_state(descriptor)
    finally:
        os.close(descriptor)


def last_writer(folder: Path, site: SiteIdentity) -> WriterState:
    """Return the writer process that has the lock, or had it last; a very old one if there is none.

    Args:
        folder: the folder of the spool.
        site: the site.

    Raises:
        OSError: the folder cannot be read.
    """
    try:
        descriptor = os.open(lock_path(folder, site), os.O_RDONLY)
    except FileNotFoundError:
        return WriterState(age=math.inf)
    try:
        return _read_state(descriptor)
    finally:
        os.close(descriptor)


def _read_state(descriptor: int) -> WriterState:
    # A clock that was set back makes the sign of life one of the future.
    age = abs(time.time() - os.fstat(descriptor).st_mtime)
    with suppress(ValueError, TypeError):
        content = json.loads(os.pread(descriptor, _MAX_CONTENT, 0))
        return WriterState(**content)._replace(age=age)
    return WriterState(age=age)


class Presence:
    """Shows that this process records, until it ends or closes it.

    Args:
        folder: the folder of the spool.
        site: the site.

    Raises:
        OSError: the folder cannot be used.
    """

    def __init__(self, folder: Path, site: SiteIdentity) -> None:
        make_folder(folder)
        self._descriptor = os.open(_presence_path(folder, site), os.O_RDWR | os.O_CREAT, 0o600)
        # Waits for the microseconds in which the writer process looks.
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def close(self) -> None:
        """Show it no longer."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def is_any_present(folder: Path, site: SiteIdentity) -> bool:
    """Return whether a process of the site records.

    Args:
        folder: the folder of the spool.
        site: the site.

    Raises:
        OSError: the folder cannot be used.
    """
    try:
        descriptor = os.open(_presence_path(folder, site), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def _presence_path(folder: Path, site: SiteIdentity) -> Path:
    return folder / f"writer.{site.address.hex()}.present"


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

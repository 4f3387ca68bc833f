"""Start a writer process as a child of a process that records (``TRACKING_START_WRITER``).

The starting process takes the lock, and the child inherits it: of all processes that find the lock
free, one starts a child. The child belongs to no server: it has a session of its own, outlives the
process that has started it, and ends when no process records any more. Its output goes where that
of the server goes.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from django.apps import apps
from django.conf import settings

from tracking.log_limits import get_logger
from tracking.pipeline.spool import this_site
from tracking.pipeline.spool.writer_lock import IsTaken, WriterLock, WriterState, last_writer

logger = get_logger(__name__)

#: Seconds after which a writer that has ended is replaced; after a start that failed they double
#: with each further one.
RESTART_AFTER = 2.0
_LONGEST_RESTART_AFTER = 300.0

#: Seconds for which a writer of another release is left alone.
_REPLACE_AFTER = 10.0

#: When this process has loaded its code; after a fork, when its parent has.
_LOADED_AT = time.time()


class WriterChild:
    """Starts writer processes, and removes what is left of those that have ended.

    Args:
        folder: the folder of the spool.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._release = ""

    def start_if_due(self) -> bool:
        """Start a writer process, unless another process does, or one has just failed.

        Returns:
            Whether it was started.

        Raises:
            OSError: the folder cannot be used, or the process cannot be started.
        """
        last = last_writer(self._folder, this_site())
        delay = min(RESTART_AFTER * 2.0 ** min(last.failed, 20), _LONGEST_RESTART_AFTER)
        if last.age < delay:
            return False
        command = _command()
        if not command:
            logger.warning("No writer process can be started: this process writes its own hits")
            return False
        with suppress(IsTaken), WriterLock.take(self._folder, this_site()) as lock:
            # Until the child says something else, its start counts as one that has failed.
            lock.describe(is_child=True, release=self.release, failed=last.failed + 1)
            lock.beat()
            self._start([*command, f"--lock={lock.fileno()}"], lock.fileno())
            return True
        return False

    def _start(self, command: list[str], descriptor: int) -> None:
        process = subprocess.Popen(  # noqa: S603 - the same Python, and a command of ours
            command,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE,
                "PYTHONPATH": os.pathsep.join(os.path.abspath(one) for one in sys.path),
            },
            stdin=subprocess.DEVNULL,
            pass_fds=[descriptor],
            start_new_session=True,
        )
        self._processes.append(process)
        logger.info("Started the writer process %s", process.pid)

    def reap(self) -> None:
        """Let the system forget children that have ended."""
        self._processes = [one for one in self._processes if one.poll() is None]

    @property
    def release(self) -> str:
        """The digest of the code of the site that this process has loaded."""
        if not self._release:
            self._release = release_digest()
        return self._release

    def is_outdated(self, writer: WriterState) -> bool:
        """Return whether a writer has older code than this process.

        Args:
            writer: the writer process.
        """
        return (
            writer.is_child
            and writer.since < min(_LOADED_AT, time.time() - _REPLACE_AFTER)
            and writer.release != self.release
        )


def _command() -> list[str]:
    """Return the command of a writer process; nothing where none can be started."""
    python = Path(sys.executable or "")
    if not python.name.startswith(("python", "pypy")):  # embedded, as in uWSGI and mod_wsgi
        python = Path(sys.prefix) / "bin" / "python3"
    if not python.exists() or not getattr(settings, "SETTINGS_MODULE", ""):
        return []
    return [str(python), "-m", "django", "tracking_writer", "--until-unused", "--verbosity=0"]


def release_digest() -> str:
    """Return a digest of the settings and the modules of all apps, by their times of change."""
    digest = blake2b(digest_size=8)
    for path in _sources():
        with suppress(OSError):
            status = path.stat()
            digest.update(f"{path} {status.st_mtime_ns} {status.st_size}\n".encode())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    module = sys.modules.get(getattr(settings, "SETTINGS_MODULE", "") or "")
    if module is not None and module.__file__:
        yield Path(os.path.realpath(module.__file__))
    for app in apps.get_app_configs():
        yield from sorted(Path(os.path.realpath(app.path)).glob("*.py"))

"""A site in a folder of its own, and processes that run in it."""

import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from django.conf import settings

from tests.support import documents
from tracking.pipeline.spool import SiteIdentity

#: SQLite in WAL mode: writers wait for each other, readers do not wait.
SETTINGS = """
from tests.settings import *

DATABASES = {"default": {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": %(database)r,
    "OPTIONS": {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    },
}}
TRACKING_SPOOL = %(spool)r
TRACKING_BACKEND = "tracking.backends.buffered.BufferedBackend"
"""


class Site:
    """A folder with settings, a SQLite database and a spool, for processes to run in."""

    def __init__(self, folder: Path, more_settings: str = "") -> None:
        self.folder = folder
        self.database = folder / "site.sqlite3"
        self.spool = folder / "spool"
        values = {"database": str(self.database), "spool": str(self.spool)}
        (folder / "site_settings.py").write_text(SETTINGS % values + more_settings)
        self.environment = {
            **os.environ,
            "PYTHONPATH": f"{folder}{os.pathsep}{documents.ROOT}",
            "DJANGO_SETTINGS_MODULE": "site_settings",
        }
        self.run("-m", "django", "migrate", "--verbosity=0")

    def start(self, *arguments: str, **options) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environment,
            text=True,
            **options,
        )

    def run(self, *arguments: str) -> str:
        result = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            check=False,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    @property
    def identity(self) -> SiteIdentity:
        """By what the processes of the site recognise their files."""
        return SiteIdentity.of("sqlite", {"NAME": self.database}, [settings.SECRET_KEY])

    def keys(self) -> list[str]:
        """Return the keys of the beacons, as hexadecimal digits."""
        with closing(sqlite3.connect(self.database, timeout=20)) as database:
            return [key for (key,) in database.execute("SELECT id FROM tracking_beacon")]


def wait_until(condition: Callable[[], object], seconds: float = 30, what: object = "") -> None:
    """Wait until ``condition`` is true; fail after some seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what() if callable(what) else what or condition
        time.sleep(0.05)


def free_port() -> int:
    """Return a port on which nothing listens."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Return the ids of the worker processes of a server."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
            command = (entry.parent / "cmdline").read_text()
        except OSError:
            continue
        if int(parent) == process.pid and state != "Z" and "resource_tracker" not in command:
            found.append(int(entry.parent.name))
    return found

"""A site for each variant: folder, settings, database, spool and processes."""

import importlib.util
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.databases import _WAL
from benchmarks.servers import peers
from benchmarks.servers.variants import Variant
from tests.settings import SERVERS

ROOT = Path(__file__).parent.parent.parent

#: As many connections as the load generator has; under ASGI a thread lives for one request.
_POOL = {"pool": {"min_size": 1, "max_size": 8}}


class Absent(Exception):
    """A variant cannot be measured here. The message is the reason."""


class Site:
    """One variant, ready to serve."""

    def __init__(self, variant: Variant, folder: Path) -> None:
        """Create the folder and the database.

        Raises:
            Absent: something is missing.
        """
        self.variant = variant
        self.folder = folder / variant.name
        self.folder.mkdir()
        self.queries: int | None = None
        self._environment = self._environment_in(folder)
        self._database = self._database_settings()
        if not variant.without_django:
            try:
                self._prepare(folder)
            except Absent:
                with suppress(Exception):  # the database server is down
                    self.remove()
                raise

    def _environment_in(self, folder: Path) -> dict[str, str]:
        if self.variant.module and importlib.util.find_spec(self.variant.module) is None:
            raise Absent(f"there is no {self.variant.module} yet")
        paths = [str(ROOT)]
        if self.variant.peer:
            try:
                place = peers.installed(self.variant.peer, folder)
            except peers.Missing as missing:
                raise Absent(str(missing)) from missing
            if place is not None:
                paths.insert(0, str(place))
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "DJANGO_SETTINGS_MODULE": "benchmarks.servers.site.settings",
            "BENCHMARK_SETTINGS": str(self.folder / "wsgi.json"),
        }

    def _database_settings(self) -> dict[str, Any]:
        if self.variant.database == "sqlite":
            return {**_WAL, "NAME": str(self.folder / "db.sqlite3")}
        # With the name of the folder, so that two can measure at the same time.
        name = f"{self.folder.parent.name}_{self.variant.name}"
        return {**SERVERS["postgresql"], "NAME": name}

    def _prepare(self, folder: Path) -> None:
        # The same for all: opening a connection for each request would dominate. Under ASGI each
        # request has its own thread, so Django needs a pool instead of persistent connections.
        pool = {"OPTIONS": _POOL} if self.variant.database == "postgresql" else {}
        for interface, lasting in (("wsgi", {"CONN_MAX_AGE": None}), ("asgi", pool)):
            settings = {
                **self.variant.settings,
                "DATABASES": {"default": {**self._database, **lasting}},
                "TRACKING_SPOOL": str(self.folder / "spool"),
            }
            (self.folder / f"{interface}.json").write_text(json.dumps(settings))
        if self.variant.database == "postgresql":
            self._recreate_database()
        requests = str(folder / f"{self.variant.requests}.json")
        self.queries = int(self._run_module("benchmarks.servers.site.prepare", requests))

    def _run_module(self, module: str, *arguments: str) -> str:
        """Run a module with the settings of the site, and return the last line of its output."""
        result = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            check=False,
            text=True,
        )
        if result.returncode:
            raise Absent((result.stderr.strip().splitlines() or ["no reason given"])[-1])
        return result.stdout.splitlines()[-1]

    def start(
        self, command: list[str], interface: str, core: int | None
    ) -> subprocess.Popen[bytes]:
        """Start a program with the settings of the site, pinned to a processor if given."""
        settings = {"BENCHMARK_SETTINGS": str(self.folder / f"{interface}.json")}
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self._environment | settings,
                stdout=log,
                stderr=log,
            )
        if core is not None:  # threads and workers inherit it
            os.sched_setaffinity(process.pid, {core})
        return process

    def log(self) -> str:
        """Return the end of the log of its processes."""
        path = self.folder / "log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def rows(self) -> int:
        """Return the number of recorded answers.

        Raises:
            Absent: the database does not answer.
        """
        try:
            with self._cursor() as cursor:
                cursor.execute(self.variant.rows)
                return int(cursor.fetchone()[0])
        except Exception as error:
            raise Absent(str(error).splitlines()[0]) from error

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        if self.variant.database == "sqlite":
            with closing(sqlite3.connect(self._database["NAME"], timeout=20)) as connection:
                yield connection.cursor()
        else:
            with _postgresql(self._database["NAME"]) as connection:
                yield connection.cursor()

    def _recreate_database(self) -> None:
        try:
            self.remove()
            with _postgresql("postgres") as connection:
                connection.execute(f'CREATE DATABASE "{self._database["NAME"]}"')
        except Exception as error:
            raise Absent(f"PostgreSQL: {str(error).splitlines()[0]}") from error

    def remove(self) -> None:
        """Drop the database of the site from the server."""
        if self.variant.database == "postgresql":
            with _postgresql("postgres") as connection:
                name = self._database["NAME"]
                connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _postgresql(name: str) -> Any:
    import psycopg

    server = SERVERS["postgresql"]
    return psycopg.connect(
        host=server["HOST"],
        user=server["USER"],
        password=server["PASSWORD"],
        dbname=name,
        autocommit=True,
    )

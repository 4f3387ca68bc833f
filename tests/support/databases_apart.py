"""Databases of their own, for sites in other processes. Servers stand behind a proxy."""

import json
import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from tests.support.processes import Site
from tests.support.tcp_proxy import TcpProxy

_SETTINGS = """
DATABASES = {"default": {
    "ENGINE": %(engine)r,
    "HOST": "127.0.0.1", "PORT": %(port)r, "USER": %(user)r, "PASSWORD": %(password)r,
    "NAME": %(name)r,
    "OPTIONS": %(options)r,
}}
"""


class Sqlite:
    """The SQLite file of the site.

    Attributes:
        proxy: the proxy before a server; ``None`` here.
        settings: what to add to the settings of a site.
    """

    proxy: TcpProxy | None = None
    settings = ""

    def ask(self, site: Site, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query, which does not go through the proxy."""
        with closing(sqlite3.connect(site.database, timeout=20)) as database:
            return database.execute(query).fetchall()

    def numbers(self, site: Site) -> list[int]:
        """Return the numbers of all beacons and page views, see :mod:`tests.support.load`."""
        found = [data for (data,) in self.ask(site, "SELECT data FROM tracking_beacon")]
        numbers = [(json.loads(data) if isinstance(data, str) else data)["n"] for data in found]
        urls = [url for (url,) in self.ask(site, "SELECT url FROM tracking_pageview")]
        return numbers + [int(url.rpartition("/")[2]) for url in urls]

    @contextmanager
    def hanging(self, site: Site) -> Iterator[None]:
        """Let each write wait until the end of the block."""
        with closing(sqlite3.connect(site.database, timeout=20)) as database:
            database.execute("BEGIN IMMEDIATE")
            yield

    def drop(self) -> None:
        """Remove the database."""


class _Server(Sqlite):
    engine = ""
    host, user, password, port = "", "", "", 0
    options: dict[str, Any] = {}

    def __init__(self) -> None:
        self.name = f"tracking_promises_{uuid.uuid4().hex[:12]}"
        self._create()
        self.proxy = TcpProxy(self.host, self.port)
        self.proxy.open()

    def _create(self) -> None:
        self._execute(None, f"CREATE DATABASE {self.name}")

    @property
    def settings(self) -> str:  # type: ignore[override]
        names = ("engine", "user", "password", "name", "options")
        values = {name: getattr(self, name) for name in names}
        return _SETTINGS % {**values, "port": self.proxy.port}

    def ask(self, site: Site, query: str) -> list[tuple[Any, ...]]:
        return self._execute(self.name, query)

    def _execute(self, name: str | None, query: str) -> list[tuple[Any, ...]]:
        raise NotImplementedError

    @contextmanager
    def hanging(self, site: Site) -> Iterator[None]:
        self.proxy.hold()
        yield
        self.proxy.release()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Let nobody write."""
        raise NotImplementedError

    def drop(self) -> None:
        self.proxy.close()
        self._execute(None, f"DROP DATABASE {self.name}")


class PostgreSql(_Server):
    """A database of PostgreSQL."""

    engine = "django.db.backends.postgresql"
    host = os.environ.get("PGHOST", "127.0.0.1")
    port = int(os.environ.get("PGPORT", "5432"))
    user = os.environ.get("PGUSER", "postgres")
    password = os.environ.get("PGPASSWORD", "")
    options = {"connect_timeout": 2}

    def _execute(self, name: str | None, query: str) -> list[tuple[Any, ...]]:
        import psycopg

        place = {"host": self.host, "port": self.port, "user": self.user, "password": self.password}
        with closing(
            psycopg.connect(**place, dbname=name or "postgres", autocommit=True, connect_timeout=2)
        ) as connection:
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def read_only(self) -> Iterator[None]:
        self._let("on")
        try:
            yield
        finally:
            self._let("off")

    def _let(self, value: str) -> None:
        self._execute(
            None, f"ALTER DATABASE {self.name} SET default_transaction_read_only = {value}"
        )

    def drop(self) -> None:
        self.proxy.close()
        self._execute(None, f"DROP DATABASE {self.name} WITH (FORCE)")


class MariaDb(_Server):
    """A database of MariaDB, with a user who can be kept from writing."""

    engine = "django.db.backends.mysql"
    host = os.environ.get("MYSQL_HOST", "127.0.0.1")
    port = 3306
    options = {"connect_timeout": 2, "charset": "utf8mb4"}

    def _create(self) -> None:
        super()._create()
        self.user = self.password = self.name[-16:]
        self._execute(None, f"CREATE USER {self.user} IDENTIFIED BY '{self.password}'")
        self._execute(None, f"GRANT ALL ON {self.name}.* TO {self.user}")

    def _execute(self, name: str | None, query: str) -> list[tuple[Any, ...]]:
        import MySQLdb

        user, password = os.environ.get("MYSQL_USER", "root"), os.environ.get("MYSQL_PWD", "")
        with closing(
            MySQLdb.connect(
                host=self.host, user=user, password=password, database=name or "", autocommit=True
            )
        ) as connection:
            with closing(connection.cursor()) as cursor:
                cursor.execute(query)
                return list(cursor.fetchall())

    @contextmanager
    def read_only(self) -> Iterator[None]:
        # The server's own switch would stop everybody who tests on it.
        self._execute(None, f"REVOKE INSERT, UPDATE, DELETE ON {self.name}.* FROM {self.user}")
        try:
            yield
        finally:
            self._execute(None, f"GRANT ALL ON {self.name}.* TO {self.user}")

    def drop(self) -> None:
        super().drop()
        self._execute(None, f"DROP USER {self.user}")


#: The kinds of databases, by the names in ``TRACKING_TEST_DATABASE``.
DATABASES = {"sqlite": Sqlite, "postgresql": PostgreSql, "mariadb": MariaDb}


def make() -> Sqlite:
    """Return a new database of the kind that the tests use."""
    return DATABASES[os.environ.get("TRACKING_TEST_DATABASE", "sqlite")]()


def make_best() -> Sqlite:
    """Return a new database of PostgreSQL if it is there, else SQLite."""
    try:
        return PostgreSql()
    except Exception:
        return Sqlite()

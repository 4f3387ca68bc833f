"""Temporary databases to measure on."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import DatabaseError, connections
from django.test import override_settings

from tests.settings import SERVERS

#: A separate one for each ``TRACKING_TEST_NAME``, so that two can measure at the same time.
NAME = os.environ.get("TRACKING_TEST_NAME", "tracking") + "_benchmark"

#: SQLite with Django's defaults, and with the settings recommended for sites.
_STOCK: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3"}
_WAL = {
    **_STOCK,
    "OPTIONS": {
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    },
}

CONFIGURED: dict[str, dict[str, Any]] = {
    "sqlite": _WAL,
    "sqlite, stock": _STOCK,
    "postgresql": SERVERS["postgresql"],
    "mariadb": SERVERS["mariadb"],
}


class MeasuredDatabaseRouter:
    """Routes all models to the database that is measured."""

    alias = "default"

    def db_for_read(self, model: object, **hints: object) -> str:
        """Return the alias of that database."""
        return self.alias

    db_for_write = db_for_read


@contextmanager
def temporary_database(title: str) -> Iterator[str | None]:
    """Create a database with the tables of the app, and remove it when the block ends.

    Within the block all models use this database.

    Args:
        title: one of ``CONFIGURED``.

    Yields:
        Its alias, or ``None`` if the server is not available.
    """
    with tempfile.TemporaryDirectory() as folder:
        values = dict(CONFIGURED[title])
        if values["ENGINE"].endswith("sqlite3"):
            values |= {"NAME": str(Path(folder) / NAME), "TEST": {"NAME": str(Path(folder) / "t")}}
        else:
            values |= {"NAME": NAME}
        connections.settings[title] = values
        connections.settings = connections.configure_settings(connections.settings)
        connection = connections[title]
        try:
            connection.creation.create_test_db(verbosity=0, autoclobber=True)
        except (DatabaseError, SystemExit) as error:
            print(f"  {title}: not measured ({str(error).splitlines()[0]})")
            yield None
            return
        router = f"{__name__}.{MeasuredDatabaseRouter.__name__}"
        MeasuredDatabaseRouter.alias = title
        try:
            with override_settings(DATABASE_ROUTERS=[router]):
                yield title
        finally:
            connection.creation.destroy_test_db(NAME, verbosity=0)
            connection.close()
            del connections[title]  # the next one of this title is in another folder

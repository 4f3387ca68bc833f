"""Threads of the app that use the database."""

import sys
from typing import Any

from django.db import connections


def can_query(using: str) -> bool:
    """Return whether a thread can do the work of a request in a database.

    Args:
        using: the alias of the database.

    Returns:
        False where the server runs no threads, and where each thread has a database of its own,
        which is in memory.
    """
    connection: Any = connections[using]
    is_private = connection.vendor == "sqlite" and connection.is_in_memory_db()
    return not is_private and are_running()


def are_running() -> bool:
    """Return whether this process runs threads. uWSGI does so if it is told to."""
    # https://uwsgi-docs.readthedocs.io/en/latest/WSGIquickstart.html, "A note on Python threads"
    uwsgi = sys.modules.get("uwsgi")
    return uwsgi is None or bool({"enable-threads", "threads"} & set(uwsgi.opt))


def close_connections() -> None:
    """Close the database connections of a thread that ends."""
    connections.close_all()
    for connection in connections.all(initialized_only=True):
        # Django leaves SQLite databases in memory open, because other threads may share them.
        if connection.connection is not None:
            connection.connection.close()

"""Settings of the database for one long query."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, transaction


@contextmanager
def without_jit(using: str) -> Iterator[None]:
    """Run queries without compiling them first, on PostgreSQL.

    Statements that count by many facets take PostgreSQL longer to compile than to run.

    Args:
        using: the database alias.
    """
    if connections[using].vendor != "postgresql":
        yield
        return
    with transaction.atomic(using=using):
        with connections[using].cursor() as cursor:
            cursor.execute("SET LOCAL jit = off")
        yield

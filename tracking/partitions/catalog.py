"""What the database says of a table and its parts."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from tracking.partitions.months import moment_of
from tracking.partitions.unsuitable import Unsuitable


class Partition(NamedTuple):
    """One part of a table.

    Attributes:
        name: of its own table.
        low: the first key in it; ``None`` for those from the beginning on.
        high: the first key after it; ``None`` if it has no end.
        is_default: whether it takes what belongs to no other.
        rows: how many there are, as the planner estimates; -1 if nobody has looked yet.
        size: bytes on disk, with its indexes.
    """

    name: str
    low: UUID | None
    high: UUID | None
    is_default: bool
    rows: int
    size: int

    @property
    def ends_at(self) -> datetime | None:
        """The moment that its keys end before, or ``None``."""
        return None if self.high is None else moment_of(self.high)

    @property
    def starts_at(self) -> datetime | None:
        """The moment that its keys begin at, or ``None``."""
        return None if self.low is None else moment_of(self.low)


class Layout(NamedTuple):
    """How a table is kept.

    Attributes:
        is_partitioned: whether in parts.
        partitions: these, in order, the default one last.
        rows: how many there are in all, as the planner estimates.
        size: bytes on disk, with all indexes.
    """

    is_partitioned: bool
    partitions: Sequence[Partition]
    rows: int
    size: int


def fetched(
    connection: BaseDatabaseWrapper, sql: str, params: Sequence[Any] = ()
) -> list[tuple[Any, ...]]:
    """Return what a query finds."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def run(connection: BaseDatabaseWrapper, *statements: str) -> None:
    """Run statements that return nothing, one after the other."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def quoted(connection: BaseDatabaseWrapper, name: str) -> str:
    """Return a name as SQL takes it."""
    return str(connection.ops.quote_name(name))


def copied_into(table: str, other: str) -> str:
    """Return the statement that copies all rows of another table; both names are quoted."""
    return f"INSERT INTO {table} SELECT * FROM {other}"  # noqa: S608 - names of the model's own


def moved_into(table: str, other: str, condition: str) -> str:
    """Return the statement that moves some rows of another table; both names are quoted."""
    deleted = f"DELETE FROM {other} WHERE {condition} RETURNING *"  # noqa: S608 - likewise
    return f"WITH moved AS ({deleted}) INSERT INTO {table} SELECT * FROM moved"  # noqa: S608


def owner(connection: BaseDatabaseWrapper, table: str) -> str:
    """Return whose table it is, as SQL takes it."""
    sql = "SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = to_regclass(%s)"
    [(name,)] = fetched(connection, sql, [quoted(connection, table)])
    return str(name)


def layout(model: type[Model], using: str) -> Layout:
    """Return how the table of a model is kept.

    Args:
        model: whose table it is.
        using: the alias of the database.

    Raises:
        Unsuitable: the database has no parts like these, or the table is in parts of
            another kind, or is not there.
    """
    connection = connections[using]
    table = model._meta.db_table
    if connection.vendor != "postgresql":
        raise Unsuitable(
            f"Partitions are for PostgreSQL only, and {table} is in {connection.display_name}."
        )
    found = fetched(connection, _TABLE, [quoted(connection, table)])
    if not found:
        raise Unsuitable(f"There is no table {table}: run migrate first.")
    [(kind, key, rows, size)] = found
    if kind == "r":
        return Layout(is_partitioned=False, partitions=[], rows=int(rows), size=size)
    if key != "RANGE (id)":
        raise Unsuitable(f"{table} is kept in another way already ({key or kind}): left alone.")
    parts = [_partition(*row) for row in fetched(connection, _PARTS, [quoted(connection, table)])]
    parts.sort(key=lambda part: (part.is_default, part.low is not None, str(part.low)))
    return Layout(
        is_partitioned=True,
        partitions=parts,
        rows=sum(max(part.rows, 0) for part in parts),
        size=sum(part.size for part in parts),
    )


def _partition(name: str, bounds: str, rows: float, size: int) -> Partition:
    low, high = _BOUNDS.search(bounds or ""), _END.search(bounds or "")
    return Partition(
        name=name,
        low=UUID(low[1]) if low else None,
        high=UUID(high[1]) if high else None,
        is_default=bounds == "DEFAULT",
        rows=int(rows),
        size=size,
    )


_BOUNDS = re.compile(r"FROM \('([0-9a-f-]{36})'\)")
_END = re.compile(r"TO \('([0-9a-f-]{36})'\)")

_TABLE = """
SELECT relkind::text, pg_get_partkeydef(oid), reltuples, pg_total_relation_size(oid)
FROM pg_class WHERE oid = to_regclass(%s)
"""

_PARTS = """
SELECT part.relname, pg_get_expr(part.relpartbound, part.oid), part.reltuples,
       pg_total_relation_size(part.oid)
FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid
WHERE inhparent = to_regclass(%s)
"""

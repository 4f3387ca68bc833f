"""What the catalog of PostgreSQL says about a table and its partitions."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from tracking.partitions.errors import UnsuitableTable
from tracking.partitions.months import key_time


class Partition(NamedTuple):
    """One partition of a table.

    Attributes:
        name: the name of its own table.
        low: the first key in it; ``None`` without a lower bound.
        high: the first key after it; ``None`` without an upper bound.
        is_default: whether it is the default partition, for keys outside of all others.
        rows: number of rows, estimated by the planner; -1 if never analyzed.
        size: bytes on disk, with indexes.
    """

    name: str
    low: UUID | None
    high: UUID | None
    is_default: bool
    rows: int
    size: int

    @property
    def ends_at(self) -> datetime | None:
        """The time before which its keys end, or ``None``."""
        return None if self.high is None else key_time(self.high)

    @property
    def starts_at(self) -> datetime | None:
        """The time at which its keys begin, or ``None``."""
        return None if self.low is None else key_time(self.low)


class Layout(NamedTuple):
    """Whether and how a table is partitioned.

    Attributes:
        is_partitioned: whether it is.
        partitions: its partitions in order of their keys, the default one last.
        rows: number of rows in all, estimated by the planner.
        size: bytes on disk, with all indexes.
    """

    is_partitioned: bool
    partitions: Sequence[Partition]
    rows: int
    size: int


def fetch_all(
    connection: BaseDatabaseWrapper, sql: str, params: Sequence[Any] = ()
) -> list[tuple[Any, ...]]:
    """Return all rows of a query."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def execute(connection: BaseDatabaseWrapper, *statements: str) -> None:
    """Run statements without a result, one after the other."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def quote_name(connection: BaseDatabaseWrapper, name: str) -> str:
    """Return an identifier, quoted for SQL."""
    return str(connection.ops.quote_name(name))


def copy_rows_sql(table: str, other: str) -> str:
    """Return the SQL that copies all rows from another table; both names are quoted."""
    return f"INSERT INTO {table} SELECT * FROM {other}"  # noqa: S608 - names of the model's own


def move_rows_sql(table: str, other: str, condition: str) -> str:
    """Return the SQL that moves rows from another table; both names are quoted."""
    deleted = f"DELETE FROM {other} WHERE {condition} RETURNING *"  # noqa: S608 - likewise
    return f"WITH moved AS ({deleted}) INSERT INTO {table} SELECT * FROM moved"  # noqa: S608


def table_owner(connection: BaseDatabaseWrapper, table: str) -> str:
    """Return the owner of a table, quoted for SQL."""
    sql = "SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = to_regclass(%s)"
    [(name,)] = fetch_all(connection, sql, [quote_name(connection, table)])
    return str(name)


def layout(model: type[Model], using: str) -> Layout:
    """Return whether and how the table of a model is partitioned.

    Args:
        model: the model of the table.
        using: the alias of the database.

    Raises:
        UnsuitableTable: the database is not PostgreSQL, or the table is partitioned in another
            way, or does not exist.
    """
    connection = connections[using]
    table = model._meta.db_table
    if connection.vendor != "postgresql":
        raise UnsuitableTable(
            f"Only PostgreSQL tables can be partitioned; {table} is in {connection.display_name}."
        )
    found = fetch_all(connection, _TABLE, [quote_name(connection, table)])
    if not found:
        raise UnsuitableTable(f"The table {table} does not exist: run migrate first.")
    [(kind, key, rows, size)] = found
    if kind == "r":
        return Layout(is_partitioned=False, partitions=[], rows=int(rows), size=size)
    if key != "RANGE (id)":
        raise UnsuitableTable(
            f"{table} is already partitioned in another way ({key or kind}); it was not changed."
        )
    parts = [
        _partition(*row) for row in fetch_all(connection, _PARTS, [quote_name(connection, table)])
    ]
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

"""Add partitions for future months, and drop expired ones."""

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model
from django.utils import timezone

from tracking.db.column_values import storable_time
from tracking.models import Beacon, PageView
from tracking.partitions.catalog import (
    Layout,
    Partition,
    execute,
    fetch_all,
    layout,
    move_rows_sql,
    quote_name,
    table_owner,
)
from tracking.partitions.locks import retry_while_locked
from tracking.partitions.months import Month
from tracking.partitions.naming import earlier_partition, month_bounds, month_partition

logger = logging.getLogger(__name__)

#: The tables that can be partitioned, by model name: those with a row for each hit.
TABLES: Mapping[str, type[Model]] = {"beacon": Beacon, "pageview": PageView}

#: Months after this one that get a partition in advance.
MONTHS_AHEAD = 3


def add_future_partitions(
    model: type[Model], using: str, *, ahead: int = MONTHS_AHEAD
) -> list[str]:
    """Add missing partitions for this month and the next ones.

    Rows of these months in the default partition move to the new ones. For a table that is not
    partitioned, this drops the constraint that a killed conversion may have left, which would
    refuse rows of the next month.

    Args:
        model: the model of the table.
        using: the alias of the database.
        ahead: months after this one.

    Returns:
        The names of the new partitions; none if the table is not partitioned.

    Raises:
        UnsuitableTable: the database is not PostgreSQL.
        TableBusy: other transactions kept the table locked.
        RuntimeError: called inside a transaction.
    """
    known = layout(model, using)
    if not known.is_partitioned:
        _drop_left_over_check(model._meta.db_table, using)
        return []
    months = Month.of(timezone.now()).following(ahead)
    missing = [month for month in months if not _is_covered(known, month)]
    made = [
        retry_while_locked(using, partial(_add_partition, model, using, month)) for month in missing
    ]
    return [name for name in made if name]


def add_all_future_partitions() -> dict[str, list[str]]:
    """Add partitions for the next months to all partitioned tables.

    Returns:
        The names of the new partitions, by table; without tables of other databases.

    Raises:
        TableBusy: other transactions kept a table locked.
        RuntimeError: called inside a transaction.
    """
    made = {}
    for name, model in TABLES.items():
        using = router.db_for_write(model)
        if connections[using].vendor == "postgresql":
            made[name] = add_future_partitions(model, using)
    return made


def drop_boundary_check(connection: BaseDatabaseWrapper, table: str) -> None:
    """Drop the constraint by which a conversion proves that no key is after this month."""
    name, check = quote_name(connection, table), quote_name(connection, earlier_partition(table))
    execute(connection, f"ALTER TABLE {name} DROP CONSTRAINT IF EXISTS {check}")


def _drop_left_over_check(table: str, using: str) -> None:
    connection = connections[using]
    if fetch_all(connection, _CHECK, [quote_name(connection, table), earlier_partition(table)]):
        retry_while_locked(using, lambda: drop_boundary_check(connection, table))
        logger.warning(
            "A conversion of %s was interrupted; the constraint it left was dropped", table
        )


_CHECK = "SELECT FROM pg_constraint WHERE conrelid = to_regclass(%s) AND conname = %s"


def _is_covered(known: Layout, month: Month) -> bool:
    """Return whether a partition, perhaps a larger one, holds keys of the month already."""
    low, high = month.first_key, month.next.first_key
    return any(
        (part.low is None or part.low < high) and (part.high is None or part.high > low)
        for part in known.partitions
        if not part.is_default
    )


def _add_partition(model: type[Model], using: str, month: Month) -> str | None:
    """Add the partition of a month and return its name; ``None`` if another process added it."""
    connection = connections[using]
    table = quote_name(connection, model._meta.db_table)
    # Two processes that do this wait for each other; rows can be written meanwhile.
    execute(connection, f"LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE")
    known = layout(model, using)
    if _is_covered(known, month):
        return None
    name = month_partition(model._meta.db_table, month)
    part = quote_name(connection, name)
    execute(connection, f"CREATE TABLE {part} (LIKE {table} INCLUDING ALL)")
    for default in (part for part in known.partitions if part.is_default):
        _move_rows_from_default(connection, quote_name(connection, default.name), part, month)
    execute(
        connection,
        f"ALTER TABLE {table} ATTACH PARTITION {part} FOR VALUES {month_bounds(month)}",
        f"ALTER TABLE {part} OWNER TO {table_owner(connection, model._meta.db_table)}",
    )
    return name


def _move_rows_from_default(
    connection: BaseDatabaseWrapper, default: str, part: str, month: Month
) -> None:
    execute(
        connection,
        # No further rows of the month may be added to it.
        f"LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE",
        move_rows_sql(
            part, default, f"id >= '{month.first_key}' AND id < '{month.next.first_key}'"
        ),
    )


def drop_expired_partitions(model: type[Model], column: str, cutoff: datetime, using: str) -> int:
    """Drop partitions that hold expired rows only. The time does not depend on their number.

    Args:
        model: the model of the table; nothing happens if it is not partitioned.
        column: the time column that decides; an index starts with it.
        cutoff: rows of this time and before are expired. Aware, or with ``USE_TZ = False``
            naive, like the column.
        using: the alias of the database.

    Returns:
        How many rows were in them.

    Raises:
        TableBusy: other transactions kept the table locked.
        RuntimeError: called inside a transaction.
    """
    return sum(
        retry_while_locked(
            using, partial(_drop_partition, model, column, cutoff, using, part, rows)
        )
        for part, rows in expired_partitions(model, column, cutoff, using)
    )


def expired_partitions(
    model: type[Model], column: str, cutoff: datetime, using: str
) -> Iterator[tuple[Partition, int]]:
    """Yield partitions that hold expired rows only, and how many.

    The arguments are those of :func:`drop_expired_partitions`.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    for part in layout(model, using).partitions:
        # Its keys end before the cutoff, so that few rows can be newer.
        if part.ends_at is None or storable_time(part.ends_at) > cutoff:
            continue
        if not _has_newer_rows(connection, part, column, cutoff):
            count = f"SELECT count(*) FROM {quote_name(connection, part.name)}"  # noqa: S608 - read there
            [(rows,)] = fetch_all(connection, count)
            yield part, int(rows)


def _has_newer_rows(
    connection: BaseDatabaseWrapper, part: Partition, column: str, cutoff: datetime
) -> bool:
    rows = f"{quote_name(connection, part.name)} WHERE {quote_name(connection, column)} > %s"
    [(found,)] = fetch_all(connection, f"SELECT EXISTS (SELECT FROM {rows})", [cutoff])  # noqa: S608 - likewise
    return bool(found)


def _drop_partition(
    model: type[Model], column: str, cutoff: datetime, using: str, part: Partition, rows: int
) -> int:
    connection = connections[using]
    execute(
        connection,
        f"LOCK TABLE {quote_name(connection, model._meta.db_table)} IN ACCESS EXCLUSIVE MODE",
    )
    still_there = any(part.name == other.name for other in layout(model, using).partitions)
    # Checked again under the lock: another process may have written to it, or dropped it.
    if not still_there or _has_newer_rows(connection, part, column, cutoff):
        return 0
    execute(connection, f"DROP TABLE {quote_name(connection, part.name)}")
    logger.info("Dropped the partition %s with %s expired rows", part.name, rows)
    return rows

"""Parts are made ahead, and leave."""

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
    fetched,
    layout,
    moved_into,
    owner,
    quoted,
    run,
)
from tracking.partitions.locks import patiently
from tracking.partitions.months import Month
from tracking.partitions.naming import earlier_name, month_bounds, month_name

logger = logging.getLogger(__name__)

#: The tables that can be in parts, by their names: those that get a row for each hit.
TABLES: Mapping[str, type[Model]] = {"beacon": Beacon, "pageview": PageView}

#: Months after this one that have their parts in time.
AHEAD = 3


def add_ahead(model: type[Model], using: str, *, ahead: int = AHEAD) -> list[str]:
    """Make the parts of this month and the next ones, as far as they are missing.

    Rows that have come too early for their part, and are in the default one, move into it.
    A conversion that was killed has left a table that takes no rows of the next month; here it
    gets rid of that.

    Args:
        model: whose table it is.
        using: the alias of the database.
        ahead: how many months after this one.

    Returns:
        The names of the new parts; none for a table that is not in parts.

    Raises:
        Unsuitable: the database is not PostgreSQL.
        Busy: somebody has held the table all the while.
        RuntimeError: it was called inside of a transaction.
    """
    known = layout(model, using)
    if not known.is_partitioned:
        _forget_left_over_check(model._meta.db_table, using)
        return []
    months = Month.of(timezone.now()).following(ahead)
    missing = [month for month in months if not _has_part(known, month)]
    made = [patiently(using, partial(_add, model, using, month)) for month in missing]
    return [name for name in made if name]


def keep_ahead(*, ahead: int = AHEAD) -> dict[str, list[str]]:
    """Make the parts of the next months for all tables that are in parts.

    Args:
        ahead: how many months after this one.

    Returns:
        The names of the new parts, by table; tables of other databases are left out.

    Raises:
        Busy: somebody has held a table all the while.
        RuntimeError: it was called inside of a transaction.
    """
    made = {}
    for name, model in TABLES.items():
        using = router.db_for_write(model)
        if connections[using].vendor == "postgresql":
            made[name] = add_ahead(model, using, ahead=ahead)
    return made


def forget_check(connection: BaseDatabaseWrapper, table: str) -> None:
    """Take away the constraint by which a conversion knows that a table ends with this month."""
    name, check = quoted(connection, table), quoted(connection, earlier_name(table))
    run(connection, f"ALTER TABLE {name} DROP CONSTRAINT IF EXISTS {check}")


def _forget_left_over_check(table: str, using: str) -> None:
    connection = connections[using]
    if fetched(connection, _CHECK, [quoted(connection, table), earlier_name(table)]):
        patiently(using, lambda: forget_check(connection, table))
        logger.warning("A conversion of %s that was broken off has been cleared away", table)


_CHECK = "SELECT FROM pg_constraint WHERE conrelid = to_regclass(%s) AND conname = %s"


def _has_part(known: Layout, month: Month) -> bool:
    """Return whether a key of the month has a part already, be it a larger one."""
    low, high = month.first_key, month.next.first_key
    return any(
        (part.low is None or part.low < high) and (part.high is None or part.high > low)
        for part in known.partitions
        if not part.is_default
    )


def _add(model: type[Model], using: str, month: Month) -> str | None:
    """Make the part of a month, and return its name; ``None`` if another process has made it."""
    connection = connections[using]
    table = quoted(connection, model._meta.db_table)
    # Two who do this wait for each other; whoever writes goes on.
    run(connection, f"LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE")
    known = layout(model, using)
    if _has_part(known, month):
        return None
    name = month_name(model._meta.db_table, month)
    part = quoted(connection, name)
    run(connection, f"CREATE TABLE {part} (LIKE {table} INCLUDING ALL)")
    for default in (part for part in known.partitions if part.is_default):
        _move(connection, quoted(connection, default.name), part, month)
    run(
        connection,
        f"ALTER TABLE {table} ATTACH PARTITION {part} FOR VALUES {month_bounds(month)}",
        f"ALTER TABLE {part} OWNER TO {owner(connection, model._meta.db_table)}",
    )
    return name


def _move(connection: BaseDatabaseWrapper, default: str, part: str, month: Month) -> None:
    run(
        connection,
        # Nothing may come into it any more that belongs to the month.
        f"LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE",
        moved_into(part, default, f"id >= '{month.first_key}' AND id < '{month.next.first_key}'"),
    )


def drop_past(model: type[Model], column: str, cutoff: datetime, using: str) -> int:
    """Drop the parts that have nothing but old rows. That takes as long for many as for few.

    Args:
        model: whose table it is; one that is not in parts is left alone.
        column: the time that is looked at; an index begins with it.
        cutoff: rows of this moment and before are old, as the column has it: aware, or with
            ``USE_TZ = False`` naive.
        using: the alias of the database.

    Returns:
        How many rows were in them.

    Raises:
        Busy: somebody has held the table all the while.
        RuntimeError: it was called inside of a transaction.
    """
    return sum(
        patiently(using, partial(_drop, model, column, cutoff, using, part, rows))
        for part, rows in past(model, column, cutoff, using)
    )


def past(
    model: type[Model], column: str, cutoff: datetime, using: str
) -> Iterator[tuple[Partition, int]]:
    """Yield the parts that have nothing but old rows, and how many. The arguments are as above."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    for part in layout(model, using).partitions:
        # No later key is in it, so that few rows can be younger.
        if part.ends_at is None or storable_time(part.ends_at) > cutoff:
            continue
        if not _has_younger(connection, part, column, cutoff):
            count = f"SELECT count(*) FROM {quoted(connection, part.name)}"  # noqa: S608 - read there
            [(rows,)] = fetched(connection, count)
            yield part, int(rows)


def _has_younger(
    connection: BaseDatabaseWrapper, part: Partition, column: str, cutoff: datetime
) -> bool:
    rows = f"{quoted(connection, part.name)} WHERE {quoted(connection, column)} > %s"
    [(found,)] = fetched(connection, f"SELECT EXISTS (SELECT FROM {rows})", [cutoff])  # noqa: S608 - likewise
    return bool(found)


def _drop(
    model: type[Model], column: str, cutoff: datetime, using: str, part: Partition, rows: int
) -> int:
    connection = connections[using]
    run(
        connection,
        f"LOCK TABLE {quoted(connection, model._meta.db_table)} IN ACCESS EXCLUSIVE MODE",
    )
    still_there = any(part.name == other.name for other in layout(model, using).partitions)
    # Somebody may have written into it, or dropped it, since it was looked at.
    if not still_there or _has_younger(connection, part, column, cutoff):
        return 0
    run(connection, f"DROP TABLE {quoted(connection, part.name)}")
    logger.info("The part %s was dropped, with %s rows", part.name, rows)
    return rows

"""Partition a table by month, and undo that.

By default the table becomes the first partition of a new table with its name, and no row is
copied. With ``rewrite`` each row is copied to the partition of its month. Both take one
transaction: hits that arrive meanwhile wait, and are written to the new table.
"""

from collections.abc import Sequence
from typing import NamedTuple

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model
from django.utils import timezone

from tracking.partitions.catalog import (
    Layout,
    copy_rows_sql,
    execute,
    fetch_all,
    layout,
    move_rows_sql,
    quote_name,
)
from tracking.partitions.definition import Definition, obstacles
from tracking.partitions.errors import UnsuitableTable
from tracking.partitions.locks import retry_while_locked
from tracking.partitions.maintenance import MONTHS_AHEAD, drop_boundary_check
from tracking.partitions.months import Month, months_between
from tracking.partitions.naming import (
    default_partition,
    earlier_partition,
    month_bounds,
    month_partition,
)

#: Keys of this app are never older; an older time means a key of another kind.
_EARLIEST_MONTH = Month(2000, 1)


class Plan(NamedTuple):
    """What a conversion will do.

    Attributes:
        model: the model of the table.
        before: the present layout.
        rewrite: whether rows are copied to the partitions of their months.
        months: the months that get a partition.
        beyond: rows with keys after this month, which are copied in any case. Keys that this
            app did not make may be of any time.
    """

    model: type[Model]
    before: Layout
    rewrite: bool
    months: Sequence[Month]
    beyond: int

    @property
    def boundary(self) -> Month:
        """The first month with a partition of its own, if rows are not copied."""
        return Month.of(timezone.now()).next


def plan(
    model: type[Model], using: str, *, ahead: int = MONTHS_AHEAD, rewrite: bool = False
) -> Plan:
    """Return what :func:`convert` would do.

    Args:
        model: the model of the table.
        using: the alias of the database.
        ahead: months after this one that get a partition.
        rewrite: whether to copy rows to the partitions of their months.

    Raises:
        UnsuitableTable: the table cannot be converted, or is partitioned already.
    """
    before = layout(model, using)
    table = model._meta.db_table
    if before.is_partitioned:
        raise UnsuitableTable(f"{table} is already partitioned.")
    connection = connections[using]
    if found := obstacles(connection, table):
        raise UnsuitableTable(
            f"{table} cannot be replaced by a new table because of {', '.join(found)}. "
            "Remove these dependencies first (DROP, NO INHERIT or REVOKE), and recreate them "
            "afterwards."
        )
    this = Month.of(timezone.now())
    later = this.next.following(ahead - 1) if ahead > 0 else []
    months = [*_months_with_rows(connection, table, this), *later] if rewrite else later
    return Plan(model, before, rewrite, months, _count_keys_from(connection, table, this.next))


def convert(
    model: type[Model], using: str, *, ahead: int = MONTHS_AHEAD, rewrite: bool = False
) -> None:
    """Partition the table of a model by month.

    Args:
        model: the model of the table.
        using: the alias of the database.
        ahead: months after this one that get a partition.
        rewrite: whether to copy rows to the partitions of their months. Hits wait meanwhile.

    Raises:
        UnsuitableTable: the table cannot be converted, or is partitioned already.
        TableBusy: other transactions kept the table locked.
        RuntimeError: called inside a transaction.
        django.db.DatabaseError: another error; nothing was changed.
    """
    planned = plan(model, using, ahead=ahead, rewrite=rewrite)
    connection = connections[using]
    table = model._meta.db_table
    checked = not rewrite and not planned.beyond
    if checked:
        _add_boundary_check(connection, table, using, planned.boundary)
    try:
        retry_while_locked(using, lambda: _convert(connection, planned))
    except BaseException:
        if checked:
            retry_while_locked(using, lambda: drop_boundary_check(connection, table))
        raise


def _add_boundary_check(
    connection: BaseDatabaseWrapper, table: str, using: str, boundary: Month
) -> None:
    """Add a constraint on the keys, validated while others write.

    Without it, attaching the table as a partition would check all rows while nobody can write.
    """
    name, check = quote_name(connection, table), _boundary_check_name(connection, table)
    condition = f"CHECK (id < '{boundary.first_key}')"

    def add() -> None:
        execute(
            connection,
            f"ALTER TABLE {name} DROP CONSTRAINT IF EXISTS {check}",
            f"ALTER TABLE {name} ADD CONSTRAINT {check} {condition} NOT VALID",
        )

    retry_while_locked(using, add)
    retry_while_locked(
        using, lambda: execute(connection, f"ALTER TABLE {name} VALIDATE CONSTRAINT {check}")
    )


def _boundary_check_name(connection: BaseDatabaseWrapper, table: str) -> str:
    return quote_name(connection, earlier_partition(table))


def _convert(connection: BaseDatabaseWrapper, planned: Plan) -> None:
    table = planned.model._meta.db_table
    name, earlier = quote_name(connection, table), quote_name(connection, earlier_partition(table))
    default = quote_name(connection, default_partition(table))
    execute(connection, f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
    definition = Definition.of(connection, table).without_constraint(earlier_partition(table))
    definition.release_names(connection)
    execute(
        connection,
        f"ALTER TABLE {name} RENAME TO {earlier}",
        f"CREATE TABLE {name} (LIKE {earlier} INCLUDING ALL EXCLUDING INDEXES "
        "EXCLUDING CONSTRAINTS) PARTITION BY RANGE (id)",
        f"CREATE TABLE {default} PARTITION OF {name} DEFAULT",
    )
    for month in planned.months:
        execute(
            connection,
            f"CREATE TABLE {quote_name(connection, month_partition(table, month))} "
            f"PARTITION OF {name} FOR VALUES {month_bounds(month)}",
        )
    if planned.rewrite:
        execute(connection, copy_rows_sql(name, earlier), f"DROP TABLE {earlier}")
    else:
        boundary = planned.boundary.first_key
        check = _boundary_check_name(connection, table)
        execute(
            connection,
            move_rows_sql(name, earlier, f"id >= '{boundary}'"),
            f"ALTER TABLE {name} ATTACH PARTITION {earlier} "
            f"FOR VALUES FROM (MINVALUE) TO ('{boundary}')",
            f"ALTER TABLE {earlier} DROP CONSTRAINT IF EXISTS {check}",
        )
    definition.apply(connection, table)
    for part in layout(planned.model, connection.alias).partitions:
        execute(
            connection,
            f"ALTER TABLE {quote_name(connection, part.name)} OWNER TO {definition.owner}",
        )


def undo(model: type[Model], using: str) -> None:
    """Make a partitioned table one table again. All rows are copied; hits wait meanwhile.

    Args:
        model: the model of the table.
        using: the alias of the database.

    Raises:
        UnsuitableTable: the table is not partitioned, or cannot be replaced.
        TableBusy: other transactions kept the table locked.
        RuntimeError: called inside a transaction.
        django.db.DatabaseError: another error; nothing was changed.
    """
    if not layout(model, using).is_partitioned:
        raise UnsuitableTable(f"{model._meta.db_table} is not partitioned.")
    connection = connections[using]
    if found := obstacles(connection, model._meta.db_table):
        raise UnsuitableTable(
            f"{model._meta.db_table} cannot be replaced by a new table because of "
            f"{', '.join(found)}. Remove these dependencies first (DROP, NO INHERIT or REVOKE), "
            "and recreate them afterwards."
        )
    retry_while_locked(using, lambda: _undo(connection, model._meta.db_table))


def _undo(connection: BaseDatabaseWrapper, table: str) -> None:
    name, parts = quote_name(connection, table), quote_name(connection, f"{table}_parts")
    execute(connection, f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
    definition = Definition.of(connection, table)
    definition.release_names(connection)
    execute(
        connection,
        f"ALTER TABLE {name} RENAME TO {parts}",
        f"CREATE TABLE {name} (LIKE {parts} INCLUDING ALL EXCLUDING INDEXES EXCLUDING CONSTRAINTS)",
        copy_rows_sql(name, parts),
        f"DROP TABLE {parts}",
    )
    # PostgreSQL describes the index of a partitioned table as one ON ONLY the parent.
    indexes = [text.replace(" ON ONLY ", " ON ", 1) for text in definition.indexes]
    definition._replace(indexes=indexes).apply(connection, table)


def _months_with_rows(connection: BaseDatabaseWrapper, table: str, this: Month) -> list[Month]:
    """Return the months with rows, up to and always including this one."""
    name = quote_name(connection, table)
    sql = f"SELECT id FROM {name} WHERE id >= %s ORDER BY id LIMIT 1"  # noqa: S608 - the model's
    months = []
    for month in months_between(_EARLIEST_MONTH, this):
        found = fetch_all(connection, sql, [month.first_key])
        if month == this or (found and found[0][0] < month.next.first_key):
            months.append(month)
    return months


def _count_keys_from(connection: BaseDatabaseWrapper, table: str, boundary: Month) -> int:
    sql = f"SELECT count(*) FROM {quote_name(connection, table)} WHERE id >= %s"  # noqa: S608 - likewise
    [(number,)] = fetch_all(connection, sql, [boundary.first_key])
    return int(number)

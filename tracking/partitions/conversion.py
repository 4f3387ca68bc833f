"""A table is turned into parts, and back.

By default the table stays as it is, and becomes the first part of a new one, which takes over
its name; no row is copied. With ``rewrite`` each row is copied into its month. Either is one
transaction: hits that arrive meanwhile wait and go into the new table.
"""

from collections.abc import Sequence
from typing import NamedTuple

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model
from django.utils import timezone

from tracking.partitions.catalog import (
    Layout,
    copied_into,
    fetched,
    layout,
    moved_into,
    quoted,
    run,
)
from tracking.partitions.definition import Definition, obstacles
from tracking.partitions.locks import patiently
from tracking.partitions.months import Month, between
from tracking.partitions.naming import default_name, earlier_name, month_bounds, month_name
from tracking.partitions.unsuitable import Unsuitable
from tracking.partitions.upkeep import AHEAD, forget_check

#: No key of a row is older: what begins with an earlier moment was made in another way.
_FIRST = Month(2000, 1)


class Plan(NamedTuple):
    """What a conversion is going to do.

    Attributes:
        model: whose table it is.
        before: how it is kept now.
        rewrite: whether rows are copied into their months.
        months: those that get a part of their own.
        beyond: rows with keys of later than this month, which are copied in any case. Keys
            that were not made by this app may be of any time.
    """

    model: type[Model]
    before: Layout
    rewrite: bool
    months: Sequence[Month]
    beyond: int

    @property
    def boundary(self) -> Month:
        """The month from which on there are parts, if rows stay where they are."""
        return Month.of(timezone.now()).next


def plan(model: type[Model], using: str, *, ahead: int = AHEAD, rewrite: bool = False) -> Plan:
    """Return what :func:`convert` would do.

    Args:
        model: whose table it is.
        using: the alias of the database.
        ahead: how many months after this one get a part.
        rewrite: whether rows are to be copied into their months.

    Raises:
        Unsuitable: it can or need not be done.
    """
    before = layout(model, using)
    table = model._meta.db_table
    if before.is_partitioned:
        raise Unsuitable(f"{table} is in parts already.")
    connection = connections[using]
    if found := obstacles(connection, table):
        raise Unsuitable(
            f"{table} cannot be replaced by another table because of {', '.join(found)}: "
            "take them away before, and make them anew afterwards."
        )
    this = Month.of(timezone.now())
    later = this.next.following(ahead - 1) if ahead > 0 else []
    months = [*_with_rows(connection, table, this), *later] if rewrite else later
    return Plan(model, before, rewrite, months, _beyond(connection, table, this.next))


def convert(model: type[Model], using: str, *, ahead: int = AHEAD, rewrite: bool = False) -> None:
    """Turn the table of a model into parts.

    Args:
        model: whose table it is.
        using: the alias of the database.
        ahead: how many months after this one get a part.
        rewrite: whether rows are copied into their months. That takes time, and hits wait.

    Raises:
        Unsuitable: it can or need not be done.
        Busy: somebody has held the table all the while.
        RuntimeError: it was called inside of a transaction.
        django.db.DatabaseError: the database refuses; all is as before.
    """
    planned = plan(model, using, ahead=ahead, rewrite=rewrite)
    connection = connections[using]
    table = model._meta.db_table
    checked = not rewrite and not planned.beyond
    if checked:
        _check_before(connection, table, using, planned.boundary)
    try:
        patiently(using, lambda: _convert(connection, planned))
    except BaseException:
        if checked:
            patiently(using, lambda: forget_check(connection, table))
        raise


def _check_before(connection: BaseDatabaseWrapper, table: str, using: str, boundary: Month) -> None:
    """Have the database look through the table while others write.

    It would otherwise do so when the table becomes a part, and nobody could write meanwhile.
    """
    name, check = quoted(connection, table), _check_name(connection, table)
    condition = f"CHECK (id < '{boundary.first_key}')"

    def add() -> None:
        run(
            connection,
            f"ALTER TABLE {name} DROP CONSTRAINT IF EXISTS {check}",
            f"ALTER TABLE {name} ADD CONSTRAINT {check} {condition} NOT VALID",
        )

    patiently(using, add)
    patiently(using, lambda: run(connection, f"ALTER TABLE {name} VALIDATE CONSTRAINT {check}"))


def _check_name(connection: BaseDatabaseWrapper, table: str) -> str:
    return quoted(connection, earlier_name(table))


def _convert(connection: BaseDatabaseWrapper, planned: Plan) -> None:
    table = planned.model._meta.db_table
    name, earlier = quoted(connection, table), quoted(connection, earlier_name(table))
    run(connection, f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
    definition = Definition.of(connection, table).without(earlier_name(table))
    definition.let_go(connection)
    run(
        connection,
        f"ALTER TABLE {name} RENAME TO {earlier}",
        f"CREATE TABLE {name} (LIKE {earlier} INCLUDING ALL EXCLUDING INDEXES "
        "EXCLUDING CONSTRAINTS) PARTITION BY RANGE (id)",
        f"CREATE TABLE {quoted(connection, default_name(table))} PARTITION OF {name} DEFAULT",
    )
    for month in planned.months:
        run(
            connection,
            f"CREATE TABLE {quoted(connection, month_name(table, month))} "
            f"PARTITION OF {name} FOR VALUES {month_bounds(month)}",
        )
    if planned.rewrite:
        run(connection, copied_into(name, earlier), f"DROP TABLE {earlier}")
    else:
        boundary = planned.boundary.first_key
        run(
            connection,
            moved_into(name, earlier, f"id >= '{boundary}'"),
            f"ALTER TABLE {name} ATTACH PARTITION {earlier} "
            f"FOR VALUES FROM (MINVALUE) TO ('{boundary}')",
            f"ALTER TABLE {earlier} DROP CONSTRAINT IF EXISTS {_check_name(connection, table)}",
        )
    definition.apply(connection, table)
    for part in layout(planned.model, connection.alias).partitions:
        run(connection, f"ALTER TABLE {quoted(connection, part.name)} OWNER TO {definition.owner}")


def undo(model: type[Model], using: str) -> None:
    """Turn the parts of a table into one again. All rows are copied, and hits wait.

    Args:
        model: whose table it is.
        using: the alias of the database.

    Raises:
        Unsuitable: it is not in parts.
        Busy: somebody has held the table all the while.
        RuntimeError: it was called inside of a transaction.
        django.db.DatabaseError: the database refuses; all is as before.
    """
    if not layout(model, using).is_partitioned:
        raise Unsuitable(f"{model._meta.db_table} is not in parts.")
    connection = connections[using]
    if found := obstacles(connection, model._meta.db_table):
        raise Unsuitable(
            f"{model._meta.db_table} cannot be replaced because of {', '.join(found)}."
        )
    patiently(using, lambda: _undo(connection, model._meta.db_table))


def _undo(connection: BaseDatabaseWrapper, table: str) -> None:
    name, parts = quoted(connection, table), quoted(connection, f"{table}_parts")
    run(connection, f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
    definition = Definition.of(connection, table)
    definition.let_go(connection)
    run(
        connection,
        f"ALTER TABLE {name} RENAME TO {parts}",
        f"CREATE TABLE {name} (LIKE {parts} INCLUDING ALL EXCLUDING INDEXES EXCLUDING CONSTRAINTS)",
        copied_into(name, parts),
        f"DROP TABLE {parts}",
    )
    # Of an index over parts PostgreSQL says that it is on the parent alone.
    indexes = [text.replace(" ON ONLY ", " ON ", 1) for text in definition.indexes]
    definition._replace(indexes=indexes).apply(connection, table)


def _with_rows(connection: BaseDatabaseWrapper, table: str, this: Month) -> list[Month]:
    """Return the months up to this one that have rows, and this one."""
    name = quoted(connection, table)
    sql = f"SELECT id FROM {name} WHERE id >= %s ORDER BY id LIMIT 1"  # noqa: S608 - the model's
    months = []
    for month in between(_FIRST, this):
        found = fetched(connection, sql, [month.first_key])
        if month == this or (found and found[0][0] < month.next.first_key):
            months.append(month)
    return months


def _beyond(connection: BaseDatabaseWrapper, table: str, boundary: Month) -> int:
    sql = f"SELECT count(*) FROM {quoted(connection, table)} WHERE id >= %s"  # noqa: S608 - likewise
    [(number,)] = fetched(connection, sql, [boundary.first_key])
    return int(number)

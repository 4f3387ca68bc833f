"""Many rows into one table, by the fastest way that the database has.

==========  ============================================================================
PostgreSQL  ``COPY`` in text format; ``INSERT`` for a few rows, and with psycopg2
SQLite      one prepared statement, run for each row: it is parsed once, and no limit of
            parameters cuts the batch into pieces
MariaDB     ``executemany``, of which the drivers make statements of many rows that stay
            below what the server takes as one packet
others      ``bulk_create``
==========  ============================================================================

A row that is there already is an error here. To have the database skip it would cost the
answer to which rows are new; MariaDB's ``INSERT IGNORE`` would in addition write what does not
fit, cut; and ``COPY`` has no such thing at all.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

Row = tuple[Any, ...]

#: Rows from which COPY is worth its two more round trips.
COPY_FROM = 10

#: Rows of one INSERT of many rows.
_BATCH = 500


def insert(
    model: type[Model], attributes: Sequence[str], rows: Sequence[Row], using: str
) -> None:
    """Insert rows. The caller has opened a transaction or savepoint for it.

    Args:
        model: whose table it is.
        attributes: the names of the columns, as attributes of the model.
        rows: the values of each, in the same order, in the spelling of the database
            (:func:`tracking.recording.spelling.spelling_for`), without NUL in any text.
        using: the alias of the database.

    Raises:
        django.db.IntegrityError: a row is there already, or is refused.
        django.db.DatabaseError: what else the database refuses.
    """
    connection = connections[using]
    if connection.vendor == "postgresql":
        if len(rows) >= COPY_FROM and _can_copy():
            _copy(connection, f"COPY {_table(connection, model, attributes)} FROM STDIN", rows)
        else:
            _insert_many(connection, _statement(connection, model, attributes), rows)
    elif connection.vendor in {"sqlite", "mysql"}:
        _insert_each(connection, _statement(connection, model, attributes), rows)
    else:
        instances = [model(**dict(zip(attributes, row, strict=True))) for row in rows]
        model._default_manager.using(using).bulk_create(instances)


def _table(connection: BaseDatabaseWrapper, model: type[Model], attributes: Sequence[str]) -> str:
    quote = connection.ops.quote_name
    columns = (quote(model._meta.get_field(name).column) for name in attributes)  # type: ignore[union-attr]
    return f"{quote(model._meta.db_table)} ({', '.join(columns)})"


def _statement(
    connection: BaseDatabaseWrapper, model: type[Model], attributes: Sequence[str]
) -> str:
    placeholders = ", ".join(["%s"] * len(attributes))
    table = _table(connection, model, attributes)
    return f"INSERT INTO {table} VALUES ({placeholders})"  # noqa: S608 - names of the model's own


def _insert_each(connection: BaseDatabaseWrapper, statement: str, rows: Sequence[Row]) -> None:
    with connection.cursor() as cursor:
        if len(rows) == 1:
            cursor.execute(statement, rows[0])
        else:
            cursor.executemany(statement, rows)


def _insert_many(connection: BaseDatabaseWrapper, statement: str, rows: Sequence[Row]) -> None:
    head, values = statement.split(" VALUES ")
    limit = connection.features.max_query_params
    size = min(limit // len(rows[0]), _BATCH) if limit else _BATCH
    with connection.cursor() as cursor:
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            sql = f"{head} VALUES {', '.join([values] * len(some))}"
            cursor.execute(sql, list(chain.from_iterable(some)))


def _can_copy() -> bool:
    from django.db.backends.postgresql.psycopg_any import (  # noqa: PLC0415 - needs the driver
        is_psycopg3,
    )

    return is_psycopg3


def _copy(connection: BaseDatabaseWrapper, statement: str, rows: Sequence[Row]) -> None:
    # What Django does for each statement, and not for COPY, of which it knows nothing.
    connection.validate_no_broken_transaction()
    with connection.cursor() as cursor, connection.wrap_database_errors:
        with cursor.copy(statement) as copy:
            copy.write(_lines(rows))


#: What stands for NULL, between two values and between two rows until all is escaped. No
#: text has a NUL, so that none can be taken for one of them.
_NULL, _NEXT, _END = "\0N", "\0,", "\0;"


def _lines(rows: Sequence[Row]) -> str:
    r"""Return rows in the text format of COPY, all of it escaped at once.

    https://www.postgresql.org/docs/current/sql-copy.html, "Text Format".

        >>> _lines([("a\tb", None), ("", "\\N")])
        'a\\tb\t\\N\n\t\\\\N\n'
    """
    text = "".join(
        [_NEXT.join([_NULL if value is None else value for value in row]) + _END for row in rows]
    )
    for special, escaped in _ESCAPES:
        text = text.replace(special, escaped)
    return text


_ESCAPES = (
    ("\\", "\\\\"),
    ("\t", "\\t"),
    ("\n", "\\n"),
    ("\r", "\\r"),
    (_NULL, "\\N"),
    (_NEXT, "\t"),
    (_END, "\n"),
)

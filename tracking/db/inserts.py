"""Insert many rows into one table, in the fastest way of each database.

==========  ============================================================================
PostgreSQL  ``COPY`` in text format; ``INSERT`` for a single row, and with psycopg2
SQLite      one prepared statement, run for each row: it is parsed once, and the limit of
            parameters does not split the batch
MariaDB     ``executemany``, which the drivers turn into multi-row statements below the
            packet size of the server
others      ``bulk_create``
==========  ============================================================================

A row that exists already is an error here. If the database skipped it, nobody would know which
rows are new; MariaDB's ``INSERT IGNORE`` also truncates values that do not fit; and ``COPY`` cannot
skip rows at all.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from tracking import compat
from tracking.db.chunks import in_batches

Row = tuple[Any, ...]
T = TypeVar("T")

#: Rows from which COPY is faster than INSERT, despite two more round trips: three rows take
#: 0.65 ms instead of 0.85, fifty 2.3 ms instead of 6.2.
MIN_ROWS_FOR_COPY = 2

#: Rows that are sent to COPY at once. While the server indexes them, the next ones are
#: converted; that halves the time of a batch.
_ROWS_PER_COPY_WRITE = 100

#: Rows of one multi-row statement, unless the database allows fewer parameters.
_MAX_ROWS_PER_STATEMENT = 500


def insert(
    model: type[Model],
    attributes: Sequence[str],
    items: Sequence[T],
    to_row: Callable[[T], Row],
    using: str,
    *,
    savepoint: bool = True,
) -> None:
    """Insert a row for each item, all of them or none.

    Args:
        model: the model of the table.
        attributes: the columns, as attributes of the model.
        items: what becomes rows; not empty.
        to_row: returns the values of the columns for one item, converted for the database
            (:func:`tracking.db.parameters.converters_for`), without NUL in any text. It must not
            query the same database, which may be in the middle of a COPY.
        using: the alias of the database.
        savepoint: whether the transaction of the caller, if any, stays usable after a failure.

    Raises:
        django.db.IntegrityError: a row exists already or violates a constraint.
        django.db.DatabaseError: another error.
    """
    connection = connections[using]
    if connection.vendor == "postgresql" and len(items) >= MIN_ROWS_FOR_COPY and compat.has_copy():
        table = _table_with_columns(connection, model, attributes)
        with transaction.atomic(using=using, savepoint=savepoint):
            _copy_rows(connection, table, map(to_row, items))
        return
    # Converted before the transaction, during which nobody else can write to SQLite.
    rows = [to_row(item) for item in items]
    if len(rows) == 1 and not connection.in_atomic_block and connection.get_autocommit():
        _insert_rows(connection, model, attributes, rows)  # one statement is all or nothing
        return
    with transaction.atomic(using=using, savepoint=savepoint):
        _insert_rows(connection, model, attributes, rows)


def _insert_rows(
    connection: BaseDatabaseWrapper,
    model: type[Model],
    attributes: Sequence[str],
    rows: Sequence[Row],
) -> None:
    table = _table_with_columns(connection, model, attributes)
    if connection.vendor == "postgresql":
        _insert_multi_row(connection, table, rows)
    elif connection.vendor in {"sqlite", "mysql"}:
        _insert_with_executemany(connection, table, rows)
    else:
        instances = [model(**dict(zip(attributes, row, strict=True))) for row in rows]
        model._default_manager.using(connection.alias).bulk_create(instances)


def _table_with_columns(
    connection: BaseDatabaseWrapper, model: type[Model], attributes: Sequence[str]
) -> str:
    quote = connection.ops.quote_name
    named = {field.attname: str(field.column) for field in model._meta.concrete_fields}
    columns = ", ".join(quote(named[attribute]) for attribute in attributes)
    return f"{quote(model._meta.db_table)} ({columns})"


def _insert_with_executemany(
    connection: BaseDatabaseWrapper, table: str, rows: Sequence[Row]
) -> None:
    statement = f"INSERT INTO {table} VALUES {placeholders(len(rows[0]))}"  # noqa: S608 - names of the model's own
    with connection.cursor() as cursor:
        if len(rows) == 1:
            cursor.execute(statement, rows[0])
        else:
            cursor.executemany(statement, rows)


def _insert_multi_row(connection: BaseDatabaseWrapper, table: str, rows: Sequence[Row]) -> None:
    columns = len(rows[0])
    with connection.cursor() as cursor:
        for batch in in_batches(rows, rows_per_statement(connection, columns)):
            values = placeholders(columns, len(batch))
            sql = f"INSERT INTO {table} VALUES {values}"  # noqa: S608 - likewise
            cursor.execute(sql, list(chain.from_iterable(batch)))


def rows_per_statement(connection: BaseDatabaseWrapper, columns: int) -> int:
    """Return how many rows fit one statement with a parameter for each value.

    Args:
        connection: the connection to the database.
        columns: values of a row.
    """
    limit = connection.features.max_query_params
    return min(limit // columns, _MAX_ROWS_PER_STATEMENT) if limit else _MAX_ROWS_PER_STATEMENT


def placeholders(columns: int, rows: int = 1) -> str:
    """Return the SQL after ``VALUES``, with a placeholder for each value.

    >>> placeholders(3, 2)
    '(%s, %s, %s), (%s, %s, %s)'
    """
    row = f"({', '.join(['%s'] * columns)})"
    return ", ".join([row] * rows)


def _copy_rows(connection: BaseDatabaseWrapper, table: str, rows: Iterator[Row]) -> None:
    with (
        connection.cursor() as cursor,
        compat.checked_statement(connection),
        cursor.copy(f"COPY {table} FROM STDIN") as copy,
    ):
        while some := list(islice(rows, _ROWS_PER_COPY_WRITE)):
            copy.write(_copy_text(some))


def _copy_text(rows: Sequence[Row]) -> str:
    r"""Return rows in the text format of COPY.

    https://www.postgresql.org/docs/current/sql-copy.html, "Text Format".

        >>> _copy_text([("a\tb", None), ("", "\\N")])
        'a\\tb\t\\N\n\t\\\\N\n'
    """
    text = "".join(
        ["\t".join(["\\N" if value is None else value for value in row]) + "\n" for row in rows]
    )
    if _needs_no_escaping(text, rows):
        return text
    return _escaped_copy_text(rows)


def _needs_no_escaping(text: str, rows: Sequence[Row]) -> bool:
    """Return whether no value contains a special character.

    Counting them is much cheaper than escaping, which is hardly ever needed.
    """
    return (
        text.count("\n") == len(rows)
        and text.count("\t") == len(rows) * (len(rows[0]) - 1)
        and text.count("\\") == sum(row.count(None) for row in rows)
        and "\r" not in text
    )


#: Placeholders for NULL, the end of a value and the end of a row, until all values are escaped.
#: No value contains NUL characters, so none looks like a placeholder.
_NULL, _NEXT, _END = "\0N", "\0,", "\0;"


def _escaped_copy_text(rows: Sequence[Row]) -> str:
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

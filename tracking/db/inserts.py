"""Many rows into one table, by the fastest way that the database has.

==========  ============================================================================
PostgreSQL  ``COPY`` in text format; ``INSERT`` for a single row, and with psycopg2
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

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from tracking import compat

Row = tuple[Any, ...]
T = TypeVar("T")

#: Rows from which COPY is faster than INSERT, in spite of its two more round trips: three
#: take 0.65 ms instead of 0.85, fifty 2.3 ms instead of 6.2.
MIN_ROWS_FOR_COPY = 2

#: Rows that are sent to COPY at once. While the server puts them into its indexes, the next
#: are spelled; that halves the time of a batch.
_ROWS_PER_COPY_WRITE = 100

#: Rows of one INSERT of many rows.
_MAX_ROWS_PER_STATEMENT = 500


def insert(
    model: type[Model],
    attributes: Sequence[str],
    things: Sequence[T],
    row_of: Callable[[T], Row],
    using: str,
    *,
    savepoint: bool = True,
) -> None:
    """Insert a row for each of many things, all of them or none.

    Args:
        model: whose table it is.
        attributes: the names of the columns, as attributes of the model.
        things: what becomes rows; not empty.
        row_of: returns the values of the columns for one of them, in the spelling of the
            database (:func:`tracking.db.parameters.converters_for`), without NUL in any
            text. It must not ask the same database, which may be amid a COPY.
        using: the alias of the database.
        savepoint: whether a failure leaves the transaction of the caller, if there is one,
            as good as new.

    Raises:
        django.db.IntegrityError: a row is there already, or is refused.
        django.db.DatabaseError: what else the database refuses.
    """
    connection = connections[using]
    if connection.vendor == "postgresql" and len(things) >= MIN_ROWS_FOR_COPY and compat.has_copy():
        table = _table_with_columns(connection, model, attributes)
        with transaction.atomic(using=using, savepoint=savepoint):
            _copy_rows(connection, table, map(row_of, things))
        return
    # Spelled before the transaction begins, which on SQLite nobody else can write beside.
    rows = [row_of(thing) for thing in things]
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
    statement = f"INSERT INTO {table} VALUES {_placeholders(rows[0])}"  # noqa: S608 - names of the model's own
    with connection.cursor() as cursor:
        if len(rows) == 1:
            cursor.execute(statement, rows[0])
        else:
            cursor.executemany(statement, rows)


def _insert_multi_row(connection: BaseDatabaseWrapper, table: str, rows: Sequence[Row]) -> None:
    placeholders = _placeholders(rows[0])
    limit = connection.features.max_query_params
    size = min(limit // len(rows[0]), _MAX_ROWS_PER_STATEMENT) if limit else _MAX_ROWS_PER_STATEMENT
    with connection.cursor() as cursor:
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            values = ", ".join([placeholders] * len(some))
            sql = f"INSERT INTO {table} VALUES {values}"  # noqa: S608 - likewise
            cursor.execute(sql, list(chain.from_iterable(some)))


def _placeholders(row: Row) -> str:
    return f"({', '.join(['%s'] * len(row))})"


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
    """Return whether no value has any of the characters that have a meaning.

    To count them is much cheaper than to escape what hardly ever has any.
    """
    return (
        text.count("\n") == len(rows)
        and text.count("\t") == len(rows) * (len(rows[0]) - 1)
        and text.count("\\") == sum(row.count(None) for row in rows)
        and "\r" not in text
    )


#: What stands for NULL, between two values and between two rows until all is escaped. No
#: text has a NUL, so that none can be taken for one of them.
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

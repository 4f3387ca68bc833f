"""Insert rows, or update those with the same key, in few statements.

Values are converted by :mod:`.parameters`. Django's compiler takes several times as long for a
row as the database does.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import chain
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, NamedTuple, Self, TypeAlias

import msgspec
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from tracking.db.chunks import in_batches
from tracking.db.inserts import placeholders, rows_per_statement
from tracking.db.parameters import LEAVE_TO_DJANGO, converters_for

Field: TypeAlias = "models.Field[Any, Any]"


class SqlDialect(NamedTuple):
    """The names of a table and its columns in an upsert of one database.

    Attributes:
        table: the table, quoted.
        quote: quotes the name of a column.
        is_mysql: whether the database is MySQL or MariaDB.
    """

    table: str
    quote: Callable[[str], str]
    is_mysql: bool

    @classmethod
    def of(cls, model: type[models.Model], connection: BaseDatabaseWrapper) -> Self:
        """Return the dialect for the table of a model."""
        quote = connection.ops.quote_name
        return cls(quote(model._meta.db_table), quote, connection.vendor == "mysql")

    def existing(self, column: str) -> str:
        """Return the SQL for the value of the row that exists."""
        return f"{self.table}.{self.quote(column)}"

    def incoming(self, column: str) -> str:
        """Return the SQL for the value that was to be inserted."""
        return (
            f"VALUES({self.quote(column)})" if self.is_mysql else f"excluded.{self.quote(column)}"
        )

    def overwrite(self, column: str) -> str:
        """Return the assignment that overwrites the existing value with the incoming one."""
        return f"{self.quote(column)} = {self.incoming(column)}"


class PlainRow(SimpleNamespace):
    """A row with the attributes of a model, made ten times as fast as an instance of it."""

    @classmethod
    def new(cls, model: type[models.Model], **values: Any) -> Self:
        """Return a new row; attributes not given have the default of their field.

        Args:
            model: its model. Fields with a callable default, such as keys, must be given.
            values: values by attribute (``user_id``, not ``user``).
        """
        return cls(**{**_defaults(model), **values})

    @classmethod
    def read(cls, rows: models.QuerySet[Any], *attributes: str) -> Iterator[Self]:
        """Yield rows from the database.

        Args:
            rows: the rows.
            attributes: the attributes to read.
        """
        return (cls(**values) for values in rows.values(*attributes))


@cache
def _defaults(model: type[models.Model]) -> dict[str, Any]:
    fields = model._meta.concrete_fields
    return {
        field.attname: field.get_default()
        for field in fields
        if not (field.has_default() and callable(field.default))
    }


def column_attributes(model: type[models.Model]) -> list[str]:
    """Return the attribute names of all columns of a model."""
    return [field.attname for field in model._meta.concrete_fields]


def upsert(
    model: type[models.Model],
    rows: Sequence[PlainRow],
    key: str,
    assignments: Callable[[SqlDialect], Sequence[str]],
    using: str,
    parameters: Sequence[Any] = (),
) -> None:
    """Insert rows, or update those with the same key.

    The rows stay locked until the transaction ends (on SQLite, the whole database).

    Args:
        model: the model of the rows.
        rows: the rows, each key once.
        key: a column with a unique index.
        assignments: returns the assignments for a row that exists. MySQL evaluates them from
            left to right, each with the values that those before have set. Called once for
            each database: the statement is kept.
        using: the alias of the database.
        parameters: the values for ``%s`` in the assignments.

    Raises:
        django.db.DatabaseError: the database refuses.
    """
    if not rows:
        return
    connection = connections[using]
    statement = _Statement.of(model, key, assignments, connection)
    _execute(connection, statement, _converted_rows(rows, model, connection), parameters)


def on_conflict(sql: SqlDialect, key: str, assignments: Sequence[str]) -> str:
    """Return the SQL that updates the row with the same key instead of inserting one.

    Args:
        sql: the dialect of the database.
        key: a column with a unique index.
        assignments: the assignments for a row that exists.
    """
    conflict = f"CONFLICT ({sql.quote(key)}) DO UPDATE SET"
    if sql.is_mysql:
        conflict = "DUPLICATE KEY UPDATE"
    return f" ON {conflict} {', '.join(assignments)}"


class _Statement(NamedTuple):
    """An upsert without its values. All names in it come from the model.

    Attributes:
        table: the table, quoted.
        columns: the names of the columns, unquoted.
        quoted: the names of the columns, quoted.
        after: the SQL after the values.
    """

    table: str
    columns: Sequence[str]
    quoted: str
    after: str

    @classmethod
    def of(
        cls,
        model: type[models.Model],
        key: str,
        assignments: Callable[[SqlDialect], Sequence[str]],
        connection: BaseDatabaseWrapper,
    ) -> "_Statement":
        """Return the statement for a model, which is built once."""
        built = (model, model._meta.db_table, key, assignments, connection.vendor)
        if built not in _built:
            sql = SqlDialect.of(model, connection)
            columns = [str(field.column) for field in _fields(model)]
            quoted = ", ".join(map(sql.quote, columns))
            after = on_conflict(sql, key, assignments(sql))
            _built[built] = cls(sql.table, columns, quoted, after)
        return _built[built]

    def with_placeholders(self, number: int) -> str:
        """Return the SQL for ``number`` rows, with a parameter for each value."""
        values = placeholders(len(self.columns), number)
        return f"INSERT INTO {self.table} ({self.quoted}) VALUES {values}{self.after}"  # noqa: S608

    def from_json(self) -> str:
        """Return the SQL for any number of rows as one JSON parameter; for PostgreSQL."""
        rows = f"json_populate_recordset(NULL::{self.table}, %s::json)"
        return (
            f"INSERT INTO {self.table} ({self.quoted}) "  # noqa: S608
            f"SELECT {self.quoted} FROM {rows}{self.after}"
        )


#: The statements by all that they depend on.
_built: dict[tuple[object, ...], _Statement] = {}


@cache
def _fields(model: type[models.Model]) -> Sequence[Field]:
    """Return the fields whose values are given."""
    return [f for f in model._meta.local_concrete_fields if not isinstance(f, models.AutoField)]


def _execute(
    connection: BaseDatabaseWrapper,
    statement: _Statement,
    values: Sequence[list[Any]],
    parameters: Sequence[Any],
) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite" and len(values) > 1:  # parsed once, run for each row
            # The debug toolbar fails at executemany on SQLite, but a request writes single rows.
            sql = statement.with_placeholders(1)
            cursor.executemany(sql, [[*row, *parameters] for row in values])
            return
        if connection.vendor == "postgresql" and (rows := _rows_as_json(statement.columns, values)):
            cursor.execute(statement.from_json(), [rows, *parameters])
            return
        for batch in in_batches(values, rows_per_statement(connection, len(statement.columns))):
            sql = statement.with_placeholders(len(batch))
            cursor.execute(sql, [*chain.from_iterable(batch), *parameters])


_encode = msgspec.json.Encoder().encode


def _rows_as_json(columns: Sequence[str], values: Sequence[list[Any]]) -> str:
    """Return rows as one JSON text; the driver takes far longer for a parameter per value.

    Returns:
        The text; ``""`` if a value, such as the key of a user, has no JSON form.
    """
    try:
        return _encode([dict(zip(columns, row, strict=True)) for row in values]).decode()
    except (TypeError, ValueError):
        return ""


def _converted_rows(
    rows: Sequence[PlainRow], model: type[models.Model], connection: BaseDatabaseWrapper
) -> list[list[Any]]:
    """Return the values of the fields of all rows, converted for the database."""
    converters = converters_for(connection)
    if converters is LEAVE_TO_DJANGO:
        kinds = [(position, field, "") for position, field in enumerate(_fields(model))]
    else:
        kinds = _kinds(model)
    conversions = [
        (
            position,
            getattr(converters, kind)
            if kind
            else partial(field.get_db_prep_save, connection=connection),
        )
        for position, field, kind in kinds
    ]
    all_values = attrgetter(*(field.attname for field in _fields(model)))
    found = []
    for row in rows:
        values = list(all_values(row))
        for position, convert in conversions:
            if (value := values[position]) is not None:
                values[position] = convert(value)
        found.append(values)
    return found


@cache
def _kinds(model: type[models.Model]) -> list[tuple[int, Field, str]]:
    """Return the fields whose values need converting, with their positions.

    Each has the name of its converter in ``ParameterConverters``; ``""`` if its own method
    converts it.
    """
    found = []
    for position, field in enumerate(_fields(model)):
        pointed_to = field.target_field if isinstance(field, models.ForeignKey) else field
        if not isinstance(pointed_to, _PLAIN):
            kind = next((name for cls, name in _CONVERTERS if isinstance(pointed_to, cls)), "")
            found.append((position, field, kind))
    return found


_PLAIN = (models.CharField, models.TextField, models.IntegerField, models.BooleanField)

_CONVERTERS: Sequence[tuple[type[Field], str]] = (
    (models.DateTimeField, "time"),
    (models.GenericIPAddressField, "ip_address"),
    (models.FloatField, "number"),
    (models.UUIDField, "uuid"),
)

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
from tracking.db.parameters import LEAVE_TO_DJANGO, ParameterConverters, converters_for

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
) -> None:
    """Insert rows, or update those with the same key.

    The rows stay locked until the transaction ends (on SQLite, the whole database).

    Args:
        model: the model of the rows.
        rows: the rows, each key once.
        key: a column with a unique index.
        assignments: returns the assignments for a row that exists. MySQL evaluates them from
            left to right, each with the values that those before have set.
        using: the alias of the database.

    Raises:
        django.db.DatabaseError: the database refuses.
    """
    if not rows:
        return
    connection = connections[using]
    fields = [f for f in model._meta.local_concrete_fields if not isinstance(f, models.AutoField)]
    values = _converted_rows(rows, fields, connection)
    _execute(
        connection,
        _Statement.of(fields, key, assignments, SqlDialect.of(model, connection)),
        values,
    )


class _Statement(NamedTuple):
    """An upsert without its values. All names in it come from the model.

    Attributes:
        sql: the dialect of the database.
        columns: the names of the columns, unquoted.
        after: the SQL after the values.
    """

    sql: SqlDialect
    columns: Sequence[str]
    after: str

    @classmethod
    def of(
        cls,
        fields: Sequence[Field],
        key: str,
        assignments: Callable[[SqlDialect], Sequence[str]],
        sql: SqlDialect,
    ) -> Self:
        """Return the statement for fields of a model."""
        conflict = f"CONFLICT ({sql.quote(key)}) DO UPDATE SET"
        if sql.is_mysql:
            conflict = "DUPLICATE KEY UPDATE"
        after = f" ON {conflict} {', '.join(assignments(sql))}"
        return cls(sql, [str(field.column) for field in fields], after)

    @property
    def quoted(self) -> str:
        """The names of the columns, quoted."""
        return ", ".join(map(self.sql.quote, self.columns))

    def with_placeholders(self, number: int) -> str:
        """Return the SQL for ``number`` rows, with a parameter for each value."""
        values = placeholders(len(self.columns), number)
        return f"INSERT INTO {self.sql.table} ({self.quoted}) VALUES {values}{self.after}"  # noqa: S608

    def from_json(self) -> str:
        """Return the SQL for any number of rows as one JSON parameter; for PostgreSQL."""
        rows = f"json_populate_recordset(NULL::{self.sql.table}, %s::json)"
        return (
            f"INSERT INTO {self.sql.table} ({self.quoted}) "  # noqa: S608
            f"SELECT {self.quoted} FROM {rows}{self.after}"
        )


def _execute(
    connection: BaseDatabaseWrapper, statement: _Statement, values: Sequence[list[Any]]
) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite" and len(values) > 1:  # parsed once, run for each row
            # The debug toolbar fails at executemany on SQLite, but a request writes single rows.
            cursor.executemany(statement.with_placeholders(1), values)
            return
        if connection.vendor == "postgresql" and (rows := _rows_as_json(statement.columns, values)):
            cursor.execute(statement.from_json(), [rows])
            return
        for batch in in_batches(values, rows_per_statement(connection, len(statement.columns))):
            sql = statement.with_placeholders(len(batch))
            cursor.execute(sql, list(chain.from_iterable(batch)))


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
    rows: Sequence[PlainRow], fields: Sequence[Field], connection: BaseDatabaseWrapper
) -> list[list[Any]]:
    """Return the values of the fields of all rows, converted for the database."""
    converters = converters_for(connection)
    conversions = [
        (position, convert)
        for position, field in enumerate(fields)
        if (convert := _converter(field, converters, connection)) is not None
    ]
    all_values = attrgetter(*(field.attname for field in fields))
    found = []
    for row in rows:
        values = list(all_values(row))
        for position, convert in conversions:
            if (value := values[position]) is not None:
                values[position] = convert(value)
        found.append(values)
    return found


def _converter(
    field: Field, converters: ParameterConverters, connection: BaseDatabaseWrapper
) -> Callable[[Any], Any] | None:
    as_django_does = partial(field.get_db_prep_save, connection=connection)
    if converters is LEAVE_TO_DJANGO:
        return as_django_does
    pointed_to = field.target_field if isinstance(field, models.ForeignKey) else field
    for kind, convert in (
        (models.CharField | models.TextField | models.IntegerField | models.BooleanField, None),
        (models.DateTimeField, converters.time),
        (models.GenericIPAddressField, converters.ip_address),
        (models.FloatField, converters.number),
        (models.UUIDField, converters.uuid),
    ):
        if isinstance(pointed_to, kind):
            return convert
    return as_django_does

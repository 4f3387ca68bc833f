"""Rows that are inserted, or merged into those that have their keys, by few statements.

Values go to the database as :mod:`.converters` has them, and not through Django's compiler,
which takes several times as long for a row as the database does.
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

from tracking.db.parameters import LEAVE_TO_DJANGO, ParameterConverters, converters_for

#: Rows of one statement, where the database has no limit of its own.
MAX_ROWS_PER_STATEMENT = 500

Field: TypeAlias = "models.Field[Any, Any]"


class SqlDialect(NamedTuple):
    """How a statement calls what it merges.

    Attributes:
        table: the table, quoted.
        quote: quotes the name of a column.
        is_mysql: whether it is spelled for MySQL and MariaDB.
    """

    table: str
    quote: Callable[[str], str]
    is_mysql: bool

    @classmethod
    def of(cls, model: type[models.Model], connection: BaseDatabaseWrapper) -> Self:
        """Return the words for the table of a model."""
        quote = connection.ops.quote_name
        return cls(quote(model._meta.db_table), quote, connection.vendor == "mysql")

    def existing(self, column: str) -> str:
        """Return the value that the row has."""
        return f"{self.table}.{self.quote(column)}"

    def incoming(self, column: str) -> str:
        """Return the value that was to be inserted."""
        return (
            f"VALUES({self.quote(column)})" if self.is_mysql else f"excluded.{self.quote(column)}"
        )

    def overwrite(self, column: str) -> str:
        """Return the assignment by which the new value takes the place of the old one."""
        return f"{self.quote(column)} = {self.incoming(column)}"


class PlainRow(SimpleNamespace):
    """A row as a batch knows it: its values, by the attributes of the model.

    An instance of the model takes ten times as long to make.
    """

    @classmethod
    def of(cls, model: type[models.Model], **values: Any) -> Self:
        """Return a new row; what is not given has the default of its field.

        Args:
            model: its model. Defaults that are made for each row, such as keys, are to be given.
            values: by attribute, ``user_id`` and not ``user``.
        """
        return cls(**{**_defaults(model), **values})

    @classmethod
    def read(cls, rows: models.QuerySet[Any], *attributes: str) -> Iterator[Self]:
        """Yield rows of the database.

        Args:
            rows: which ones.
            attributes: what is read of them.
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
    """Return the attributes of all columns of a model."""
    return [field.attname for field in model._meta.concrete_fields]


def upsert(
    model: type[models.Model],
    rows: Sequence[PlainRow],
    key: str,
    assignments: Callable[[SqlDialect], Sequence[str]],
    using: str,
) -> None:
    """Insert rows, or merge them into those that have their keys.

    The rows stay locked until the transaction ends (on SQLite, the whole database does).

    Args:
        model: whose rows they are.
        rows: the rows, each key once.
        key: the column by which a row is known, with a unique index.
        assignments: returns the assignments for a row that is there. MySQL goes from left to right
            and compares with what it has just set.
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
    """What inserts or merges rows, apart from their values. Every name in it is the model's own.

    Attributes:
        sql: spells identifiers for the database.
        columns: the names of the columns, unquoted.
        after: what follows the values.
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
        """Return the statement for these fields."""
        conflict = f"CONFLICT ({sql.quote(key)}) DO UPDATE SET"
        if sql.is_mysql:
            conflict = "DUPLICATE KEY UPDATE"
        after = f" ON {conflict} {', '.join(assignments(sql))}"
        return cls(sql, [str(field.column) for field in fields], after)

    @property
    def quoted(self) -> str:
        """The names of the columns, as they stand in it."""
        return ", ".join(map(self.sql.quote, self.columns))

    def with_placeholders(self, number: int) -> str:
        """Return it for so many rows, each value of which is a parameter."""
        one = f"({', '.join(['%s'] * len(self.columns))})"
        marks = ", ".join([one] * number)
        return f"INSERT INTO {self.sql.table} ({self.quoted}) VALUES {marks}{self.after}"  # noqa: S608

    def from_json(self) -> str:
        """Return it for any number of rows, which are one parameter; on PostgreSQL."""
        rows = f"json_populate_recordset(NULL::{self.sql.table}, %s::json)"
        return (
            f"INSERT INTO {self.sql.table} ({self.quoted}) "  # noqa: S608
            f"SELECT {self.quoted} FROM {rows}{self.after}"
        )


def _execute(
    connection: BaseDatabaseWrapper, statement: _Statement, values: Sequence[list[Any]]
) -> None:
    number = len(statement.columns)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":  # parsed once, and run for each row
            cursor.executemany(statement.with_placeholders(1), values)
            return
        if connection.vendor == "postgresql" and (rows := _rows_as_json(statement.columns, values)):
            cursor.execute(statement.from_json(), [rows])
            return
        limit = connection.features.max_query_params
        size = min(limit // number, MAX_ROWS_PER_STATEMENT) if limit else MAX_ROWS_PER_STATEMENT
        for start in range(0, len(values), size):
            some = values[start : start + size]
            cursor.execute(statement.with_placeholders(len(some)), list(chain.from_iterable(some)))


_encode = msgspec.json.Encoder().encode


def _rows_as_json(columns: Sequence[str], values: Sequence[list[Any]]) -> str:
    """Return rows as one text: each value as a parameter takes the driver far longer.

    Returns:
        The text; ``""`` if the key of a user is nothing that JSON can say.
    """
    try:
        return _encode([dict(zip(columns, row, strict=True)) for row in values]).decode()
    except (TypeError, ValueError):
        return ""


def _converted_rows(
    rows: Sequence[PlainRow], fields: Sequence[Field], connection: BaseDatabaseWrapper
) -> list[list[Any]]:
    """Return the values of the fields of all rows, as the database wants them."""
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
        (models.CharField | models.TextField | models.IntegerField, None),
        (models.DateTimeField, converters.time),
        (models.GenericIPAddressField, converters.ip_address),
        (models.FloatField, converters.number),
        (models.UUIDField, converters.uuid),
    ):
        if isinstance(pointed_to, kind):
            return convert
    return as_django_does

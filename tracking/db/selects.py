"""Run a SELECT of our own, and convert its values as Django's fields do.

It is for short statements that are run for each report: Django's compiler takes longer for them
than the database.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from django.db import connections, models

Field: TypeAlias = "models.Field[Any, Any]"


def select(
    sql: str, parameters: Sequence[Any], fields: "Sequence[Field | None]", using: str
) -> list[list[Any]]:
    """Return the rows of a statement.

    Args:
        sql: the statement.
        parameters: its parameters, converted for the database.
        fields: for each column the model field whose values it has, or ``None`` for plain texts
            and numbers.
        using: the database alias.

    Raises:
        django.db.DatabaseError: the query failed.
    """
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows = [list(row) for row in cursor.fetchall()]
    for column, field in enumerate(fields):
        if field is None:
            continue
        expression = field.cached_col
        for convert in (
            *connection.ops.get_db_converters(expression),
            *expression.get_db_converters(connection),
        ):
            for row in rows:
                row[column] = convert(row[column], expression, connection)
    return rows

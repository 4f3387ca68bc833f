"""Writing many visitors by one statement, with counters that no concurrent writer loses."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tracking.models import Visitor
from tracking.models.observed import Observed

#: What a browser shows of itself, and what is concluded from it.
SHOWN = ("ip_address", "user_agent", *(field.name for field in Observed._meta.local_fields))

#: What the latest page says, whichever of two writers comes last.
_LATEST = ("url", *SHOWN)

_FIELDS = [field for field in Visitor._meta.local_concrete_fields if not field.primary_key]

#: Rows of one statement, where the database has no limit of its own.
_BATCH = 500


def upsert(rows: Sequence[Visitor], using: str) -> None:
    """Insert visitors, or add what they have seen to those that have their keys.

    The rows stay locked until the transaction ends (on SQLite, the whole database does).

    Args:
        rows: unsaved visitors, each key once; ``page_views`` is what is added.
        using: the alias of the database.
    """
    connection = connections[using]
    limit = connection.features.max_query_params
    size = min(limit // len(_FIELDS), _BATCH) if limit else _BATCH
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        values = [value for row in batch for value in _values(row, connection)]
        with connection.cursor() as cursor:
            cursor.execute(_statement(connection, len(batch)), values)


def stored(keys: Sequence[str], using: str) -> dict[str, Visitor]:
    """Return the rows of visitors, by key, with what is needed to bring them up to date."""
    found: dict[str, Visitor] = {}
    columns = (
        *("key", "user_id", "user_known_at", "logged_in_at"),
        *("session_key", "referrer", "session_start", "last_update"),
    )
    for start in range(0, len(keys), _BATCH):
        # A locking read sees what was committed while this transaction was waiting, whatever
        # its isolation level.
        rows = Visitor.objects.using(using).select_for_update().only(*columns)
        found |= {row.key: row for row in rows.filter(key__in=keys[start : start + _BATCH])}
    return found


def _values(row: Visitor, connection: BaseDatabaseWrapper) -> Iterator[Any]:
    for field in _FIELDS:
        yield field.get_db_prep_save(getattr(row, field.attname), connection)


def _statement(connection: BaseDatabaseWrapper, rows: int) -> str:
    quote = connection.ops.quote_name
    table = quote(Visitor._meta.db_table)
    columns = ", ".join(quote(str(field.column)) for field in _FIELDS)
    placeholders = f"({', '.join(['%s'] * len(_FIELDS))})"
    values = ", ".join([placeholders] * rows)
    mysql = connection.vendor == "mysql"
    on_conflict = (
        "ON DUPLICATE KEY UPDATE" if mysql else f"ON CONFLICT ({quote('key')}) DO UPDATE SET"
    )

    def new(column: str) -> str:
        return f"VALUES({quote(column)})" if mysql else f"excluded.{quote(column)}"

    def old(column: str) -> str:
        return f"{table}.{quote(column)}"

    is_later = f"{new('last_update')} >= {old('last_update')}"

    def chosen(column: str, condition: str) -> str:
        return f"{quote(column)} = CASE WHEN {condition} THEN {new(column)} ELSE {old(column)} END"

    # MySQL goes from left to right and compares with what it has just set: last_update is last.
    updates = [
        f"{quote('page_views')} = {old('page_views')} + {new('page_views')}",
        chosen(
            "user_known_at",
            f"{old('user_known_at')} IS NULL OR {new('user_known_at')} > {old('user_known_at')}",
        ),
        *(chosen(column, is_later) for column in _LATEST),
        chosen("last_update", is_later),
    ]
    # Every name in it is one of the model's own.
    return f"INSERT INTO {table} ({columns}) VALUES {values} {on_conflict} {', '.join(updates)}"  # noqa: S608

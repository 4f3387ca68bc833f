"""Texts that differ are different: the collation of our columns on MariaDB and MySQL.

Their usual collations ignore case, accents and trailing spaces, and some take every emoji for the
same; PostgreSQL and SQLite compare letter by letter. So a migration gives all texts of our tables
a binary collation, and the tables, too, which columns added later inherit.

Lookups that ignore case would not do so with that collation: :func:`ignore_case_in_lookups`.
"""

from collections.abc import Iterator
from typing import Any

from django.db import router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import CharField, ForeignKey, Model, TextField, lookups

#: Binary collations, best first: those of MariaDB and of MySQL 8.0.17 that do not ignore trailing
#: spaces, and that of all versions, which does.
_EXACT = ("utf8mb4_nopad_bin", "utf8mb4_0900_bin", "utf8mb4_bin")

#: The collation of lookups that ignore case. Unlike ``utf8mb4_general_ci`` it knows emoji.
_IGNORING_CASE = "utf8mb4_unicode_520_ci"


def exact_collation(connection: BaseDatabaseWrapper) -> str:
    """Return the collation that compares letter by letter, on MariaDB or MySQL.

    Args:
        connection: the connection to the database.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT collation_name FROM information_schema.collations")
        known = {name for (name,) in cursor.fetchall()}
    return next(name for name in _EXACT if name in known)


def set_collation(editor: BaseDatabaseSchemaEditor, model: type[Model], collation: str) -> None:
    """Set the collation of a table of MariaDB or MySQL and of its texts, in one statement.

    Keys of rows of the site's own models keep theirs, with which they are joined.

    Args:
        editor: the schema editor of a migration.
        model: the model of the table, as of that migration.
        collation: the name of the collation; its character set becomes that of the texts.
    """
    if not router.allow_migrate_model(editor.connection.alias, model):
        return
    suffix = f"CHARACTER SET {collation.partition('_')[0]} COLLATE {collation}"
    changes = []
    parameters: list[Any] = []
    for field in _texts(model):
        column = f"{editor.quote_name(field.column)} {field.db_type(editor.connection)} {suffix}"
        column += " NULL" if field.null else " NOT NULL"
        if field.has_db_default():
            default, values = editor.db_default_sql(field)
            column += f" DEFAULT {default}"
            parameters += values
        changes.append(f"MODIFY {column}")
    table = editor.quote_name(model._meta.db_table)
    editor.execute(f"ALTER TABLE {table} {', '.join([*changes, suffix])}", parameters)


def _texts(model: type[Model]) -> Iterator[Any]:
    """Yield the fields of a model that are texts, and the keys of our own rows that are."""
    for field in model._meta.local_concrete_fields:
        target: Any = field
        if isinstance(field, ForeignKey):
            target = field.target_field
        is_ours = target.model._meta.app_label == model._meta.app_label
        if is_ours and isinstance(target, CharField | TextField):
            yield field


class _IgnoreCase:
    """Compares with a collation that ignores case; the column's own does not."""

    def process_lhs(self, compiler: Any, connection: BaseDatabaseWrapper, lhs: Any = None) -> Any:
        sql, parameters = super().process_lhs(compiler, connection, lhs)  # type: ignore[misc]
        if connection.vendor == "mysql":
            sql = f"{sql} COLLATE {_IGNORING_CASE}"
        return sql, parameters


_LOOKUPS = [
    type(lookup.__name__, (_IgnoreCase, lookup), {})
    for lookup in (
        lookups.IExact,
        lookups.IContains,
        lookups.IStartsWith,
        lookups.IEndsWith,
        lookups.IRegex,
    )
]


def ignore_case_in_lookups(model: type[Model]) -> None:
    """Let ``icontains`` and its like ignore case in the texts of a model, as everywhere else.

    Args:
        model: a model whose texts have the exact collation.
    """
    for field in _texts(model):
        if not isinstance(field, ForeignKey):
            for lookup in _LOOKUPS:
                field.register_lookup(lookup)

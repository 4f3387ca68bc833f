"""The tables of the app as a database has them: columns, indexes and constraints by name.

``python -m tests.support.schema 0001_initial`` prints those of a new database as JSON.
"""

import json
import sys
from typing import Any

import django
from django.core.management import call_command
from django.db import connection

TABLES = "tracking\\_%"

#: Per vendor: what is described, and the query for it. The first column is the table.
QUERIES = {
    "sqlite": {
        "columns": """
            SELECT m.name, c.name, c.type, c."notnull", c.dflt_value, c.pk
            FROM sqlite_master m, pragma_table_info(m.name) c
            WHERE m.type = 'table' AND m.name LIKE %s ESCAPE '\\'""",
        "indexes": """
            SELECT tbl_name, name, sql FROM sqlite_master
            WHERE type = 'index' AND sql IS NOT NULL AND tbl_name LIKE %s ESCAPE '\\'""",
        "foreign keys": """
            SELECT m.name, f."from", f."table", f."to"
            FROM sqlite_master m, pragma_foreign_key_list(m.name) f
            WHERE m.type = 'table' AND m.name LIKE %s ESCAPE '\\'""",
        "unique": """
            SELECT m.name, i.origin, (SELECT group_concat(x.name) FROM pragma_index_info(i.name) x)
            FROM sqlite_master m, pragma_index_list(m.name) i
            WHERE m.type = 'table' AND i."unique" AND m.name LIKE %s ESCAPE '\\'""",
    },
    "postgresql": {
        "columns": """
            SELECT table_name, column_name, udt_name, character_maximum_length, is_nullable,
                column_default, is_identity
            FROM information_schema.columns
            WHERE table_schema = 'public' AND table_name LIKE %s""",
        "indexes": """
            SELECT tablename, indexname, indexdef FROM pg_indexes
            WHERE schemaname = 'public' AND tablename LIKE %s""",
        "constraints": """
            SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
            WHERE conrelid::regclass::text LIKE %s""",
    },
    "mysql": {
        "columns": """
            SELECT table_name, column_name, column_type, is_nullable, collation_name, extra
            FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name LIKE %s""",
        "indexes": """
            SELECT table_name, index_name, seq_in_index, column_name, sub_part, non_unique
            FROM information_schema.statistics
            WHERE table_schema = DATABASE() AND table_name LIKE %s""",
        "foreign keys": """
            SELECT table_name, constraint_name, column_name, referenced_table_name,
                referenced_column_name
            FROM information_schema.key_column_usage
            WHERE table_schema = DATABASE() AND referenced_table_name IS NOT NULL
                AND table_name LIKE %s""",
    },
}


def described() -> dict[str, list[list[Any]]]:
    """Return columns, indexes and constraints of the app's tables, sorted."""
    found = {}
    with connection.cursor() as cursor:
        for what, query in QUERIES[connection.vendor].items():
            cursor.execute(query, [TABLES])
            found[what] = sorted((list(row) for row in cursor.fetchall()), key=repr)
    return found


def main(migration: str | None = None) -> None:
    """Make a new database, print its tables as one migration of the app made them, and drop it."""
    django.setup()
    name = connection.creation.create_test_db(verbosity=0, autoclobber=True)
    if migration:
        call_command("migrate", "tracking", migration, verbosity=0)
    sys.stdout.write(json.dumps(described(), indent=1))
    connection.creation.destroy_test_db(name, verbosity=0)


if __name__ == "__main__":
    main(*sys.argv[1:])

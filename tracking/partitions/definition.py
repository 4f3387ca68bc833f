"""Constraints, indexes and permissions of a table, to be given to a table that replaces it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from tracking.partitions.catalog import execute, fetch_all, quote_name, table_owner


class Definition(NamedTuple):
    """What a table has besides its columns and rows, as SQL that recreates it.

    Attributes:
        constraints: names and definitions of the constraints (primary key, foreign keys, ...).
        indexes: the ``CREATE INDEX`` statements of indexes without a constraint.
        index_names: oids and names of all indexes.
        owner: the owner, quoted.
        grants: the ``GRANT`` statements for other roles.
        referring: foreign keys of other tables to this one: table, name, definition.
    """

    constraints: Sequence[tuple[str, str]]
    indexes: Sequence[str]
    index_names: Sequence[tuple[int, str]]
    owner: str
    grants: Sequence[str]
    referring: Sequence[tuple[str, str, str]]

    @classmethod
    def of(cls, connection: BaseDatabaseWrapper, table: str) -> "Definition":
        """Return the definition of a table, which the caller must have locked."""
        name = [quote_name(connection, table)]
        return cls(
            constraints=[(name, text) for name, text in fetch_all(connection, _CONSTRAINTS, name)],
            indexes=[text for (text,) in fetch_all(connection, _INDEXES, name)],
            index_names=[(oid, index) for oid, index in fetch_all(connection, _INDEX_NAMES, name)],
            owner=table_owner(connection, table),
            grants=[text for (text,) in fetch_all(connection, _GRANTS, [*name, *name])],
            referring=[(a, b, c) for a, b, c in fetch_all(connection, _REFERRING, name)],
        )

    def without_constraint(self, name: str) -> "Definition":
        """Return a copy without the constraint of this name."""
        return self._replace(constraints=[each for each in self.constraints if each[0] != name])

    def release_names(self, connection: BaseDatabaseWrapper) -> None:
        """Rename the indexes, and drop foreign keys to the table, so that both can be recreated."""
        execute(
            connection,
            *(
                f"ALTER TABLE {table} DROP CONSTRAINT {quote_name(connection, name)}"
                for table, name, _ in self.referring
            ),
            *(
                # Names have at most 63 bytes; the oid keeps truncated ones apart.
                f"ALTER INDEX {quote_name(connection, name)} "
                f"RENAME TO {quote_name(connection, f'{name[:50]}_{oid}')}"
                for oid, name in self.index_names
            ),
        )

    def apply(self, connection: BaseDatabaseWrapper, table: str) -> None:
        """Recreate everything on the table that has this name now."""
        execute(connection, *self._statements(connection, table))

    def _statements(self, connection: BaseDatabaseWrapper, table: str) -> Iterator[str]:
        target = quote_name(connection, table)
        for name, text in self.constraints:
            yield f"ALTER TABLE {target} ADD CONSTRAINT {quote_name(connection, name)} {text}"
        yield from self.indexes
        yield f"ALTER TABLE {target} OWNER TO {self.owner}"
        yield from self.grants
        for other, name, text in self.referring:
            yield f"ALTER TABLE {other} ADD CONSTRAINT {quote_name(connection, name)} {text}"


def obstacles(connection: BaseDatabaseWrapper, table: str) -> list[str]:
    """Return what else depends on a table and cannot be recreated, in a few words each."""
    name = quote_name(connection, table)
    return [text for (text,) in fetch_all(connection, _OBSTACLES, [name] * 7)]


# The primary key first, as foreign keys of other tables need it.
_CONSTRAINTS = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = to_regclass(%s) AND contype IN ('p', 'u', 'c', 'f', 'x')
ORDER BY contype <> 'p', conname
"""

_INDEXES = """
SELECT pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid = to_regclass(%s)
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND conrelid = indrelid)
ORDER BY indexrelid
"""

_INDEX_NAMES = """
SELECT indexrelid, relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indrelid = to_regclass(%s)
"""

_GRANTS = """
SELECT format('GRANT %%s ON %%s TO %%s%%s', privilege_type, to_regclass(%s),
              CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
              CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_class, aclexplode(relacl)
WHERE pg_class.oid = to_regclass(%s) AND grantee <> relowner
"""

_REFERRING = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE confrelid = to_regclass(%s) AND contype = 'f' AND conparentid = 0
"""

_OBSTACLES = """
SELECT format('the view %%s', ev_class::regclass)
FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = objid
WHERE classid = 'pg_rewrite'::regclass AND refobjid = to_regclass(%s) AND ev_class <> refobjid
UNION SELECT format('the rule %%s', rulename) FROM pg_rewrite
WHERE ev_class = to_regclass(%s)
UNION SELECT format('the trigger %%s', tgname) FROM pg_trigger
WHERE tgrelid = to_regclass(%s) AND NOT tgisinternal
UNION SELECT format('the policy %%s', polname) FROM pg_policy WHERE polrelid = to_regclass(%s)
UNION SELECT format('the publication %%s', pubname)
FROM pg_publication_rel JOIN pg_publication ON pg_publication.oid = prpubid
WHERE prrelid = to_regclass(%s)
UNION SELECT format('permissions on the column %%s', attname) FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attacl IS NOT NULL
UNION SELECT format('the table %%s, which inherits from it', inhrelid::regclass) FROM pg_inherits
WHERE inhparent = to_regclass(%s)
  AND NOT EXISTS (SELECT FROM pg_class WHERE oid = inhrelid AND relispartition)
ORDER BY 1
"""

"""Keys of the site's rows in SQL: as columns of the site, and as the texts that beacons have.

Beacons keep keys of any type as text, as ``str(row.pk)`` writes them. A database compares texts
with numbers slowly, or not at all, or takes ``"7b"`` for 7. The expressions here turn one into the
other, exactly, and so that the index of the other side can be used.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ImproperlyConfigured
from django.db import models, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Func, Lookup, TextField
from django.db.models.expressions import Combinable

from tracking.models import Beacon
from tracking.models.fields import content_types_for

#: What a compiler returns.
Sql = tuple[str, tuple[Any, ...]]

INTEGER, UUID = "integer", "uuid"

# Whole numbers without leading zeros, of 64 bits; {x} is the column.
_WHOLE = "(0|-?[1-9][0-9]{0,18})"
_LARGEST = "'9223372036854775807'"
_HYPHENATED = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"

#: Text to key, by kind of key and database. ``CASE`` keeps databases from casting other texts.
_TO_KEY: Mapping[tuple[str, str], str] = {
    (INTEGER, "sqlite"): (
        "CASE WHEN CAST(CAST({x} AS INTEGER) AS TEXT) = {x} THEN CAST({x} AS INTEGER) END"
    ),
    (INTEGER, "postgresql"): (
        f"CASE WHEN {{x}} ~ '^{_WHOLE}$' AND (length(ltrim({{x}}, '-')) < 19"
        f" OR ltrim({{x}}, '-') COLLATE \"C\" <= {_LARGEST}) THEN {{x}}::bigint END"
    ),
    # "$" would match before a line break at the end, too.
    (INTEGER, "mysql"): (
        f"CASE WHEN {{x}} REGEXP '(?s)^{_WHOLE}(?!.)'"
        f" AND (CHAR_LENGTH(TRIM(LEADING '-' FROM {{x}})) < 19"
        f" OR TRIM(LEADING '-' FROM {{x}}) <= {_LARGEST}) THEN CAST({{x}} AS SIGNED) END"
    ),
    (UUID, "sqlite"): "REPLACE({x}, '-', '')",
    (UUID, "postgresql"): f"CASE WHEN {{x}} ~ '^{_HYPHENATED}$' THEN {{x}}::uuid END",
    (UUID, "mysql"): "REPLACE({x}, '-', '')",
    (
        UUID,
        "mariadb",
    ): f"CASE WHEN {{x}} REGEXP '(?s)^{_HYPHENATED}(?!.)' THEN CAST({{x}} AS UUID) END",
}

#: Key to text.
_TO_TEXT: Mapping[tuple[str, str], str] = {
    (INTEGER, "sqlite"): "CAST({x} AS TEXT)",
    (INTEGER, "postgresql"): "({x})::text",
    (INTEGER, "mysql"): "CAST({x} AS CHAR)",
    (UUID, "sqlite"): (
        "(substr({x}, 1, 8) || '-' || substr({x}, 9, 4) || '-' || substr({x}, 13, 4) || '-'"
        " || substr({x}, 17, 4) || '-' || substr({x}, 21))"
    ),
    (UUID, "postgresql"): "({x})::text",
    (UUID, "mysql"): (
        "CONCAT_WS('-', SUBSTR({x}, 1, 8), SUBSTR({x}, 9, 4), SUBSTR({x}, 13, 4),"
        " SUBSTR({x}, 17, 4), SUBSTR({x}, 21))"
    ),
    (UUID, "mariadb"): "CAST({x} AS CHAR)",
}


def key_field(model: type[models.Model]) -> Any:
    """Return the field whose values are the primary keys of a model.

    Args:
        model: the model; that of a parent for multi-table inheritance, or of a one-to-one key.

    Raises:
        TypeError: the key is no integer, UUID or text, so that databases do not know the text that
            Python makes of it.
    """
    field: Any = model._meta.pk
    while field.remote_field is not None:
        field = field.target_field
    known = (models.IntegerField, models.UUIDField, models.CharField, TextField)
    if not isinstance(field, known) or hasattr(field, "from_db_value"):
        raise TypeError(
            f"{model._meta.label} has a primary key of the type {type(field).__name__}; engagement "
            "can be asked of rows whose primary key is an integer, a UUID or a text."
        )
    return field


def same_rows(model: type[models.Model]) -> tuple[type[models.Model], ...]:
    """Return the models whose rows are rows of a model, too, with the same key.

    With multi-table inheritance a person who is an employee is a row in both tables, and a beacon
    may refer to either.

    Args:
        model: the model; a proxy stands for the model behind it.
    """
    root = _root(model)
    others = (each for each in apps.get_models() if not each._meta.proxy and _root(each) is root)
    return tuple(dict.fromkeys((_concrete(model), *others)))


def _root(model: type[models.Model]) -> type[models.Model]:
    concrete = _concrete(model)
    key: Any = concrete._meta.pk
    is_link = key.remote_field is not None and key.remote_field.parent_link
    return _root(key.remote_field.model) if is_link else concrete


def _concrete(model: type[models.Model]) -> type[models.Model]:
    return model._meta.concrete_model or model


class KeyOfEntity(Func):
    """The key of the row that is a beacon's entity, or ``NULL`` if no row can have it.

    Args:
        field: what :func:`key_field` returns.
    """

    def __init__(self, field: Any) -> None:
        super().__init__(F("entity_id"), output_field=field)

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper, **_: Any) -> Sql:  # type: ignore[override]
        """Return the SQL for one database."""
        column, parameters = compiler.compile(self.source_expressions[0])
        field: Any = self.output_field
        if template := _template(_TO_KEY, field, connection):
            return template.replace("{x}", column), tuple(parameters)
        if field.db_collation:  # compare as the site's column does, by whose index rows are found
            column = f"{column} COLLATE {connection.ops.quote_name(field.db_collation)}"
        return column, tuple(parameters)


class KeyAsText(Func):
    """A primary key as beacons write it.

    Args:
        key: the column of the key.
        field: what :func:`key_field` returns.
    """

    def __init__(self, key: Combinable, field: Any) -> None:
        super().__init__(key, output_field=TextField())
        self.key_field = field

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper, **_: Any) -> Sql:  # type: ignore[override]
        """Return the SQL for one database."""
        column, parameters = compiler.compile(self.source_expressions[0])
        if template := _template(_TO_TEXT, self.key_field, connection):
            return template.replace("{x}", column), tuple(parameters)
        if self.key_field.db_collation and connection.vendor == "postgresql":
            column = f'{column} COLLATE "default"'  # that of the index over entities
        return column, tuple(parameters)


def _template(templates: Mapping[Any, str], field: Any, connection: BaseDatabaseWrapper) -> str:
    """Return the SQL with ``{x}`` for the column, or ``""`` for keys that are texts already."""
    if isinstance(field, models.IntegerField):
        return templates[INTEGER, connection.vendor]
    if isinstance(field, models.UUIDField):
        is_mariadb = connection.vendor == "mysql" and connection.features.has_native_uuid_field
        return templates[UUID, "mariadb" if is_mariadb else connection.vendor]
    return ""


class RefersTo(Lookup):
    """Whether a beacon's source, entity or target is a row of one of some models.

    Ids of content types differ between databases, so they are looked up when the database is known.
    This is a lookup, and no function, because MySQL and MariaDB use no index for functions.

    Args:
        column: the column with the id of the content type.
        labels: the models, as in ``("shop.subscriber",)``.
    """

    lookup_name = "refers_to"
    prepare_rhs = False
    rhs: Sequence[str]

    def __init__(self, column: Any, labels: Sequence[str]) -> None:
        super().__init__(F(column) if isinstance(column, str) else column, tuple(labels))

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper, **_: Any) -> Sql:
        """Return the SQL for one database.

        Raises:
            ImproperlyConfigured: beacons are in another database.
        """
        if not router.allow_migrate_model(connection.alias, Beacon):
            raise ImproperlyConfigured(
                f"Beacons are not in the database {connection.alias!r}, and no database can join "
                "tables of another one. Read the keys of the recipients first: see "
                "docs/engagement.rst."
            )
        column, parameters = self.process_lhs(compiler, connection)
        ids = [kind.pk for kind in self._content_types(connection.alias)]
        places = ", ".join(["%s"] * len(ids))
        return f"{column} IN ({places})", (*parameters, *ids)

    def _content_types(self, using: str) -> Iterator[ContentType]:
        known = content_types_for(using)
        for label in self.rhs:
            yield known.get_for_model(apps.get_model(label))

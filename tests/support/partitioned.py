"""Partitioned tables."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from tracking import partitions
from tracking.hits import Hit, Kind, uuid7
from tracking.models import Beacon
from tracking.partitions import definition
from tracking.partitions.months import Month, months_between

on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="parts are for PostgreSQL"
)

#: When the fixture ``calendar`` begins.
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def convert_all(*, rewrite: bool = False) -> None:
    for model in partitions.TABLES.values():
        partitions.convert(model, connection.alias, rewrite=rewrite)


def undo_all() -> None:
    for model in partitions.TABLES.values():
        if partitions.layout(model, connection.alias).is_partitioned:
            partitions.undo(model, connection.alias)


def key_of(moment):
    """A key that is made at some moment."""
    random = uuid7().int & ((1 << 80) - 1)
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80 | random)


def hit_at(moment, **values):
    return Hit(kind=Kind.OPEN, id=key_of(moment), time=moment, **values)


def history():
    """A hit on the tenth of each of the twelve months before this one, and two of today."""
    months = list(months_between(Month(2025, 11), Month(2026, 10)))
    hits = [hit_at(month.start + timedelta(days=9)) for month in months]
    return [*hits, hit_at(NOW), hit_at(NOW)]


def rows_by_part(model=Beacon):
    name = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT tableoid::regclass::text, count(*) FROM {name} GROUP BY 1")
        found = dict(cursor.fetchall())
    prefix = f"{model._meta.db_table}_"
    return {part.removeprefix(prefix): number for part, number in found.items()}


def parts_of(model=Beacon):
    prefix = f"{model._meta.db_table}_"
    known = partitions.layout(model, "default").partitions
    return [part.name.removeprefix(prefix) for part in known]


def convert(**options):
    partitions.convert(Beacon, "default", **options)


def definition_of(model):
    found = definition.Definition.of(connection, model._meta.db_table)
    return found._replace(
        index_names=sorted(name for _, name in found.index_names), indexes=sorted(found.indexes)
    )

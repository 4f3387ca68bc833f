"""Tables in parts, for tests that do not ask how their tables are kept."""

from django.db import connection

from tracking import partitions


def convert_all(*, rewrite: bool = False) -> None:
    for model in partitions.TABLES.values():
        partitions.convert(model, connection.alias, rewrite=rewrite)


def undo_all() -> None:
    for model in partitions.TABLES.values():
        if partitions.layout(model, connection.alias).is_partitioned:
            partitions.undo(model, connection.alias)

"""Rows read in chunks, with a bounded number in memory."""

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

#: Rows that are fetched by one query.
CHUNK = 20_000


def in_chunks(rows: QuerySet[Any], *columns: str) -> Iterator[tuple[Any, ...]]:
    """Yield columns of all rows, a bounded number in memory at a time.

    Not ``QuerySet.iterator()``: its cursors fail behind a pooler such as PgBouncer.
    """
    ordered = rows.order_by("pk").values_list("pk", *columns)
    chunk = list(ordered[:CHUNK])
    while chunk:
        for row in chunk:
            yield row[1:]
        if len(chunk) < CHUNK:
            return
        chunk = list(ordered.filter(pk__gt=chunk[-1][0])[:CHUNK])

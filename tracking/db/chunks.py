"""Read many rows, and look up many keys, in chunks."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from django.db.models import QuerySet

T = TypeVar("T")

#: Rows that one query fetches.
CHUNK_SIZE = 20_000

#: Keys that one query looks up: SQLite allows 999 parameters.
KEYS_PER_QUERY = 500


def read_in_chunks(rows: QuerySet[Any], *columns: str) -> Iterator[tuple[Any, ...]]:
    """Yield these columns of all rows, holding at most ``CHUNK_SIZE`` rows in memory.

    Not ``QuerySet.iterator()``: its server-side cursors fail behind a pooler such as PgBouncer.

    Args:
        rows: the rows; they are read in the order of their primary keys.
        columns: names of fields, as for ``values_list``.
    """
    ordered = rows.order_by("pk").values_list("pk", *columns)
    chunk = list(ordered[:CHUNK_SIZE])
    while chunk:
        for row in chunk:
            yield row[1:]
        if len(chunk) < CHUNK_SIZE:
            return
        chunk = list(ordered.filter(pk__gt=chunk[-1][0])[:CHUNK_SIZE])


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of at most ``size``, like ``itertools.batched`` in Python 3.12."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch

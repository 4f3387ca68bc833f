"""Monthly partitions of large tables, on PostgreSQL.

    convert(Beacon)                                        # once, by hand
    add_future_partitions(Beacon)                          # daily
    drop_expired_partitions(Beacon, "time", cutoff)        # by the clean-up

A partition is a range of the primary key. The key is a UUID that begins with the millisecond
it was made in, so the ranges are months, and it remains the whole primary key: no hit can be
written twice, foreign keys to the table still work, and Django sees an ordinary table. Partitions
by the time column would need a key of two columns, which keeps neither of them unique.

If the time of a row and its key disagree (after an import of old opens with new keys, say), the
row is in the partition of its key. A partition is dropped only once all of its rows have expired.

===================  ===============================================================
:mod:`.months`       months, and the first key of each
:mod:`.naming`       names and key ranges of partitions
:mod:`.catalog`      what PostgreSQL says about a table and its partitions
:mod:`.definition`   constraints, indexes and permissions of a table to be replaced
:mod:`.conversion`   partition a table, and undo that
:mod:`.maintenance`  add partitions for future months, drop expired ones
:mod:`.locks`        lock a table without making others wait long
===================  ===============================================================
"""

from tracking.partitions.catalog import Layout, Partition, layout
from tracking.partitions.conversion import Plan, convert, plan, undo
from tracking.partitions.errors import TableBusy, UnsuitableTable
from tracking.partitions.maintenance import (
    MONTHS_AHEAD,
    TABLES,
    add_all_future_partitions,
    add_future_partitions,
    drop_expired_partitions,
    expired_partitions,
)

__all__ = [
    "MONTHS_AHEAD",
    "TABLES",
    "Layout",
    "Partition",
    "Plan",
    "TableBusy",
    "UnsuitableTable",
    "add_all_future_partitions",
    "add_future_partitions",
    "convert",
    "drop_expired_partitions",
    "expired_partitions",
    "layout",
    "plan",
    "undo",
]

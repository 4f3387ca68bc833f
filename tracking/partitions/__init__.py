"""Tables of PostgreSQL in parts, one for each month, for sites whose tables grow large.

    convert(Beacon)                     # once, by hand
    add_ahead(Beacon)                   # daily: the months that come
    drop_past(Beacon, "time", cutoff)   # whole months leave, by the clean-up

The parts are ranges of the primary key. It is a UUID that begins with the millisecond it was
made in, so that they are months, and it stays the whole primary key: no hit can be written
twice, foreign keys to the table go on working, and Django sees a table like any other. Parts by
the time itself would need a key of two columns, which is unique for neither.

A row whose time and key disagree (an import of old opens, say, with new keys) is in the part of
its key. Nothing is refused for that; a part leaves only if all of its rows are old.

==================  ================================================================
:mod:`.months`      months, and the keys that begin them
:mod:`.catalog`     what the database says of a table and its parts
:mod:`.definition`  all that hangs on a table, so that another can take its place
:mod:`.conversion`  a table is turned into parts, and back
:mod:`.upkeep`      parts are made ahead, and leave
:mod:`.locks`       waiting for a table without making others wait
==================  ================================================================
"""

from tracking.partitions.catalog import Layout, Partition, layout
from tracking.partitions.conversion import Plan, convert, plan, undo
from tracking.partitions.locks import Busy
from tracking.partitions.unsuitable import Unsuitable
from tracking.partitions.upkeep import AHEAD, TABLES, add_ahead, drop_past, keep_ahead, past

__all__ = [
    "AHEAD",
    "TABLES",
    "Busy",
    "Layout",
    "Partition",
    "Plan",
    "Unsuitable",
    "add_ahead",
    "convert",
    "drop_past",
    "keep_ahead",
    "layout",
    "past",
    "plan",
    "undo",
]

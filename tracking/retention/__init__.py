"""How long rows are kept, and deleting those that are older.

    clean_up()                  # all expired rows: the command, the Celery task
    delete_chunk(500)           # some of them: the middleware, once a minute
    grow_with_backlog(500)      # 500, or more where many rows are expired

=================  =====================================================================
:mod:`.limits`     how long each table keeps its rows
:mod:`.cleanup`    delete expired rows, in chunks
:mod:`.turns`      one process of the site at a time, once a minute
=================  =====================================================================
"""

from tracking.retention.cleanup import (
    CHUNK_SIZE,
    clean_up,
    delete_chunk,
    grow_with_backlog,
)
from tracking.retention.limits import TABLES, RetainedTable, setting_errors
from tracking.retention.turns import claim_turn, is_turn_due, reset_turn

__all__ = [
    "CHUNK_SIZE",
    "TABLES",
    "RetainedTable",
    "claim_turn",
    "clean_up",
    "delete_chunk",
    "grow_with_backlog",
    "is_turn_due",
    "reset_turn",
    "setting_errors",
]

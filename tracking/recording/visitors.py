"""Writing many visitors by one statement, with counters that no concurrent writer loses."""

from collections.abc import Sequence

from tracking.db import upserts
from tracking.db.upserts import PlainRow, SqlDialect
from tracking.models import Visitor
from tracking.models.base import EnrichmentColumns

#: What a browser shows of itself, and what is concluded from it.
SHOWN = (
    "ip_address",
    "user_agent",
    *(field.name for field in EnrichmentColumns._meta.local_fields),
)

#: What the latest page says, whichever of two writers comes last.
_LATEST = ("url", *SHOWN)

#: Keys that are looked for at once.
_BATCH = 500


def upsert(rows: Sequence[PlainRow], using: str) -> None:
    """Insert visitors, or add what they have seen to those that have their keys.

    Args:
        rows: the visitors, each key once; ``page_views`` is what is added.
        using: the alias of the database.
    """
    upserts.upsert(Visitor, rows, "key", _assignments, using)


def stored(keys: Sequence[str], using: str) -> dict[str, PlainRow]:
    """Return the rows of visitors, by key, with what is needed to bring them up to date."""
    found: dict[str, PlainRow] = {}
    columns = (
        *("id", "key", "user_id", "user_known_at", "logged_in_at"),
        *("session_key", "referrer", "session_start", "last_update"),
    )
    for start in range(0, len(keys), _BATCH):
        # A locking read sees what was committed while this transaction was waiting, whatever
        # its isolation level.
        rows = Visitor.objects.using(using).select_for_update()
        some = rows.filter(key__in=keys[start : start + _BATCH])
        found |= {row.key: row for row in PlainRow.read(some, *columns)}
    return found


def _assignments(sql: SqlDialect) -> list[str]:
    new, old = sql.incoming, sql.existing
    is_later = f"{new('last_update')} >= {old('last_update')}"

    def chosen(column: str, condition: str) -> str:
        kept = f"CASE WHEN {condition} THEN {new(column)} ELSE {old(column)} END"
        return f"{sql.quote(column)} = {kept}"

    return [
        f"{sql.quote('page_views')} = {old('page_views')} + {new('page_views')}",
        chosen(
            "user_known_at",
            f"{old('user_known_at')} IS NULL OR {new('user_known_at')} > {old('user_known_at')}",
        ),
        *(chosen(column, is_later) for column in _LATEST),
        chosen("last_update", is_later),  # at last, as all others compare with it
    ]

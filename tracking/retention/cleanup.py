"""Delete expired rows, in chunks, and add up old counts of days by month.

Rows are found by the index on their time and deleted by their keys, a chunk at a time in a
short transaction, so that nobody waits long for a lock and a replica never gets one giant
statement. Any number of processes may do this at the same time. Of a table with monthly
partitions (:mod:`tracking.partitions`), whole months are dropped first.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from time import sleep
from time import time as wall_clock
from typing import Any, NamedTuple

from django.db import router, transaction
from django.db.models import (
    DO_NOTHING,
    ForeignObjectRel,
    Model,
    ProtectedError,
    QuerySet,
    RestrictedError,
)
from django.db.models.signals import post_delete, pre_delete
from django.utils import timezone

from tracking import compat, partitions
from tracking.db import chunks
from tracking.db.retry import retry_transaction
from tracking.models import DailyCount, PageView, Visit, Visitor
from tracking.recording.beacons import release_due_events
from tracking.retention.limits import TABLES, RetainedTable
from tracking.retention.turns import INTERVAL
from tracking.rollups import completeness, folding
from tracking.rollups.days import day_of

logger = logging.getLogger(__name__)

#: Most rows that one transaction deletes.
CHUNK_SIZE = 1_000

#: A turn deletes this part of the expired rows: one in so many. However many rows arrive in a
#: minute, so many turns' worth of them wait at most.
BACKLOG_TURNS = 5

#: Most rows that one turn deletes, which may be part of a request.
MAX_TURN = 10_000


class _ExpiredRows(NamedTuple):
    """The rows of a table that have reached its age limit.

    Attributes:
        name: the name of the table in :data:`TABLES`.
        table: the table.
        cutoff: rows of this time and before are expired.
        protected: keys of rows that models of the site protect from deletion.
        noted: not empty once it is noted that rows were deleted.
    """

    name: str
    table: RetainedTable
    cutoff: datetime
    protected: set[Any]
    noted: list[bool]

    @property
    def rows(self) -> QuerySet[Any]:
        return _rows(self.table.model).filter(**{f"{self.table.column}__lte": self.cutoff})

    def oldest_keys(self, limit: int) -> list[Any]:
        """Return the keys of the oldest rows, without those found to be protected."""
        in_order = self.rows.order_by(self.table.column)
        found = in_order.values_list("pk", flat=True)[: limit + len(self.protected)]
        return [key for key in found if key not in self.protected][:limit]


def clean_up(
    *,
    chunk: int = CHUNK_SIZE,
    progress: Callable[[Mapping[str, int]], object] | None = None,
    tables: Collection[str] | None = None,
    pause: float = 0.0,
    dry_run: bool = False,
) -> dict[str, int]:
    """Delete all expired rows, a chunk at a time.

    With a visit its page views are deleted, however new they are and whatever ``tables`` says.

    Args:
        chunk: most rows that one transaction deletes.
        progress: called after each chunk with the rows deleted so far, by table.
        tables: names of :data:`TABLES`; all by default.
        pause: seconds to pause after each chunk, for a busy database.
        dry_run: only count.

    Returns:
        The rows deleted (with ``dry_run``: to be deleted) by table, without tables whose rows
        never expire. Counts of days that were added up by month count as deleted.

    Raises:
        ValueError: a setting or an argument has no valid value; nothing was deleted.
        RuntimeError: called inside a transaction, which would keep all locks to its end.
        django.db.DatabaseError: another error; earlier chunks stay deleted.
    """
    if chunk < 1:
        raise ValueError(f"A chunk of {chunk} rows: give at least 1.")
    names = TABLES if tables is None else tables
    expired = _find_expired(names)
    first_day = _first_day_to_keep(names)
    if dry_run:
        return _count(expired, first_day)
    for model in {TABLES[name].model for name in names}:
        # Raises inside a transaction even if nothing is expired yet: better now than later.
        with transaction.atomic(using=router.db_for_write(model), durable=True):
            pass
    release_due_events()  # before they expire
    deleted = Counter(dict.fromkeys(expired if first_day is None else [*expired, _COUNTS], 0))
    for gone in _delete_and_fold(expired, first_day, chunk):
        deleted.update(gone)
        if progress is not None:
            progress(deleted)
        sleep(pause)
    return dict(deleted)


def _delete_and_fold(
    expired: Mapping[str, _ExpiredRows], first_day: date | None, chunk: int
) -> Iterator[Counter[str]]:
    """Delete expired rows and add up counts, and yield how many after each transaction."""
    for name, one in expired.items():
        if dropped := _drop_partitions(one):
            yield Counter({name: dropped})
        while (gone := _delete_oldest(one, chunk)) is not None:
            yield gone
    while first_day is not None and (folded := _fold(first_day)):
        yield Counter({_COUNTS: folded})


def _drop_partitions(expired: _ExpiredRows) -> int:
    """Drop expired partitions of a table, and return how many rows they had."""
    model, using = expired.table.model, expired.rows.db
    if model not in partitions.TABLES.values() or _needs_collector(model):
        return 0
    try:
        return partitions.drop_expired_partitions(
            model, expired.table.column, expired.cutoff, using
        )
    except partitions.UnsuitableTable:  # perhaps partitioned by the site in another way
        return 0
    except partitions.TableBusy as error:
        logger.warning(
            "No partition of %s could be dropped, deleting its rows one by one: %s",
            model._meta.db_table,
            error,
        )
        return 0


def delete_chunk(limit: int = CHUNK_SIZE) -> Counter[str]:
    """Delete some of the expired rows, the oldest of each table first.

    Events of mail providers that need not wait any longer become beacons first.

    Each minute starts with another table, so that none waits forever for one that has too many
    rows or fails.

    Args:
        limit: most rows, over all tables. Counts of days are added up a facet at a time, as soon
            as fewer rows were deleted.

    Returns:
        The rows deleted, by table.

    Raises:
        ValueError: a setting has no valid value; nothing was deleted.
        django.db.DatabaseError: another error.
    """
    deleted: Counter[str] = Counter()
    expired = list(_find_expired(TABLES).values())
    release_due_events()
    first = int(wall_clock() // INTERVAL) % (len(expired) or 1)
    for one in [*expired[first:], *expired[:first]]:
        while (room := limit - deleted.total()) > 0:
            size = min(room, CHUNK_SIZE)
            gone = _delete_oldest(one, size)
            deleted.update(gone)
            if gone is None or gone.total() < size:
                break
    first_day = _first_day_to_keep(TABLES)
    while first_day is not None and deleted.total() < limit and (folded := _fold(first_day)):
        deleted[_COUNTS] += folded
    return +deleted


def grow_with_backlog(limit: int) -> int:
    """Return how many rows a turn may delete: ``limit``, or more where many are expired.

    Args:
        limit: rows that are deleted in any case.

    Raises:
        ValueError: a setting has no valid value.
        django.db.DatabaseError: another error.
    """
    most = MAX_TURN * BACKLOG_TURNS
    expired = _find_expired(TABLES).values()
    backlog = sum(one.rows.order_by()[:most].count() for one in expired)
    return max(limit, min(backlog // BACKLOG_TURNS, MAX_TURN))


def _find_expired(names: Collection[str]) -> dict[str, _ExpiredRows]:
    """Return what is expired now, by table, without tables whose rows never expire.

    The cutoff is the same for all chunks, so that the work ends even if the table is busy.

    Raises:
        ValueError: a setting has no valid value, or a table is unknown.
    """
    if unknown := set(names) - set(TABLES):
        raise ValueError(f"There is no table {min(unknown)!r}: choose from {', '.join(TABLES)}.")
    now = timezone.now()  # naive with USE_TZ = False, like the columns
    return {
        name: _ExpiredRows(name, table, now - timedelta(**{table.unit: max_age}), set(), [])
        for name, table in TABLES.items()
        if name in names and name != _COUNTS and (max_age := table.max_age) is not None
    }


#: The table of which no rows are deleted: they are added up by month.
_COUNTS = "dailycount"


def _first_day_to_keep(names: Collection[str]) -> date | None:
    """Return the first day whose counts have not expired, or ``None`` if they never do.

    Raises:
        ValueError: the setting has no valid value.
    """
    if _COUNTS not in names or (max_age := TABLES[_COUNTS].max_age) is None:
        return None
    return day_of(timezone.now() - timedelta(days=max_age))


def _fold(first_day: date) -> int:
    """Add up some counts of days, and return how many; 0 if there are no more."""
    return folding.fold_some(first_day, router.db_for_write(DailyCount))


def _count(expired: Mapping[str, _ExpiredRows], first_day: date | None) -> dict[str, int]:
    counts = Counter({name: one.rows.count() for name, one in expired.items()})
    if "visit" in expired:
        pages = _rows(PageView).filter(visit__ended_at__lte=expired["visit"].cutoff)
        if "pageview" in expired:  # without those counted above
            pages = pages.filter(time__gt=expired["pageview"].cutoff)
        counts["pageview"] += pages.count()
    if first_day is not None:
        counts[_COUNTS] = folding.waiting(first_day, router.db_for_write(DailyCount))
    return dict(counts)


def _delete_oldest(expired: _ExpiredRows, limit: int) -> Counter[str] | None:
    """Delete the oldest rows; return how many by table, or ``None`` if there were none.

    The number may be zero if another process deleted them first.
    """
    # Read outside the transaction: on SQLite, one that begins with a read fails at its first
    # write if another process has written meanwhile; one that begins with a write waits.
    keys = expired.oldest_keys(limit)
    if not keys:
        return None
    _note_deletion(expired)
    if expired.table.model is Visit:
        return _delete_visits(expired, keys, limit)
    return Counter({expired.name: _delete(expired.rows, keys, expired.protected)})


def _note_deletion(expired: _ExpiredRows) -> None:
    """Note that rows are deleted, before they are: their days keep the counts they have."""
    if expired.noted or expired.table.model is Visitor:
        return
    for name in ["visit", "pageview"] if expired.name == "visit" else [expired.name]:
        completeness.note_deletion(name, expired.cutoff, expired.rows.db)
    expired.noted.append(True)


def _delete_visits(expired: _ExpiredRows, keys: Sequence[Any], limit: int) -> Counter[str]:
    """Delete page views of these visits, and the visits once they have none left."""
    pages = _page_keys(keys, limit)
    room = limit - len(pages)  # if there is any, all page views were found
    return Counter(
        {
            "pageview": _delete(_rows(PageView), pages, set()),
            "visit": _delete(expired.rows, keys[:room], expired.protected),
        }
    )


def _page_keys(visits: Sequence[Any], limit: int) -> list[Any]:
    pages: list[Any] = []
    for some in chunks.in_batches(visits, chunks.KEYS_PER_QUERY):
        room = limit - len(pages)
        if room <= 0:
            break
        rows = _rows(PageView).filter(visit__in=some)
        pages.extend(rows.values_list("pk", flat=True)[:room])
    return pages


def _delete(rows: QuerySet[Any], keys: Sequence[Any], protected: set[Any]) -> int:
    """Delete the rows with these keys, in one transaction.

    Args:
        rows: the rows that may be deleted. A visitor who came back since the keys were read is
            no longer among them, and stays.
        keys: their primary keys.
        protected: receives the keys of rows that models of the site protect from deletion.

    Returns:
        How many rows this process deleted.
    """
    if not keys:
        return 0
    # All processes lock the rows in the same order, which avoids deadlocks.
    in_order = sorted(keys)
    delete = _delete_with_collector if _needs_collector(rows.model) else compat.delete_rows_only

    def in_transaction(some_keys: Sequence[Any]) -> int:
        batches = chunks.in_batches(some_keys, chunks.KEYS_PER_QUERY)
        with transaction.atomic(using=rows.db):
            return sum(delete(rows.filter(pk__in=batch)) for batch in batches)

    try:
        return retry_transaction(rows.db, lambda: in_transaction(in_order))
    except (ProtectedError, RestrictedError) as error:
        if len(in_order) == 1:
            protected.update(in_order)
            logger.warning(
                "An expired %s is kept, because a model of the site protects it: %s",
                rows.model._meta.verbose_name,
                error.args[0],
            )
            return 0
    # One by one, so that the others are deleted.
    return sum(_delete(rows, [key], protected) for key in in_order)


def _needs_collector(model: type[Model]) -> bool:
    """Return whether rows must be deleted by Django's ``delete()``, which fetches them first.

    It must if the site has foreign keys to the table, whose ``on_delete`` only Django applies,
    or receivers of the deletion signals. Django checks the same to delete faster, but never
    does so for visits because of our page views, which are already deleted by then.
    """
    if pre_delete.has_listeners(model) or post_delete.has_listeners(model):
        return True
    return any(
        field.on_delete is not DO_NOTHING and field.related_model is not PageView
        for field in model._meta.get_fields(include_hidden=True)
        if isinstance(field, ForeignObjectRel) and not field.many_to_many
    )


def _delete_with_collector(rows: QuerySet[Any]) -> int:
    _, by_label = rows.delete()
    return by_label.get(rows.model._meta.label, 0)


def _rows(model: type[Model]) -> QuerySet[Any]:
    return model._base_manager.using(router.db_for_write(model))

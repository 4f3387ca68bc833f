"""Old rows leave, in chunks.

    clean_up()                  # everything that is too old: the command, the Celery task
    delete_chunk(500)           # a little of it: the middleware, once a minute

For each table a setting says how long its rows are kept. They are looked up by the index
over their time and deleted by their keys, a chunk at a time in a short transaction of its
own, so that nobody waits long for a lock and a replica never gets one giant statement.
Any number of processes may do this at the same time. A table in parts by months
(:mod:`tracking.partitions`) loses whole ones first.
"""

import logging
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic, sleep
from time import time as wall_clock
from typing import Any, NamedTuple

from django.db import router, transaction
from django.db.models import (
    DO_NOTHING,
    ForeignObjectRel,
    Model,
    ProtectedError,
    Q,
    QuerySet,
    RestrictedError,
)
from django.db.models.signals import post_delete, pre_delete
from django.utils import timezone

from tracking import partitions
from tracking.conf import conf, full_name
from tracking.db.retry import retry_on_deadlock
from tracking.models import Beacon, PageView, SharedValue, Visit, Visitor, WrittenBatch
from tracking.rollups import completeness

logger = logging.getLogger(__name__)

#: Rows that one transaction deletes at most.
CHUNK = 1_000

#: Seconds between two looks of the middleware, over all processes of a site.
EVERY = 60.0

#: Keys in one statement: SQLite allows 999 parameters.
KEYS_AT_ONCE = 500

#: Longer than this is a typing error, and soon before the first day of the calendar.
LONGEST = timedelta(days=100 * 366)


class Table(NamedTuple):
    """A table whose old rows leave.

    Attributes:
        model: the model.
        column: the time that is looked at; an index begins with it.
        setting: the property of :data:`tracking.conf.conf` that says how long a row is kept.
        unit: what that setting counts.
    """

    model: type[Model]
    column: str
    setting: str
    unit: str

    @property
    def kept(self) -> float | None:
        """How many units a row is kept, or ``None`` for ever.

        Raises:
            ValueError: the setting makes no sense.
        """
        value: Any = getattr(conf, self.setting)
        if value is None:
            return None
        if not _is_length(value, self.unit):
            # Zero could mean "keep none" as well as "keep all": nothing is deleted on a guess.
            raise ValueError(
                f"{full_name(self.setting)} is {value!r}: give a number of {self.unit} greater "
                "than 0, at most a hundred years, or None to keep all rows."
            )
        return float(value)


def _is_length(value: object, unit: str) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return 0 < value <= LONGEST / timedelta(**{unit: 1})


#: The tables by their names, in the order in which they are emptied: page views before
#: the visits that they belong to.
TABLES: Mapping[str, Table] = {
    "visitor": Table(Visitor, "last_update", "cleanup_timeout", "hours"),
    "pageview": Table(PageView, "time", "page_view_retention", "days"),
    "visit": Table(Visit, "ended_at", "visit_retention", "days"),
    "beacon": Table(Beacon, "time", "beacon_retention", "days"),
    "receipt": Table(WrittenBatch, "time", "receipt_retention", "days"),
}


def problems() -> list[str]:
    """Return what is wrong with the settings, a sentence for each, for the system checks."""
    found = []
    for table in TABLES.values():
        try:
            _ = table.kept
        except ValueError as error:
            found.append(str(error))
    return found


class _Old(NamedTuple):
    """The rows of a table that are as old as its limit, or older."""

    table: Table
    cutoff: datetime
    #: Keys of rows that models of the site do not let go.
    protected: set[Any]
    #: Whether it is noted that rows of it are gone.
    noted: list[bool]

    @property
    def rows(self) -> QuerySet[Any]:
        return _rows(self.table.model).filter(**{f"{self.table.column}__lte": self.cutoff})

    def oldest(self, limit: int) -> list[Any]:
        """Return the keys of the oldest rows, without those found to be protected."""
        in_order = self.rows.order_by(self.table.column)
        found = in_order.values_list("pk", flat=True)[: limit + len(self.protected)]
        return [key for key in found if key not in self.protected][:limit]


def clean_up(
    *,
    chunk: int = CHUNK,
    progress: Callable[[Mapping[str, int]], object] | None = None,
    tables: Collection[str] | None = None,
    pause: float = 0.0,
    dry_run: bool = False,
) -> dict[str, int]:
    """Delete all rows that are too old, a chunk at a time.

    With a visit its page views leave, however young they are and whatever ``tables`` says.
    It must not run inside of a transaction, which would keep all locks to the end.

    Args:
        chunk: how many rows one transaction deletes at most.
        progress: called after each chunk with the rows deleted so far, by table.
        tables: names of :data:`TABLES`; all by default.
        pause: seconds to rest after each chunk, for a database that has other work.
        dry_run: only count.

    Returns:
        The rows deleted (or, for ``dry_run``, to be deleted) by table; tables that are kept
        for ever are left out.

    Raises:
        ValueError: a setting or an argument makes no sense; nothing was deleted.
        RuntimeError: it was called inside of a transaction.
        django.db.DatabaseError: the database refuses; earlier chunks stay deleted.
    """
    if chunk < 1:
        raise ValueError(f"A chunk of {chunk} rows: give at least 1.")
    all_old = _all_old(TABLES if tables is None else tables)
    if dry_run:
        return _counts(all_old)
    for old in all_old.values():
        # Refused even where nothing is to be deleted: the first time would be the wrong one.
        with transaction.atomic(using=old.rows.db, durable=True):
            pass
    removed = Counter(dict.fromkeys(all_old, 0))
    for name, old in all_old.items():
        removed[name] += _drop_parts(old)
        while (gone := _delete_oldest(old, chunk)) is not None:
            removed.update(gone)
            if progress is not None:
                progress(removed)
            sleep(pause)
    return dict(removed)


def _drop_parts(old: _Old) -> int:
    """Drop whole parts of a table, and return how many rows they had."""
    model, using = old.table.model, old.rows.db
    if model not in partitions.TABLES.values() or _site_has_rules(model):
        return 0
    try:
        return partitions.drop_expired_partitions(model, old.table.column, old.cutoff, using)
    except partitions.UnsuitableTable:  # in parts of the site's own making, perhaps
        return 0
    except partitions.TableBusy as error:
        # Its rows are deleted like those of any other table, or it is dropped the next time.
        logger.warning("No part of %s could be dropped: %s", model._meta.db_table, error)
        return 0


def delete_chunk(limit: int = CHUNK) -> Counter[str]:
    """Delete some of the rows that are too old, the oldest of each table first.

    Args:
        limit: how many rows at most, over all tables.

    Each minute begins with another table, so that none has to wait for ever for one that has
    more than enough, or cannot be deleted from.

    Returns:
        The rows deleted, by table.

    Raises:
        ValueError: a setting makes no sense; nothing was deleted.
        django.db.DatabaseError: the database refuses.
    """
    removed: Counter[str] = Counter()
    in_turn = list(_all_old(TABLES).values())
    first = int(wall_clock() // EVERY) % (len(in_turn) or 1)
    for old in [*in_turn[first:], *in_turn[:first]]:
        if (room := limit - removed.total()) > 0:
            removed.update(_delete_oldest(old, room))
    return +removed


def _all_old(names: Collection[str]) -> dict[str, _Old]:
    """Return what is too old now, by table, without those that are kept for ever.

    The moment is the same for every chunk, so that a busy table comes to an end.

    Raises:
        ValueError: a setting makes no sense, or there is no such table.
    """
    if unknown := set(names) - set(TABLES):
        raise ValueError(f"There is no table {min(unknown)!r}: choose from {', '.join(TABLES)}.")
    now = timezone.now()  # naive with USE_TZ = False, as the columns are then
    return {
        name: _Old(table, now - timedelta(**{table.unit: kept}), set(), [])
        for name, table in TABLES.items()
        if name in names and (kept := table.kept) is not None
    }


def _counts(all_old: Mapping[str, _Old]) -> dict[str, int]:
    counts = Counter({name: old.rows.count() for name, old in all_old.items()})
    if "visit" in all_old:
        pages = _rows(PageView).filter(visit__ended_at__lte=all_old["visit"].cutoff)
        if "pageview" in all_old:  # those that have been counted above
            pages = pages.filter(time__gt=all_old["pageview"].cutoff)
        counts["pageview"] += pages.count()
    return dict(counts)


def _delete_oldest(old: _Old, limit: int) -> Counter[str] | None:
    """Delete the oldest rows and return how many by table, or ``None`` if there is none left.

    It may be none although there were some: another process was faster.
    """
    # Outside of the transaction: in SQLite, one that begins with reading fails at its first
    # write if anybody has written meanwhile, where one that begins with writing waits.
    keys = old.oldest(limit)
    if not keys:
        return None
    _note(old)
    if old.table.model is Visit:
        return _delete_visits(old, keys, limit)
    return Counter({_name(old.table.model): _delete(old.rows, keys, old.protected)})


def _note(old: _Old) -> None:
    """Note, before rows leave, that they are gone: what they were counted as is kept."""
    if old.noted or old.table.model is Visitor:
        return
    names = ["visit", "pageview"] if old.table.model is Visit else [_name(old.table.model)]
    for name in names:
        completeness.note_deletion(name, old.cutoff, old.rows.db)
    old.noted.append(True)


def _delete_visits(old: _Old, keys: Sequence[Any], limit: int) -> Counter[str]:
    """Delete page views of these visits, and the visits as soon as none is left."""
    pages = _pages_of(keys, limit)
    room = limit - len(pages)  # if there is any, all page views have been found
    return Counter(
        {
            "pageview": _delete(_rows(PageView), pages, set()),
            "visit": _delete(old.rows, keys[:room], old.protected),
        }
    )


def _pages_of(visits: Sequence[Any], limit: int) -> list[Any]:
    pages: list[Any] = []
    for some in _parts(visits):
        room = limit - len(pages)
        if room <= 0:
            break
        rows = _rows(PageView).filter(visit__in=some)
        pages.extend(rows.values_list("pk", flat=True)[:room])
    return pages


def _delete(rows: QuerySet[Any], keys: Sequence[Any], protected: set[Any]) -> int:
    """Delete those rows that have one of the keys, in one transaction.

    Args:
        rows: the rows that may be deleted. Whoever has come back since the keys were read
            is no longer among them, and stays.
        keys: their primary keys.
        protected: gets the keys of rows that models of the site do not let go.

    Returns:
        How many this process has deleted.
    """
    if not keys:
        return 0
    # All processes take the locks in the same order, so that none waits in a circle.
    in_order = sorted(keys)
    delete = _delete_by_the_site_s_rules if _site_has_rules(rows.model) else _delete_plainly

    def in_a_transaction(some_keys: Sequence[Any]) -> int:
        with transaction.atomic(using=rows.db):
            return sum(delete(rows.filter(pk__in=some)) for some in _parts(some_keys))

    try:
        return retry_on_deadlock(rows.db, lambda: in_a_transaction(in_order))
    except (ProtectedError, RestrictedError) as error:
        if len(in_order) == 1:
            protected.update(in_order)
            logger.warning("An old %s is kept: %s", _name(rows.model), error.args[0])
            return 0
    # One after the other, so that the others can leave.
    return sum(_delete(rows, [key], protected) for key in in_order)


def _site_has_rules(model: type[Model]) -> bool:
    """Whether the site wants to know of each row of this table that leaves.

    It may have models of its own with foreign keys to this table, whose ``on_delete`` only
    Django knows and does, and receivers of the signals of deletion. Then rows must be deleted by
    Django's ordinary ``delete()``, which fetches them. Its own shortcut past that asks
    the same, but never takes it for visits, because of our page views; those are gone by then.
    """
    if pre_delete.has_listeners(model) or post_delete.has_listeners(model):
        return True
    return any(
        field.on_delete is not DO_NOTHING and field.related_model is not PageView
        for field in model._meta.get_fields(include_hidden=True)
        if isinstance(field, ForeignObjectRel) and not field.many_to_many
    )


def _delete_by_the_site_s_rules(rows: QuerySet[Any]) -> int:
    _, by_label = rows.delete()
    return by_label.get(rows.model._meta.label, 0)


def _delete_plainly(rows: QuerySet[Any]) -> int:
    return rows._raw_delete(rows.db)


def _rows(model: type[Model]) -> QuerySet[Any]:
    return model._base_manager.using(router.db_for_write(model))


def _name(model: type[Model]) -> str:
    return next(name for name, table in TABLES.items() if table.model is model)


def _parts(keys: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(keys), KEYS_AT_ONCE):
        yield keys[start : start + KEYS_AT_ONCE]


# Whose turn it is.

#: When this process has last asked for its turn, by name, in seconds of the monotonic clock.
_asked: dict[str, float] = {}


def is_due(name: str = "cleanup", every: float = EVERY) -> bool:
    """Return whether this process may ask for its turn again. Asks nothing of the database.

    Args:
        name: what is done in turns.
        every: seconds between two turns.
    """
    asked = _asked.get(name)
    return asked is None or monotonic() - asked >= every


def ask_anew(name: str = "cleanup") -> None:
    """Let this process ask for its turn again at once, as if it had just begun.

    Args:
        name: what is done in turns.
    """
    _asked.pop(name, None)


def claim(name: str = "cleanup", every: float = EVERY) -> bool:
    """Return whether it is this process that has the turn, of all processes of the site.

    The database is asked at most once in ``every`` seconds, and says yes to one of all who ask.

    Args:
        name: what is done in turns.
        every: seconds between two turns.

    Raises:
        django.db.DatabaseError: the database cannot say; it is asked again ``every`` seconds later.
    """
    if not is_due(name, every):
        return False
    # Two threads may get here at once; the database tells them apart.
    _asked[name] = monotonic()
    rows = SharedValue.objects.using(router.db_for_write(SharedValue))
    now, pause = timezone.now(), timedelta(seconds=every)
    # The second half is for a clock that was wrong: a turn in the future would last until then.
    free = Q(changed_at__lte=now - pause) | Q(changed_at__gt=now + pause)
    if rows.filter(free, name=name).update(changed_at=now):
        return True
    _, created = rows.get_or_create(name=name, defaults={"changed_at": now})
    return created

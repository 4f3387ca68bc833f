"""A visit that runs over midnight stays one visit of one visitor, without a cookie, too.

A visitor without a cookie has another key each day. For half an hour after midnight, a page hit
also carries the key until midnight (``PageHit.previous_visitor``). If a visit under that key goes
on, the visitor's rows take the new key::

    with transaction.atomic(using):
        hits = midnight.carry_over(hits, using)   # first; then write them

The visitor keeps the old key as ``previous_key``: pages of before midnight may be written after
later ones, by this process or another. Their order makes no difference. Rows of earlier days keep
their keys, so that few rows change however long somebody stays.

A visitor whose key is in a cookie is never carried over: the page that came without it may be
somebody else's, with the same browser and address.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Self

import msgspec
from django.db import router
from django.db.models import F

from tracking.db import upserts
from tracking.db.chunks import KEYS_PER_QUERY, in_batches
from tracking.db.column_values import storable_time
from tracking.db.upserts import PlainRow, SqlDialect
from tracking.hits import PageHit
from tracking.models import Beacon, Visit, Visitor
from tracking.models.visitors import VISIT_GAP
from tracking.rollups import days

#: A page gets its time right after its visitor's key. Midnight may be in between.
TIME_BETWEEN = timedelta(seconds=1)

#: The time of a row that only locks its key.
_NEVER = datetime(1970, 1, 2, tzinfo=UTC)

_COLUMNS = (
    *("id", "key", "previous_key", "has_cookie", "page_views", "last_update"),
    *("session_key", "user_id", "logged_in_at", "user_known_at"),
)


def carry_over(hits: Sequence[PageHit], using: str) -> Sequence[PageHit]:
    """Carry visitors over midnight, and return the hits with the keys that their visitors have now.

    Call it in the transaction that writes the hits, before anything is read. It makes no query
    unless a hit is of the half hour after midnight or of yesterday, and without a cookie.

    Args:
        hits: the hits of a batch.
        using: the alias of the database.

    Raises:
        django.db.DatabaseError: the database failed.
    """
    yesterday = _Yesterday.now()
    steps = {_Step.of(hit) for hit in hits if hit.previous_visitor is not None}
    late = {hit.visitor for hit in hits if yesterday.includes(hit)}
    if not (steps or late):
        return hits
    keys = late.union(*((step.old, step.new) for step in steps))
    _lock(keys, using)
    visitors = _Visitors(using)
    visitors.read("key", keys)
    visitors.read("previous_key", late)
    steps |= {
        _Step(yesterday.end, row.previous_key, row.key)
        for row in visitors.rows.values()
        if row.previous_key in late
    }
    visitors.read_visits(steps)
    visitors.add(hits)
    for step in sorted(steps):
        if visitors.is_one_visit(step):
            visitors.carry(step)
    _unlock(keys, using)
    return [visitors.update(hit) for hit in hits]


class _Yesterday(NamedTuple):
    """The day before this one."""

    start: datetime
    end: datetime

    @classmethod
    def now(cls) -> Self:
        today = days.today()
        start, end = days.start_of(today - days.DAY), days.start_of(today)
        return cls(storable_time(start), storable_time(end))

    def includes(self, hit: PageHit) -> bool:
        """Return whether the visitor may have another key now than on the page."""
        if hit.has_cookie:
            return False
        return self.start <= storable_time(hit.time) < self.end + TIME_BETWEEN


class _Step(NamedTuple):
    """A visitor's key until midnight, and the one since."""

    midnight: datetime
    old: str
    new: str

    @classmethod
    def of(cls, hit: PageHit) -> Self:
        midnight = days.start_of(days.day_of(hit.time))
        return cls(storable_time(midnight), hit.previous_visitor or "", hit.visitor)

    @property
    def day_before(self) -> datetime:
        """The start of the day that ends at this midnight."""
        return storable_time(days.start_of(days.day_of(self.midnight) - days.DAY))


class _Seen(NamedTuple):
    """When a visitor was seen first and last."""

    first: datetime
    last: datetime

    def __or__(self, other: Self) -> "_Seen":
        return _Seen(min(self.first, other.first), max(self.last, other.last))


class _Visitors:
    """The visitors of a batch around midnight.

    Attributes:
        rows: their rows, by key.
    """

    def __init__(self, using: str) -> None:
        self._using = using
        self.rows: dict[str, PlainRow] = {}
        self._seen: dict[str, _Seen] = {}
        self._with_cookie: set[str] = set()
        self._now: dict[str, str] = {}

    def read(self, column: str, keys: Collection[str]) -> None:
        """Read the rows with one of the keys in a column."""
        for some in in_batches(sorted(keys), KEYS_PER_QUERY):
            # A locking read sees what was committed while this transaction was waiting.
            rows = Visitor.objects.using(self._using).select_for_update()
            for row in PlainRow.read(rows.filter(**{f"{column}__in": some}), *_COLUMNS):
                self.rows[row.key] = row
                if row.has_cookie:
                    self._with_cookie.add(row.key)

    def read_visits(self, steps: Collection[_Step]) -> None:
        """Read when the visitors were seen."""
        keys = {key for step in steps for key in step[1:]}
        for some in in_batches(sorted(keys), KEYS_PER_QUERY):
            visits = Visit.objects.using(self._using).select_for_update()
            visits = visits.filter(visitor_id__in=some, ended_at__gte=min(steps).day_before)
            for key, first, last in visits.values_list("visitor_id", "started_at", "ended_at"):
                self._see(str(key), _Seen(first, last))

    def add(self, hits: Iterable[PageHit]) -> None:
        """Add hits that are not written yet."""
        for hit in hits:
            time = storable_time(hit.time)
            self._see(hit.visitor, _Seen(time, time))
            if hit.has_cookie:
                self._with_cookie.add(hit.visitor)

    def _see(self, key: str, seen: _Seen) -> None:
        self._seen[key] = self._seen.get(key, seen) | seen

    def is_one_visit(self, step: _Step) -> bool:
        """Return whether a visit goes on after midnight, or one has been carried over before."""
        old, new = self._seen.get(step.old), self._seen.get(step.new)
        if old is None or new is None or step.old in self._with_cookie:
            return False
        return new.first < step.midnight or new.first - old.last < VISIT_GAP

    def carry(self, step: _Step) -> None:
        """Give the rows of a visitor since the day before the new key."""
        visits = Visit.objects.using(self._using)
        visits = visits.filter(visitor_id=step.old, ended_at__gte=step.day_before)
        visits.update(visitor_id=step.new)
        beacons = Beacon.objects.using(router.db_for_write(Beacon))
        beacons = beacons.filter(visitor_id=step.old, time__gte=step.day_before)
        beacons.update(visitor_id=step.new)
        self._carry_row(step)
        self._now[step.old] = step.new
        self._see(step.new, self._seen.pop(step.old))

    def _carry_row(self, step: _Step) -> None:
        old, new = self.rows.pop(step.old, None), self.rows.get(step.new)
        if old is None or _is_lock(old):
            return
        rows = Visitor.objects.using(self._using)
        if new is None or _is_lock(new):
            rows.filter(key=step.new).delete()
            rows.filter(key=step.old).update(key=step.new)
            old.key = step.new
            self.rows[step.new] = old
        else:
            rows.filter(key=step.old).delete()
            rows.filter(key=step.new).update(
                page_views=F("page_views") + old.page_views, **_known_before(old, new)
            )

    def update(self, hit: PageHit) -> PageHit:
        """Return a hit with the key that its visitor has now."""
        key = hit.visitor
        if hit.has_cookie:
            return hit
        while key in self._now:
            key = self._now[key]
        if key != hit.visitor:
            return msgspec.structs.replace(hit, visitor=key, previous_visitor=None)
        if hit.previous_visitor in self._with_cookie:
            return msgspec.structs.replace(hit, previous_visitor=None)
        return hit


def _known_before(old: PlainRow, new: PlainRow) -> dict[str, object]:
    """Return what is known of a visitor from before midnight only."""
    known: dict[str, object] = {}
    if not new.session_key:
        known["session_key"] = old.session_key
    if new.user_known_at is None:
        names = ("user_id", "logged_in_at", "user_known_at")
        known |= {name: getattr(old, name) for name in names}
    return known


def _lock(keys: Collection[str], using: str) -> None:
    """Lock keys, whether or not they have rows, in the order in which all processes do it."""
    never = storable_time(_NEVER)
    rows = [
        PlainRow.new(Visitor, key=key, session_start=never, last_update=never)
        for key in sorted(keys)
    ]
    upserts.upsert(Visitor, rows, "key", _no_change, using)


def _no_change(sql: SqlDialect) -> list[str]:
    return [f"{sql.quote('key')} = {sql.existing('key')}"]


def _is_lock(row: PlainRow) -> bool:
    return bool(row.last_update == storable_time(_NEVER) and not row.page_views)


def _unlock(keys: Collection[str], using: str) -> None:
    """Delete the rows that were made to lock their keys."""
    rows = Visitor.objects.using(using).filter(page_views=0, last_update=storable_time(_NEVER))
    for some in in_batches(sorted(keys), KEYS_PER_QUERY):
        rows.filter(key__in=some).delete()

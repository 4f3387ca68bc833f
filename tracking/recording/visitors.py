"""Page hits become visitors.

One statement inserts or updates all visitors of a batch, so no concurrent writer loses a count.
What that statement cannot know, such as when the current visit started, a second one updates.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple, Self

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import timezone

from tracking.db import upserts
from tracking.db.chunks import KEYS_PER_QUERY, in_batches
from tracking.db.column_values import storable_text, storable_time
from tracking.db.upserts import PlainRow, SqlDialect
from tracking.enrichment.enrich import enrich
from tracking.hits import PageHit
from tracking.models import Visitor
from tracking.models.base import EnrichmentColumns
from tracking.models.visitors import url_key

#: The columns that describe the browser.
BROWSER_COLUMNS = (
    "ip_address",
    "user_agent",
    *(field.name for field in EnrichmentColumns._meta.local_fields),
)

#: The columns that the latest page sets, whichever of two writers comes last.
LATEST_COLUMNS = ("url", "url_key", *BROWSER_COLUMNS)


def browser_columns(hit: PageHit) -> dict[str, Any]:
    """Return the values of ``BROWSER_COLUMNS``."""
    return {
        "ip_address": hit.ip_address,
        "user_agent": storable_text(hit.user_agent),
        **enrich(hit.ip_address, hit.user_agent, is_page=True),
    }


def user_key(text: str | None) -> Any:
    """Return the primary key of a user, or ``None`` if there is none or it is invalid."""
    if not text:
        return None
    try:
        return get_user_model()._meta.pk.to_python(text)
    except (ValidationError, ValueError, TypeError):  # the site has changed its user model
        return None


class PageUser(NamedTuple):
    """The user who was logged in on the pages of a batch.

    Attributes:
        key: the primary key, or ``None`` for an anonymous visitor.
        since: the time of the first page of this user, counted back from the last page.
        known_at: the time of the last page that read ``request.user``.
    """

    key: Any
    since: datetime
    known_at: datetime

    @classmethod
    def of(cls, hits: Sequence[PageHit]) -> Self | None:
        """Return the user of the last page that read ``request.user``; ``None`` if none did.

        Args:
            hits: the pages of one visitor, in order of time.
        """
        known = [hit for hit in hits if hit.user is not None]
        if not known:
            return None
        last = known[-1]
        since = last.time
        for hit in reversed(known):
            if hit.user != last.user:
                break
            since = hit.time
        return cls(user_key(last.user), storable_time(since), storable_time(last.time))


class VisitorHits(NamedTuple):
    """The hits of one visitor in a batch.

    Attributes:
        hits: the pages, in order of time.
        user: the user, if a page read ``request.user``.
        session_key: the session that was used last, if there was one.
        row: the row of the visitor, if these were its only hits.
    """

    hits: Sequence[PageHit]
    user: PageUser | None
    session_key: str | None
    row: PlainRow

    @classmethod
    def of(cls, hits: Iterable[PageHit]) -> Self:
        """Return the hits of one visitor with their visitor's row.

        Args:
            hits: the pages of one visitor, in any order.
        """
        in_order = sorted(hits, key=attrgetter("time", "id"))
        user = PageUser.of(in_order)
        known = (hit.session_key for hit in reversed(in_order) if hit.session_key is not None)
        session_key = next(known, None)
        return cls(in_order, user, session_key, _row(in_order, user, session_key or ""))


def _row(hits: Sequence[PageHit], user: PageUser | None, session_key: str) -> PlainRow:
    first, last = hits[0], hits[-1]
    url = storable_text(last.url)
    return PlainRow.new(
        Visitor,
        key=last.visitor,
        previous_key=next((hit.previous_visitor for hit in hits if hit.previous_visitor), None),
        has_cookie=any(hit.has_cookie for hit in hits),
        session_key=storable_text(session_key, 40),
        user_id=user and user.key,
        logged_in_at=user.since if user and user.key is not None else None,
        user_known_at=user and user.known_at,
        referrer=storable_text(first.referrer),
        url=url,
        url_key=url_key(url),
        page_views=len(hits),
        session_start=storable_time(first.time),
        last_update=storable_time(last.time),
        **browser_columns(last),
    )


def upsert_visitors(rows: Sequence[PlainRow], using: str) -> None:
    """Insert visitors, or add their pages to the rows with the same keys.

    Args:
        rows: the visitors, each key once; ``page_views`` is added.
        using: the alias of the database.
    """
    upserts.upsert(Visitor, rows, "key", _assignments, using)


def _assignments(sql: SqlDialect) -> list[str]:
    new, old = sql.incoming, sql.existing
    is_later = f"{new('last_update')} >= {old('last_update')}"

    def assign_if(condition: str, column: str) -> str:
        value = f"CASE WHEN {condition} THEN {new(column)} ELSE {old(column)} END"
        return f"{sql.quote(column)} = {value}"

    return [
        f"{sql.quote('page_views')} = {old('page_views')} + {new('page_views')}",
        f"{sql.quote('has_cookie')} = {old('has_cookie')} OR {new('has_cookie')}",
        f"{sql.quote('previous_key')} = COALESCE({new('previous_key')}, {old('previous_key')})",
        assign_if(
            f"{old('user_known_at')} IS NULL OR {new('user_known_at')} > {old('user_known_at')}",
            "user_known_at",
        ),
        *(assign_if(is_later, column) for column in LATEST_COLUMNS),
        assign_if(is_later, "last_update"),  # the last one, as all others compare with it
    ]


def update_visitors(
    hits_by_visitor: Mapping[str, VisitorHits], latest_visits: Mapping[str, PlainRow], using: str
) -> None:
    """Update what the upsert could not know: current visit, session and user of each visitor.

    Most batches change none of these and write nothing.

    Args:
        hits_by_visitor: the hits of the batch, by the key of the visitor.
        latest_visits: the latest visit of each visitor, by the key of the visitor.
        using: the alias of the database.
    """
    changed = []
    for key, visitor in _lock_visitors(list(hits_by_visitor), using).items():
        before = _updated_values(visitor)
        seen, visit = hits_by_visitor[key], latest_visits[key]
        if visit.ended_at >= visitor.last_update:
            visitor.session_start, visitor.referrer = visit.started_at, visit.referrer
        if seen.session_key is not None and seen.row.last_update >= visitor.last_update:
            visitor.session_key = seen.row.session_key
        if seen.user:
            _set_user(visitor, seen.user)
        if _updated_values(visitor) != before:
            changed.append(visitor)
    if changed:
        rows = [Visitor(**vars(visitor)) for visitor in changed]
        Visitor.objects.using(using).bulk_update(rows, _UPDATED_FIELDS)


def _lock_visitors(keys: Sequence[str], using: str) -> dict[str, PlainRow]:
    """Return the columns of visitors that may be updated, by key."""
    found: dict[str, PlainRow] = {}
    columns = (
        *("id", "key", "user_id", "user_known_at", "logged_in_at"),
        *("session_key", "referrer", "session_start", "last_update"),
    )
    for batch in in_batches(keys, KEYS_PER_QUERY):
        # A locking read sees what was committed while this transaction was waiting, whatever
        # its isolation level.
        rows = Visitor.objects.using(using).select_for_update()
        some = rows.filter(key__in=batch)
        found |= {row.key: row for row in PlainRow.read(some, *columns)}
    return found


def _set_user(visitor: PlainRow, user: PageUser) -> None:
    """Set the user of a visitor, unless a later page has set another one."""
    is_latest = visitor.user_known_at is None or user.known_at >= visitor.user_known_at
    if is_latest and visitor.user_id != user.key:
        visitor.user_id = user.key
        visitor.logged_in_at = None if user.key is None else user.since
    elif visitor.logged_in_at is not None and visitor.user_id == user.key:
        visitor.logged_in_at = min(visitor.logged_in_at, user.since)


def log_out(key: str, previous_key: str | None = None) -> None:
    """Note that nobody is logged in at a visitor any more.

    Pages of before that are written later do not change that.

    Args:
        key: the key of the visitor.
        previous_key: the key until midnight, which a visitor without a cookie may still have.

    Raises:
        django.db.DatabaseError: the database refuses.
    """
    Visitor.objects.filter(Q(key=key) | Q(key=previous_key, has_cookie=False)).update(
        user_id=None, logged_in_at=None, user_known_at=timezone.now(), session_key=""
    )


_UPDATED_FIELDS = ["session_start", "referrer", "session_key", "user", "logged_in_at"]


def _updated_values(visitor: PlainRow) -> tuple[Any, ...]:
    return (
        visitor.session_start,
        visitor.referrer,
        visitor.session_key,
        visitor.user_id,
        visitor.logged_in_at,
    )

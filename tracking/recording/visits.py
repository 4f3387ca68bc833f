"""Page hits become visitors, visits and page views.

For each batch: the visitors are inserted or updated by one statement, which locks their
rows until the batch is written. Nobody else can change their visits meanwhile, so these are
read, decided upon here, and written back; then the page views are inserted. However many
hits of one browser arrive at the same moment, through however many processes, they are
one visitor, and every page is counted once.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple, Self
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connections, router, transaction
from django.db.models import Q

from tracking.conf import conf
from tracking.db import upserts
from tracking.db.column_values import existing_keys, storable_text, storable_time
from tracking.db.inserts import Row, insert
from tracking.db.parameters import converters_for
from tracking.db.retry import retry_on_deadlock
from tracking.db.upserts import PlainRow, SqlDialect, column_attributes
from tracking.enrichment.enrich import enrich
from tracking.hits import PageHit
from tracking.models import PageView, Visit, Visitor
from tracking.recording import visitors, written_batches
from tracking.rollups import late
from tracking.signals import announce, visitor_seen

#: A visitor who has seen no page for so long begins a new visit with the next.
GAP = timedelta(minutes=30)

#: Characters kept of each UTM parameter.
MAX_PARAMETER = 200


def write(hits: Iterable[PageHit], receipt: UUID | None = None) -> None:
    """Write a batch of page hits, each one once, and tell who listens.

    A hit whose page view is a row changes nothing. (Without page views, which
    ``TRACKING_PAGE_VIEWS`` can switch off, a batch that is delivered twice without a receipt
    counts twice.) All of the batch is written or none of it.

    Args:
        hits: the pages that were seen, in any order.
        receipt: the key under which they are noted as written, together with the rows.

    Raises:
        django.db.DatabaseError: the database refuses; nothing was written.
    """
    each_once = list({hit.id: hit for hit in hits}.values())
    missing = each_once
    using = router.db_for_write(Visitor)
    while missing:
        try:
            retry_on_deadlock(using, lambda: _write(missing, using, receipt))  # noqa: B023 - run at once
        except IntegrityError:
            if receipt is not None and written_batches.known([receipt]):
                return
            # Delivered before, all or some, as in recording.
            known = existing_keys(PageView.objects.using(using), [hit.id for hit in missing])
            if not known:
                raise
            missing = [hit for hit in missing if hit.id not in known]
        else:
            _announce(missing, using)
            return
    if receipt is not None and each_once:
        written_batches.ensure(receipt)


class _User(NamedTuple):
    """Who is logged in, as the pages of a batch show it.

    Attributes:
        key: the primary key, or ``None`` for nobody.
        since: the first page of those that know this user, back from the last one.
        known_at: the last page that has asked.
    """

    key: Any
    since: datetime
    known_at: datetime

    @classmethod
    def of(cls, hits: Sequence[PageHit]) -> Self | None:
        """Return what these hits, from first to last, say; ``None`` if no page has asked."""
        known = [hit for hit in hits if hit.user is not None]
        if not known:
            return None
        last = known[-1]
        since = last.time
        for hit in reversed(known):
            if hit.user != last.user:
                break
            since = hit.time
        return cls(_user_key(last.user), storable_time(since), storable_time(last.time))


class _Seen(NamedTuple):
    """What a batch says of one visitor.

    Attributes:
        hits: the pages, from first to last.
        user: who is logged in, if any of the pages has asked.
        session_key: the session that was used last, if any has.
        row: the row that these hits alone would make.
    """

    hits: Sequence[PageHit]
    user: _User | None
    session_key: str | None
    row: PlainRow

    @classmethod
    def of(cls, hits: Iterable[PageHit]) -> Self:
        in_order = sorted(hits, key=attrgetter("time", "id"))
        user = _User.of(in_order)
        known = (hit.session_key for hit in reversed(in_order) if hit.session_key is not None)
        session_key = next(known, None)
        return cls(in_order, user, session_key, _visitor(in_order, user, session_key or ""))


def _write(hits: Sequence[PageHit], using: str, receipt: UUID | None) -> None:
    # Every process locks visitors in the same order, so that none waits for another in a circle.
    by_visitor = groupby(sorted(hits, key=attrgetter("visitor")), attrgetter("visitor"))
    all_seen = {key: _Seen.of(group) for key, group in by_visitor}
    with transaction.atomic(using=using):
        if receipt is not None:
            written_batches.note(receipt, using)
        visitors.upsert([seen.row for seen in all_seen.values()], using)
        found = _visits_around(hits, using)
        histories = {key: History(found.get(key, ())) for key in all_seen}
        for key, seen in all_seen.items():
            for hit in seen.hits:
                histories[key].add(hit)
        _save(histories.values(), using)
        touched = {time for history in histories.values() for time in history.touched}
        if late_days := late.days(touched):
            late.note(late_days, using)
        _bring_up_to_date(all_seen, histories, using)


def _visitor(hits: Sequence[PageHit], user: _User | None, session_key: str) -> PlainRow:
    first, last = hits[0], hits[-1]
    return PlainRow.of(
        Visitor,
        key=last.visitor,
        session_key=storable_text(session_key, 40),
        user_id=user and user.key,
        logged_in_at=user.since if user and user.key is not None else None,
        user_known_at=user and user.known_at,
        referrer=storable_text(first.referrer),
        url=storable_text(last.url),
        page_views=len(hits),
        session_start=storable_time(first.time),
        last_update=storable_time(last.time),
        **_shown(last),
    )


def _user_key(text: str | None) -> Any:
    """Return the primary key of a user, or ``None`` for nobody and for what cannot be one."""
    if not text:
        return None
    try:
        return get_user_model()._meta.pk.to_python(text)
    except (ValidationError, ValueError, TypeError):  # written before the model was another one
        return None


def _visits_around(hits: Sequence[PageHit], using: str) -> dict[str, list[PlainRow]]:
    """Return the visits that one of the hits may belong to, by visitor, and lock them."""
    earliest = storable_time(min(hit.time for hit in hits)) - GAP
    latest = storable_time(max(hit.time for hit in hits)) + GAP
    near = Q(ended_at__gt=earliest, started_at__lt=latest)
    found: dict[str, list[PlainRow]] = {}
    columns = column_attributes(Visit)
    keys = list({hit.visitor for hit in hits})
    for start in range(0, len(keys), 500):
        rows = Visit.objects.using(using).select_for_update()
        some = rows.filter(near, visitor_id__in=keys[start : start + 500])
        for visit in PlainRow.read(some, *columns):
            found.setdefault(str(visit.visitor_id), []).append(visit)
    return found


class History:
    """The visits of one visitor around a batch, which the hits are put into one by one.

    The result is the same in whatever order hits arrive: two visits between which one turns
    up that belongs to both are one.

    Attributes:
        visits: the visits, among them those that nothing has changed.
        changed: those to be written, by key.
        absorbed: the keys of those that have become part of another, with that one.
        pages: each hit with the key of the visit that it was put into.
        touched: moments of those days of which something is counted otherwise now.
    """

    def __init__(self, visits: Iterable[PlainRow]) -> None:
        self.visits = list(visits)
        self.changed: dict[UUID, PlainRow] = {}
        self.absorbed: dict[UUID, PlainRow] = {}
        self.pages: list[tuple[PageHit, UUID]] = []
        self.touched: set[datetime] = set()

    def add(self, hit: PageHit) -> None:
        """Put a hit into its visit; into a new one if there is none."""
        time = storable_time(hit.time)
        near = [v for v in self.visits if v.started_at - GAP < time < v.ended_at + GAP]
        if near:
            visit, *others = sorted(near, key=attrgetter("started_at"))
            for other in others:
                self._absorb(visit, other)
        else:
            visit = PlainRow.of(
                Visit, id=hit.id, visitor_id=hit.visitor, started_at=time, ended_at=time
            )
            self.visits.append(visit)
            _enter(visit, hit)
        self.touched.update(v.started_at for v in near)
        _extend(visit, hit, time)
        self.touched |= {time, visit.started_at}
        self.changed[visit.id] = visit
        self.pages.append((hit, visit.id))

    def visit_of(self, key: UUID) -> PlainRow:
        """Return the visit with this key, or the one that it has become part of."""
        while (into := self.absorbed.get(key)) is not None:
            key = into.id
        return self.changed[key]

    def _absorb(self, visit: PlainRow, other: PlainRow) -> None:
        visit.page_views += other.page_views
        visit.ended_at, visit.exit_url = other.ended_at, other.exit_url
        visit.user_id = other.user_id or visit.user_id
        self.visits.remove(other)
        self.changed.pop(other.id, None)
        self.absorbed[other.id] = visit


def _extend(visit: PlainRow, hit: PageHit, time: datetime) -> None:
    """Count a hit as part of a visit."""
    is_latest = time >= visit.ended_at
    if time < visit.started_at:  # delivered late
        visit.started_at = time
        _enter(visit, hit)
    if is_latest:
        visit.ended_at = time
        visit.exit_url = storable_text(hit.url)
    user = _user_key(hit.user)
    if user is not None and (is_latest or visit.user_id is None):
        visit.user_id = user
    visit.page_views += 1


def _enter(visit: PlainRow, hit: PageHit) -> None:
    """Note the page by which a visit has begun, and what its request shows of the browser."""
    visit.entry_url = storable_text(hit.url)
    visit.referrer = storable_text(hit.referrer)
    for name in _PARAMETERS:
        setattr(visit, name, storable_text(hit.campaign.get(name, ""), MAX_PARAMETER))
    for name, value in _shown(hit).items():
        setattr(visit, name, value)


_PARAMETERS = ("source", "medium", "campaign", "term", "content")


def _shown(hit: PageHit) -> dict[str, Any]:
    """Return the values of the columns that tell of the browser."""
    return {
        "ip_address": hit.ip_address,
        "user_agent": storable_text(hit.user_agent),
        **enrich(hit.ip_address, hit.user_agent),
    }


def _save(histories: Iterable[History], using: str) -> None:
    """Write visits, those that are new and those that are not, by one statement; and pages."""
    histories = list(histories)
    changed = [visit for history in histories for visit in history.changed.values()]
    upserts.upsert(Visit, changed, "id", _assignments, using)
    pages = PageView.objects.using(using)
    for history in histories:
        for key in history.absorbed:
            pages.filter(visit_id=key).update(visit_id=history.visit_of(key).id)
            Visit.objects.using(using).filter(pk=key).delete()
    if conf.page_views:
        views = [
            (hit, history.visit_of(key)) for history in histories for hit, key in history.pages
        ]
        _insert_views(views, using)


def _insert_views(views: Sequence[tuple[PageHit, PlainRow]], using: str) -> None:
    converters = converters_for(connections[using])

    def row(view: tuple[PageHit, PlainRow]) -> Row:
        hit, visit = view
        return (
            converters.uuid(hit.id),
            converters.uuid(visit.id),
            converters.time(storable_time(hit.time)),
            storable_text(hit.url),
        )

    insert(PageView, ("id", "visit_id", "time", "url"), views, row, using, savepoint=False)


_CHANGING = [
    *("started_at", "ended_at", "entry_url", "exit_url", "page_views", "user_id", "referrer"),
    *_PARAMETERS,
    *visitors.SHOWN,
]


def _assignments(sql: SqlDialect) -> list[str]:
    return [sql.overwrite(name) for name in _CHANGING]


def _bring_up_to_date(
    all_seen: Mapping[str, _Seen], histories: Mapping[str, History], using: str
) -> None:
    """Write what the upsert could not know: since when a visitor is here, and as which user.

    Most batches change neither, and write nothing.
    """
    changed = []
    for key, visitor in visitors.stored(list(all_seen), using).items():
        before = _state(visitor)
        seen = all_seen[key]
        visit = max(histories[key].visits, key=attrgetter("ended_at"))
        if visit.ended_at >= visitor.last_update:
            visitor.session_start, visitor.referrer = visit.started_at, visit.referrer
        if seen.session_key is not None and seen.row.last_update >= visitor.last_update:
            visitor.session_key = seen.row.session_key
        if seen.user:
            _log_in(visitor, seen.user)
        if _state(visitor) != before:
            changed.append(visitor)
    if changed:
        rows = [Visitor(**vars(visitor)) for visitor in changed]
        Visitor.objects.using(using).bulk_update(rows, _STATE)


def _log_in(visitor: PlainRow, user: _User) -> None:
    """Take over who is logged in, unless a later page has known better."""
    is_latest = visitor.user_known_at is None or user.known_at >= visitor.user_known_at
    if is_latest and visitor.user_id != user.key:
        visitor.user_id = user.key
        visitor.logged_in_at = None if user.key is None else user.since
    elif visitor.logged_in_at is not None and visitor.user_id == user.key:
        visitor.logged_in_at = min(visitor.logged_in_at, user.since)


_STATE = ["session_start", "referrer", "session_key", "user", "logged_in_at"]


def _state(visitor: PlainRow) -> tuple[Any, ...]:
    return (
        visitor.session_start,
        visitor.referrer,
        visitor.session_key,
        visitor.user_id,
        visitor.logged_in_at,
    )


def _announce(hits: Sequence[PageHit], using: str) -> None:
    if not visitor_seen.has_listeners(Visitor):
        return
    pages = Counter(hit.visitor for hit in hits)
    for key, visitor in Visitor.objects.using(using).in_bulk(list(pages), field_name="key").items():
        announce(visitor_seen, Visitor, visitor=visitor, page_views=pages[key])

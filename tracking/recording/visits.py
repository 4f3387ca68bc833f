"""Page hits become visits and page views.

The visitors of a batch are inserted or updated first, in one statement. It locks their rows until
the batch is saved, so nobody else can change their visits meanwhile. The visits are then read,
changed in memory (:mod:`.visit_history`) and written back; last, the page views are inserted.
However many hits of one browser arrive at the same moment, in however many processes, they become
one visitor, and every page is counted once.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from uuid import UUID

from django.db import connections, router, transaction
from django.db.models import Q

from tracking.conf import conf
from tracking.db import upserts
from tracking.db.chunks import KEYS_PER_QUERY, in_batches
from tracking.db.column_values import storable_text, storable_time
from tracking.db.inserts import Row, insert
from tracking.db.parameters import converters_for
from tracking.db.upserts import PlainRow, SqlDialect, column_attributes
from tracking.hits import PageHit
from tracking.models import PageView, Visit, Visitor
from tracking.models.visitors import VISIT_GAP
from tracking.recording import midnight, written_batches
from tracking.recording.deduplication import save_missing
from tracking.recording.visit_history import UTM_COLUMNS, VisitHistory
from tracking.recording.visitors import (
    BROWSER_COLUMNS,
    VisitorHits,
    update_visitors,
    upsert_visitors,
)
from tracking.rollups import late_days
from tracking.signals import announce, visitor_seen


def save_page_views(hits: Iterable[PageHit], batch_key: UUID | None = None) -> None:
    """Save a batch of page hits, each hit once, and send the signal.

    A hit that has a page view already changes nothing. (``TRACKING_PAGE_VIEWS`` can switch page
    views off. A batch that is delivered twice then counts twice, unless it has a key.) All of the
    batch is saved or nothing.

    Args:
        hits: the page hits, in any order.
        batch_key: marks the batch as written, together with the rows.

    Raises:
        django.db.DatabaseError: the database failed; nothing was saved.
    """
    each_once = list({hit.id: hit for hit in hits}.values())
    using = router.db_for_write(Visitor)
    save = partial(_save_batch, using=using, batch_key=batch_key)
    saved = save_missing(each_once, save, PageView, using, batch_key)
    if saved:
        send_signals(saved, using)


def _save_batch(hits: Sequence[PageHit], using: str, batch_key: UUID | None) -> None:
    with transaction.atomic(using=using):
        if batch_key is not None:
            written_batches.mark_written(batch_key, using)
        hits = midnight.carry_over(hits, using)
        # All processes lock the visitors in the same order, so no two deadlock.
        by_visitor = groupby(sorted(hits, key=attrgetter("visitor")), attrgetter("visitor"))
        hits_by_visitor = {key: VisitorHits.of(group) for key, group in by_visitor}
        upsert_visitors([visitor.row for visitor in hits_by_visitor.values()], using)
        visits = _lock_visits_near(hits, using)
        histories = {key: VisitHistory(visits.get(key, ())) for key in hits_by_visitor}
        for key, visitor in hits_by_visitor.items():
            for hit in visitor.hits:
                histories[key].add(hit)
        _save_histories(list(histories.values()), using)
        touched = {time for history in histories.values() for time in history.touched_times}
        if late := late_days.days_of(touched):
            late_days.note(late, using)
        latest_visits = {
            key: max(history.visits, key=attrgetter("ended_at"))
            for key, history in histories.items()
        }
        update_visitors(hits_by_visitor, latest_visits, using)


def _lock_visits_near(hits: Sequence[PageHit], using: str) -> dict[str, list[PlainRow]]:
    """Return the visits to which a hit may belong, by the key of the visitor."""
    earliest = storable_time(min(hit.time for hit in hits)) - VISIT_GAP
    latest = storable_time(max(hit.time for hit in hits)) + VISIT_GAP
    is_near = Q(ended_at__gt=earliest, started_at__lt=latest)
    found: dict[str, list[PlainRow]] = {}
    columns = column_attributes(Visit)
    keys = list({hit.visitor for hit in hits})
    for batch in in_batches(keys, KEYS_PER_QUERY):
        rows = Visit.objects.using(using).select_for_update()
        some = rows.filter(is_near, visitor_id__in=batch)
        for visit in PlainRow.read(some, *columns):
            found.setdefault(str(visit.visitor_id), []).append(visit)
    return found


def _save_histories(histories: Sequence[VisitHistory], using: str) -> None:
    """Insert or update the visits in one statement, and insert the page views."""
    changed = [visit for history in histories for visit in history.changed.values()]
    upserts.upsert(Visit, changed, "id", _assignments, using)
    pages = PageView.objects.using(using)
    for history in histories:
        for key in history.absorbed:
            pages.filter(visit_id=key).update(visit_id=history.visit_with_key(key).id)
            Visit.objects.using(using).filter(pk=key).delete()
    if conf.page_views:
        page_views = [
            (hit, history.visit_with_key(key))
            for history in histories
            for hit, key in history.pages
        ]
        _insert_page_views(page_views, using)


_UPDATED_COLUMNS = [
    *("started_at", "ended_at", "entry_url", "exit_url", "page_views", "user_id"),
    *("referrer", "referrer_site", "channel"),
    *UTM_COLUMNS,
    *BROWSER_COLUMNS,
]


def _assignments(sql: SqlDialect) -> list[str]:
    return [sql.overwrite(name) for name in _UPDATED_COLUMNS]


def _insert_page_views(page_views: Sequence[tuple[PageHit, PlainRow]], using: str) -> None:
    converters = converters_for(connections[using])

    def values_of(page_view: tuple[PageHit, PlainRow]) -> Row:
        hit, visit = page_view
        return (
            converters.uuid(hit.id),
            converters.uuid(visit.id),
            converters.time(storable_time(hit.time)),
            storable_text(hit.url),
        )

    columns = ("id", "visit_id", "time", "url")
    insert(PageView, columns, page_views, values_of, using, savepoint=False)


def send_signals(hits: Sequence[PageHit], using: str) -> None:
    """Send the signals for page hits that have been saved.

    Args:
        hits: the hits.
        using: the alias of the database.
    """
    if not visitor_seen.has_listeners(Visitor):
        return
    rows = Visitor.objects.using(using)
    pages = Counter(hit.visitor for hit in hits)
    visitors = rows.in_bulk(list(pages), field_name="key")
    if missing := pages.keys() - visitors.keys():  # pages of before midnight, written after it
        for visitor in rows.filter(previous_key__in=missing):
            pages[visitor.key] += pages[str(visitor.previous_key)]
            visitors[visitor.key] = visitor
    for key, visitor in visitors.items():
        announce(visitor_seen, Visitor, visitor=visitor, page_views=pages[key])

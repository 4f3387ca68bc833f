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

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connections, router, transaction
from django.db.models import Q

from tracking.announcements import announce
from tracking.columns import known_keys, moment, text
from tracking.conclusions import conclude
from tracking.conf import conf
from tracking.hits import PageHit
from tracking.models import PageView, Visit, Visitor
from tracking.recording import visitors
from tracking.recording.deadlocks import again_after_deadlock
from tracking.recording.inserts import Row, insert
from tracking.recording.spelling import spelling_for
from tracking.signals import visitor_seen

#: A visitor who has seen no page for so long begins a new visit with the next.
GAP = timedelta(minutes=30)

#: Characters kept of each UTM parameter.
MAX_PARAMETER = 200


def write(hits: Iterable[PageHit]) -> None:
    """Write a batch of page hits, each one once, and tell who listens.

    A hit whose page view is a row changes nothing. (Without page views, which
    ``TRACKING_PAGE_VIEWS`` can switch off, a batch that is delivered twice counts twice.)
    All of the batch is written or none of it.

    Args:
        hits: the pages that were seen, in any order.

    Raises:
        django.db.DatabaseError: the database refuses; nothing was written.
    """
    missing = list({hit.id: hit for hit in hits}.values())
    using = router.db_for_write(Visitor)
    while missing:
        try:
            again_after_deadlock(using, lambda: _write(missing, using))  # noqa: B023 - run at once
        except IntegrityError:
            # Delivered before, all or some, as in recording.
            known = known_keys(PageView.objects.using(using), [hit.id for hit in missing])
            if not known:
                raise
            missing = [hit for hit in missing if hit.id not in known]
        else:
            _announce(missing, using)
            return


class _Seen(NamedTuple):
    """What a batch says of one visitor.

    Attributes:
        hits: the pages, from first to last.
        user: who was logged in last and since which of the pages, if any has asked.
        row: the unsaved row that these hits alone would make.
    """

    hits: Sequence[PageHit]
    user: tuple[Any, datetime] | None
    row: Visitor

    @classmethod
    def of(cls, hits: Iterable[PageHit]) -> Self:
        in_order = sorted(hits, key=attrgetter("time", "id"))
        user = _last_user(in_order)
        return cls(in_order, user, _visitor(in_order, user))


def _write(hits: Sequence[PageHit], using: str) -> None:
    # Every process locks visitors in the same order, so that none waits for another in a circle.
    by_visitor = groupby(sorted(hits, key=attrgetter("visitor")), attrgetter("visitor"))
    all_seen = {key: _Seen.of(group) for key, group in by_visitor}
    with transaction.atomic(using=using):
        visitors.upsert([seen.row for seen in all_seen.values()], using)
        visits = _visits_around(hits, using)
        changed: dict[Any, Visit] = {}
        views: list[tuple[PageHit, Visit]] = []
        for key, seen in all_seen.items():
            mine = visits.setdefault(key, [])
            for hit in seen.hits:
                visit = _visit_of(hit, mine)
                changed[visit.pk] = visit
                views.append((hit, visit))
        _save_visits(list(changed.values()), using)
        if conf.page_views:
            _insert_views(views, using)
        _bring_up_to_date(all_seen, visits, using)


def _visitor(hits: Sequence[PageHit], user: tuple[Any, datetime] | None) -> Visitor:
    first, last = hits[0], hits[-1]
    user_id, since = user or (None, None)
    return Visitor(
        key=last.visitor,
        session_key=text(next((h.session_key for h in reversed(hits) if h.session_key), ""), 40),
        user_id=user_id,
        logged_in_at=None if user_id is None else since,
        referrer=text(first.referrer),
        url=text(last.url),
        page_views=len(hits),
        session_start=moment(first.time),
        last_update=moment(last.time),
        **_shown(last),
    )


def _last_user(hits: Sequence[PageHit]) -> tuple[Any, datetime] | None:
    """Return who was logged in last, if any of the pages has asked, and since which of them."""
    known = [hit for hit in hits if hit.user is not None]
    if not known:
        return None
    user = known[-1].user
    since = known[-1].time
    for hit in reversed(known):
        if hit.user != user:
            break
        since = hit.time
    return _user_key(user), moment(since)


def _user_key(text: str | None) -> Any:
    """Return the primary key of a user, or ``None`` for nobody and for what cannot be one."""
    if not text:
        return None
    try:
        return get_user_model()._meta.pk.to_python(text)
    except (ValidationError, ValueError, TypeError):  # written before the model was another one
        return None


def _visits_around(hits: Sequence[PageHit], using: str) -> dict[str, list[Visit]]:
    """Return the visits that one of the hits may belong to, by visitor, and lock them."""
    earliest = moment(min(hit.time for hit in hits)) - GAP
    latest = moment(max(hit.time for hit in hits)) + GAP
    near = Q(ended_at__gt=earliest, started_at__lt=latest)
    found: dict[str, list[Visit]] = {}
    keys = list({hit.visitor for hit in hits})
    for start in range(0, len(keys), 500):
        rows = Visit.objects.using(using).select_for_update()
        for visit in rows.filter(near, visitor_id__in=keys[start : start + 500]):
            found.setdefault(str(visit.visitor_id), []).append(visit)
    return found


def _visit_of(hit: PageHit, visits: list[Visit]) -> Visit:
    """Return the visit that a hit belongs to, with the hit counted; a new one if there is none."""
    time = moment(hit.time)
    for visit in visits:
        if visit.started_at - GAP < time < visit.ended_at + GAP:
            break
    else:
        visit = Visit(id=hit.id, visitor_id=hit.visitor, started_at=time, ended_at=time)
        visits.append(visit)
        _enter(visit, hit)
    if time < visit.started_at:  # delivered late
        visit.started_at = time
        _enter(visit, hit)
    if time >= visit.ended_at:
        visit.ended_at = time
        visit.exit_url = text(hit.url)
    if (user := _user_key(hit.user)) is not None:
        visit.user_id = user
    visit.page_views += 1
    return visit


def _enter(visit: Visit, hit: PageHit) -> None:
    """Note the page by which a visit has begun, and what its request shows of the browser."""
    visit.entry_url = text(hit.url)
    visit.referrer = text(hit.referrer)
    for name in _PARAMETERS:
        setattr(visit, name, text(hit.campaign.get(name, ""), MAX_PARAMETER))
    for name, value in _shown(hit).items():
        setattr(visit, name, value)


_PARAMETERS = ("source", "medium", "campaign", "term", "content")


def _shown(hit: PageHit) -> dict[str, Any]:
    """Return the values of the columns that tell of the browser."""
    return {
        "ip_address": hit.ip_address,
        "user_agent": text(hit.user_agent),
        **conclude(hit.ip_address, hit.user_agent),
    }


def _save_visits(visits: Sequence[Visit], using: str) -> None:
    """Insert what is new and update what is not, by one statement."""
    targeted = connections[using].features.supports_update_conflicts_with_target
    Visit.objects.using(using).bulk_create(
        visits,
        update_conflicts=True,
        unique_fields=["id"] if targeted else None,
        update_fields=_CHANGING,
    )


def _insert_views(views: Sequence[tuple[PageHit, Visit]], using: str) -> None:
    spelling = spelling_for(connections[using])

    def row(view: tuple[PageHit, Visit]) -> Row:
        hit, visit = view
        return (
            spelling.key(hit.id),
            spelling.key(visit.pk),
            spelling.time(moment(hit.time)),
            text(hit.url),
        )

    insert(PageView, ("id", "visit_id", "time", "url"), views, row, using, savepoint=False)


_CHANGING = [
    *("started_at", "ended_at", "entry_url", "exit_url", "page_views", "user", "referrer"),
    *_PARAMETERS,
    *visitors.SHOWN,
]


def _bring_up_to_date(
    all_seen: Mapping[str, _Seen], visits: Mapping[str, Sequence[Visit]], using: str
) -> None:
    """Write what the upsert could not know: since when a visitor is here, and as which user.

    Most batches change neither, and write nothing.
    """
    changed = []
    for key, visitor in visitors.stored(list(all_seen), using).items():
        before = _state(visitor)
        seen = all_seen[key]
        visit = max(visits[key], key=attrgetter("ended_at"))
        if visit.ended_at >= visitor.last_update:
            visitor.session_start, visitor.referrer = visit.started_at, visit.referrer
        if seen.user and seen.row.last_update >= visitor.last_update:
            if visitor.user_id != seen.row.user_id:
                visitor.logged_in_at = seen.row.logged_in_at
            visitor.user_id = seen.row.user_id
        if _state(visitor) != before:
            changed.append(visitor)
    if changed:
        Visitor.objects.using(using).bulk_update(changed, _STATE)


_STATE = ["session_start", "referrer", "user", "logged_in_at"]


def _state(visitor: Visitor) -> tuple[Any, ...]:
    return visitor.session_start, visitor.referrer, visitor.user_id, visitor.logged_in_at


def _announce(hits: Sequence[PageHit], using: str) -> None:
    if not visitor_seen.has_listeners(Visitor):
        return
    pages = Counter(hit.visitor for hit in hits)
    for key, visitor in Visitor.objects.using(using).in_bulk(list(pages), field_name="key").items():
        announce(visitor_seen, Visitor, visitor=visitor, page_views=pages[key])

"""Which page view belongs to which visit."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from operator import attrgetter
from uuid import UUID

from tracking.db.column_values import storable_text, storable_time
from tracking.db.upserts import PlainRow
from tracking.enrichment.campaigns import MAX_PARAMETER
from tracking.enrichment.referrers import origin
from tracking.hits import PageHit
from tracking.models import Visit
from tracking.models.visitors import VISIT_GAP
from tracking.recording.visitors import browser_columns, user_key

#: The columns with UTM parameters.
UTM_COLUMNS = ("source", "medium", "campaign", "term", "content")

#: The columns that say where a visit came from.
ORIGIN_COLUMNS = ("referrer_site", "channel", *UTM_COLUMNS)


class VisitHistory:
    """The visits of one visitor around a batch. Each page hit is added to its visit.

    The order of the hits does not matter: a hit that belongs to two visits joins them.

    Attributes:
        visits: all visits, changed or not.
        changed: the visits to save, by key.
        absorbed: the visits that each absorbed visit became part of, by its key.
        pages: each hit with the key of its visit.
        touched_times: times on the days whose counts have changed.
    """

    def __init__(self, visits: Iterable[PlainRow]) -> None:
        self.visits = list(visits)
        self.changed: dict[UUID, PlainRow] = {}
        self.absorbed: dict[UUID, PlainRow] = {}
        self.pages: list[tuple[PageHit, UUID]] = []
        self.touched_times: set[datetime] = set()

    def add(self, hit: PageHit) -> None:
        """Add a hit to its visit, or to a new visit if it belongs to none."""
        time = storable_time(hit.time)
        near = [v for v in self.visits if v.started_at - VISIT_GAP < time < v.ended_at + VISIT_GAP]
        if near:
            visit, *others = sorted(near, key=attrgetter("started_at"))
            for other in others:
                self._absorb(visit, other)
        else:
            visit = PlainRow.new(
                Visit, id=hit.id, visitor_id=hit.visitor, started_at=time, ended_at=time
            )
            self.visits.append(visit)
            _set_entry(visit, hit)
        has_other_entry = len(near) > 1 or time < visit.started_at
        self.touched_times.update(v.started_at for v in near)
        _add_page(visit, hit, time)
        self.touched_times |= {time, visit.started_at}
        if has_other_entry:  # its pages count as those of another referrer, on later days, too
            self.touched_times.update(_times_on_each_day(visit))
        self.changed[visit.id] = visit
        self.pages.append((hit, visit.id))

    def visit_with_key(self, key: UUID) -> PlainRow:
        """Return the changed visit with this key, or the visit that absorbed it."""
        while (absorber := self.absorbed.get(key)) is not None:
            key = absorber.id
        return self.changed[key]

    def _absorb(self, visit: PlainRow, other: PlainRow) -> None:
        visit.page_views += other.page_views
        visit.ended_at, visit.exit_url = other.ended_at, other.exit_url
        visit.user_id = other.user_id or visit.user_id
        self.visits.remove(other)
        self.changed.pop(other.id, None)
        self.absorbed[other.id] = visit


def _times_on_each_day(visit: PlainRow) -> Iterator[datetime]:
    """Yield times on all days of a visit."""
    time = visit.started_at
    while time < visit.ended_at:
        yield time
        time += timedelta(hours=12)
    yield visit.ended_at


def _add_page(visit: PlainRow, hit: PageHit, time: datetime) -> None:
    """Count a hit as a page of a visit."""
    is_latest = time >= visit.ended_at
    if time < visit.started_at:  # delivered late
        visit.started_at = time
        _set_entry(visit, hit)
    if is_latest:
        visit.ended_at = time
        visit.exit_url = storable_text(hit.url)
    user = user_key(hit.user)
    if user is not None and (is_latest or visit.user_id is None):
        visit.user_id = user
    visit.page_views += 1


def _set_entry(visit: PlainRow, hit: PageHit) -> None:
    """Make a hit the first page of a visit."""
    visit.entry_url = storable_text(hit.url)
    visit.referrer = storable_text(hit.referrer)
    for name, value in (origin_columns(hit) | browser_columns(hit)).items():
        setattr(visit, name, value)


def origin_columns(hit: PageHit) -> dict[str, str]:
    """Return the values of ``ORIGIN_COLUMNS`` for a visit that begins with a hit."""
    came_from = origin(hit.referrer, is_internal=hit.is_internal)
    campaign = hit.campaign
    return {
        "referrer_site": storable_text(came_from.source),
        "channel": str(came_from.channel),
        **{name: storable_text(campaign.get(name, ""), MAX_PARAMETER) for name in UTM_COLUMNS},
    }

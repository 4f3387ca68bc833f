"""What recipients of a mailing did: opens, clicks, and the pages and events after a click.

    for step in journey(affiliate, subscriber).steps:
        step.time, step.what, step.text

    next_pages(affiliate).rows       # what all of them saw after a click

A page belongs to the last click before it, of the same visitor, as an event does when it is
written: a later click of another mailing, or of another recipient in the same browser, ends the
journey.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Any, NamedTuple

from django.db.models import Model
from django.utils.translation import gettext_lazy

from tracking.db.chunks import in_batches
from tracking.hits import PAGE_VIEW, Kind, Reference
from tracking.journey.credit import attribution
from tracking.models import Beacon, PageView
from tracking.reports.filters import type_of
from tracking.rollups.metric_definitions import HUMAN

#: The maximum number of beacons and of pages that a journey is made of, the first ones.
MAX_STEPS = 1_000

#: The maximum number of browsers of one recipient, and of those that are read at once.
MAX_VISITORS = 100

#: The maximum number of clicks of a mailing whose pages are read, the first ones.
MAX_CLICKS = 5_000

#: The maximum number of beacons and of pages that are read of so many visitors.
MAX_SEEN = 5_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step of a journey.

    Attributes:
        time: when.
        what: the kind of the beacon, or ``page_view``.
        text: the destination of a click, the path of a page, or the name of an event.
        value: what an event is worth, or ``None``.
        verdict: who did it, a :class:`tracking.enrichment.verdict_rules.Label`.
    """

    time: datetime
    what: str
    text: str = ""
    value: Decimal | None = None
    verdict: str = HUMAN

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "time": self.time.isoformat(),
            "what": self.what,
            "text": self.text,
            "value": None if self.value is None else str(self.value),
            "verdict": self.verdict,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Journey:
    """What one recipient of a mailing did.

    Attributes:
        source: the mailing.
        entity: the recipient.
        steps: the steps, in the order of time.
        is_cut: whether there are more than could be read.
    """

    source: Reference
    entity: Reference
    steps: tuple[Step, ...]
    is_cut: bool

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "source": f"{self.source.label}:{self.source.pk}",
            "entity": f"{self.entity.label}:{self.entity.pk}",
            "steps": [step.as_dict() for step in self.steps],
            "is_cut": self.is_cut,
        }


class _Keys(NamedTuple):
    """A mailing and a recipient, as beacons store them."""

    source_type_id: int
    source_id: str
    entity_type_id: int
    entity_id: str


def journey(
    source: Model | Reference, entity: Model | Reference, *, with_pages: bool = True
) -> Journey:
    """Return what one recipient of a mailing did.

    Args:
        source: the mailing, a saved row of any model, or its reference.
        entity: the recipient, likewise.
        with_pages: whether to read the pages.

    Raises:
        LookupError: the site has no such model.
        ValueError: a row is not saved.
    """
    mailing, recipient = _reference(source), _reference(entity)
    keys = _Keys(type_of(mailing).pk, mailing.pk, type_of(recipient).pk, recipient.pk)
    beacons = list(Beacon.objects.filter(**keys._asdict()).order_by("time", "id")[:MAX_STEPS])
    is_cut = len(beacons) == MAX_STEPS
    clicks = [one for one in beacons if _is_click(one)]
    visitors = list(dict.fromkeys(one.visitor_id for one in clicks if one.visitor_id))
    steps = [_step(one) for one in beacons]
    if visitors:
        began = min(one.time for one in clicks if one.visitor_id)
        seen = _Seen(visitors[:MAX_VISITORS], began, MAX_STEPS)
        steps += [
            _step(event)
            for event, click in seen.events()
            # Those of another entity, such as the site's own user, are not among the beacons.
            if _keys(click) == keys and _keys(event)[:2] == keys[:2] and _keys(event) != keys
        ]
        if with_pages:
            pages = [
                Step(time=page.time, what=PAGE_VIEW, text=page.url) for page in seen.pages(keys)
            ]
            # First: an event that comes from a page has its time.
            steps = pages + steps
        is_cut |= seen.is_cut or len(visitors) > MAX_VISITORS
    return Journey(
        source=mailing,
        entity=recipient,
        steps=tuple(sorted(steps, key=attrgetter("time"))),
        is_cut=is_cut,
    )


class _Page(NamedTuple):
    """A page that somebody saw after a click.

    Attributes:
        visitor: the key of the visitor.
        time: when.
        url: the path.
        click: the last click before it.
    """

    visitor: str
    time: datetime
    url: str
    click: Beacon


class _Seen:
    """What some visitors did after their clicks in mailings, each with the last click before it.

    Args:
        visitors: the keys of the visitors.
        began: the time of the first click to look at.
        limit: the maximum number of beacons and of pages, the first ones.
    """

    def __init__(self, visitors: Sequence[str], began: datetime, limit: int) -> None:
        self._visitors, self._began, self._limit = visitors, began, limit
        within = attribution()
        self._within = timedelta(0) if within is None else within
        rows = Beacon.objects.filter(
            visitor_id__in=visitors,
            time__gte=began,
            kind__in=[Kind.CLICK, Kind.EVENT],
            source_id__isnull=False,
        )
        found = list(rows.order_by("time", "id")[:limit])
        self.is_cut = len(found) == limit
        self._events = [one for one in found if one.kind == Kind.EVENT]
        self._clicks: dict[str, list[Beacon]] = {key: [] for key in visitors}
        for one in found:
            if _is_click(one):
                self._clicks[str(one.visitor_id)].append(one)

    def events(self) -> Iterator[tuple[Beacon, Beacon]]:
        """Yield the events that belong to a click, each with the click."""
        for one in self._events:
            if click := self._last_click(str(one.visitor_id), one.time):
                yield one, click

    def pages(self, keys: tuple[Any, ...]) -> Iterator[_Page]:
        """Yield the pages that belong to clicks of a mailing, or of a recipient of it.

        Args:
            keys: the first of :class:`_Keys`, or all.
        """
        ours = [
            one.time
            for clicks in self._clicks.values()
            for one in clicks
            if _keys(one)[: len(keys)] == keys
        ]
        if not ours:
            return
        rows = PageView.objects.filter(
            visit__visitor_id__in=self._visitors,
            visit__ended_at__gte=self._began,
            visit__verdict=HUMAN,
            time__gte=self._began,
            time__lte=max(ours) + self._within,
        )
        in_order = rows.order_by("time").values_list("visit__visitor_id", "time", "url")
        found = list(in_order[: self._limit])
        self.is_cut |= len(found) == self._limit
        for visitor, time, url in found:
            click = self._last_click(str(visitor), time)
            if click is not None and _keys(click)[: len(keys)] == keys:
                yield _Page(str(visitor), time, url, click)

    def _last_click(self, visitor: str, time: datetime) -> Beacon | None:
        clicks = self._clicks[visitor]
        number = bisect_right(clicks, time, key=attrgetter("time"))
        last = clicks[number - 1] if number else None
        return None if last is None or time - last.time > self._within else last


@dataclass(frozen=True, kw_only=True, slots=True)
class NextPages:
    """The pages that the recipients of a mailing saw after a click.

    Attributes:
        rows: for each path the recipients (visitors, where none is known) and the page views,
            the most recipients first.
        is_cut: whether there are more clicks or pages than could be read.
    """

    rows: tuple[tuple[str, int, int], ...]
    is_cut: bool


def next_pages(source: Model | Reference) -> NextPages:
    """Return the pages that the recipients of a mailing saw after a click.

    Args:
        source: the mailing, a saved row of any model, or its reference.

    Raises:
        LookupError: the site has no such model.
        ValueError: the row is not saved.
    """
    mailing = _reference(source)
    keys = (type_of(mailing).pk, mailing.pk)
    rows = Beacon.objects.filter(source_type_id=keys[0], source_id=keys[1], kind=Kind.CLICK)
    rows = rows.filter(verdict=HUMAN, visitor_id__isnull=False).order_by("time")
    clicks = list(rows.values_list("visitor_id", "time")[:MAX_CLICKS])
    is_cut = len(clicks) == MAX_CLICKS
    began: dict[str, datetime] = {}
    for visitor, time in clicks:
        began.setdefault(str(visitor), time)
    views: Counter[str] = Counter()
    people: dict[str, set[Any]] = defaultdict(set)
    for some in in_batches(began, MAX_VISITORS):
        seen = _Seen(some, min(began[key] for key in some), MAX_SEEN)
        for page in seen.pages(keys):
            views[page.url] += 1
            entity = _keys(page.click)[2:]
            people[page.url].add(page.visitor if entity[1] is None else entity)
        is_cut |= seen.is_cut
    lines = [(url, len(people[url]), views[url]) for url in views]
    return NextPages(
        rows=tuple(sorted(lines, key=lambda line: (-line[1], -line[2], line[0]))), is_cut=is_cut
    )


def _reference(row: Model | Reference) -> Reference:
    return row if isinstance(row, Reference) else Reference.to(row)


def _is_click(one: Beacon) -> bool:
    return one.kind == Kind.CLICK and one.verdict == HUMAN


def _keys(one: Beacon) -> tuple[Any, ...]:
    return one.source_type_id, one.source_id, one.entity_type_id, one.entity_id


def _step(one: Beacon) -> Step:
    return Step(
        time=one.time,
        what=one.kind,
        text=one.event_name or one.url,
        value=one.event_value,
        verdict=one.verdict,
    )


#: What steps are called. Other kinds come from the site.
TITLES: Mapping[str, Any] = {**dict(Kind.choices), PAGE_VIEW: gettext_lazy("Page")}

"""What one recipient of a mailing did: opens, clicks, and the pages and events after a click.

    for step in journey(affiliate, subscriber).steps:
        step.time, step.what, step.text

A page belongs to the last click before it, of the same visitor, as an event does when it is
written: a later click of another mailing, or of another recipient in the same browser, ends the
journey.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Any, NamedTuple

from django.db.models import Model
from django.utils.translation import gettext_lazy

from tracking.enrichment.verdict_rules import Label
from tracking.hits import PAGE_VIEW, Kind, Reference
from tracking.journey.credit import attribution
from tracking.models import Beacon, PageView
from tracking.reports.filters import type_of
from tracking.rollups.metric_definitions import HUMAN

#: The maximum number of beacons and of pages that a journey is made of, the first ones.
MAX_BEACONS, MAX_PAGES = 1_000, 1_000

#: The maximum number of browsers of one recipient.
MAX_VISITORS = 100


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
    beacons = list(Beacon.objects.filter(**keys._asdict()).order_by("time", "id")[:MAX_BEACONS])
    is_cut = len(beacons) == MAX_BEACONS
    clicks = [one for one in beacons if _is_click(one)]
    visitors = list(dict.fromkeys(one.visitor_id for one in clicks if one.visitor_id))
    steps = [_step(one) for one in beacons]
    if visitors:
        began = min(one.time for one in clicks if one.visitor_id)
        ours = _Ours(keys, visitors[:MAX_VISITORS], began)
        steps += map(_step, ours.events)
        if with_pages:
            pages = ours.pages
            # First: an event that comes from a page has its time.
            steps = [Step(time=time, what=PAGE_VIEW, text=url) for time, url in pages] + steps
            is_cut |= len(pages) == MAX_PAGES
        is_cut |= len(visitors) > MAX_VISITORS
    return Journey(
        source=mailing,
        entity=recipient,
        steps=tuple(sorted(steps, key=attrgetter("time"))),
        is_cut=is_cut,
    )


class _Ours:
    """What the visitors of a recipient did after their clicks.

    Args:
        keys: the mailing and the recipient.
        visitors: the keys of the visitors.
        began: the time of the first click.
    """

    def __init__(self, keys: _Keys, visitors: Sequence[str], began: datetime) -> None:
        self._keys, self._visitors, self._began = keys, visitors, began
        within = attribution()
        self._within = timedelta(0) if within is None else within
        rows = Beacon.objects.filter(
            visitor_id__in=visitors,
            time__gte=began,
            kind__in=[Kind.CLICK, Kind.EVENT],
            source_id__isnull=False,
        )
        found = list(rows.order_by("time", "id")[:MAX_BEACONS])
        self._events = [one for one in found if one.kind == Kind.EVENT]
        self._clicks: dict[str, list[Beacon]] = {key: [] for key in visitors}
        for one in found:
            if _is_click(one):
                self._clicks[str(one.visitor_id)].append(one)

    @property
    def events(self) -> list[Beacon]:
        """The events of the mailing that have another entity, such as the site's own user."""
        return [
            one
            for one in self._events
            if _keys(one)[:2] == self._keys[:2]
            and _keys(one) != self._keys
            and self._is_ours(str(one.visitor_id), one.time)
        ]

    @property
    def pages(self) -> list[tuple[datetime, str]]:
        """The times and paths of the pages."""
        last = max(one.time for clicks in self._clicks.values() for one in clicks)
        rows = PageView.objects.filter(
            visit__visitor_id__in=self._visitors,
            visit__ended_at__gte=self._began,
            visit__verdict=Label.HUMAN,
            time__gte=self._began,
            time__lte=last + self._within,
        )
        seen = rows.order_by("time").values_list("visit__visitor_id", "time", "url")[:MAX_PAGES]
        return [(time, url) for key, time, url in seen if self._is_ours(str(key), time)]

    def _is_ours(self, visitor: str, time: datetime) -> bool:
        """Return whether the last click of a visitor before a moment is one of these."""
        clicks = self._clicks[visitor]
        number = bisect_right(clicks, time, key=attrgetter("time"))
        if not number:
            return False
        last = clicks[number - 1]
        return _keys(last) == self._keys and time - last.time <= self._within


def _reference(row: Model | Reference) -> Reference:
    return row if isinstance(row, Reference) else Reference.to(row)


def _is_click(one: Beacon) -> bool:
    return one.kind == Kind.CLICK and one.verdict == Label.HUMAN


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

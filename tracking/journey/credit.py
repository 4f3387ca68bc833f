"""Events are credited to the mailing that led to them.

An event without a source gets that of the last click before it, by its entity, or else by its
visitor; one without an entity gets that of the click, too. This happens once, when the event is
written: later clicks are no part of the question, and what is written never changes.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from operator import attrgetter

import msgspec

from tracking.conf import conf
from tracking.db.column_values import storable_time
from tracking.enrichment.enrich import enrich_user_agent
from tracking.enrichment.verdict_rules import Label
from tracking.hits import Hit, Kind, Reference
from tracking.journey import last_clicks
from tracking.journey.last_clicks import Click, Question
from tracking.journey.page_goals import is_of_page
from tracking.recipient_consent.decisions import find_refusing

#: The maximum of ``TRACKING_ATTRIBUTION_DAYS``: ten years.
MAX_DAYS = 3_660


def give_credit(hits: Sequence[Hit], using: str) -> Sequence[Hit]:
    """Return the hits of a batch with the events credited. It makes no query without events.

    Events that come from pages are left out if no mailing led to them. The clicks of a recipient
    who no longer agrees to them lead to nothing.

    Args:
        hits: the hits. Clicks among them count as written.
        using: the database alias.

    Raises:
        django.db.DatabaseError: the database failed.
    """
    events = [hit for hit in hits if hit.kind == _EVENT and hit.source is None]
    if not events:
        return hits
    last = _LastClicks(hits, events, using)
    clicks = {hit.id: last.of(hit) for hit in events}
    refusing = find_refusing(
        Kind.CLICK, (one.entity for one in clicks.values() if one and one.entity)
    )
    credited = {
        hit.id: _credited(hit, click)
        for hit in events
        if (click := clicks[hit.id]) is not None and click.entity not in refusing
    }
    found = [credited.get(hit.id, hit) for hit in hits]
    return [hit for hit in found if hit.source is not None or not is_of_page(hit)]


_EVENT = Kind.EVENT.value


def attribution() -> timedelta | None:
    """Return how long before an event its click may be, or ``None`` to credit nothing.

    A wrong setting credits nothing; the system checks report it.
    """
    days = conf.attribution_days
    if isinstance(days, bool) or not isinstance(days, int | float) or not 0 < days <= MAX_DAYS:
        return None
    return timedelta(days=days)


def _credited(hit: Hit, click: Click) -> Hit:
    return msgspec.structs.replace(hit, source=click.source, entity=hit.entity or click.entity)


class _LastClicks:
    """The last clicks before some events."""

    def __init__(self, hits: Iterable[Hit], events: Iterable[Hit], using: str) -> None:
        self._found: dict[Question, Click] = {}
        within = attribution()
        if within is None:
            return
        questions = [question for hit in events for question in _questions(hit)]
        self._found.update(last_clicks.find(questions, within, using))
        clicks = _clicks_of(hits)
        for question in questions:
            time, some = storable_time(question.time), clicks.get(question.who, ())
            number = bisect_right(some, time, key=attrgetter("time"))
            if number and some[number - 1].time >= time - within:
                self._found[question] = _later(some[number - 1], self._found.get(question))

    def of(self, hit: Hit) -> Click | None:
        """Return the click that led to an event: that of its entity, or else of its visitor."""
        known = (self._found.get(question) for question in _questions(hit))
        return next((click for click in known if click is not None), None)


def _questions(hit: Hit) -> Iterator[Question]:
    if hit.entity is not None:
        yield Question(hit.entity, hit.time)
    if hit.visitor is not None:
        yield Question(hit.visitor, hit.time)


def _clicks_of(hits: Iterable[Hit]) -> Mapping[Reference | str, list[Click]]:
    """Return the clicks of a batch by recipient and by visitor, in the order of time."""
    found: dict[Reference | str, list[Click]] = {}
    for hit in hits:
        if hit.kind == Kind.CLICK and hit.source is not None and _is_human(hit):
            click = Click(storable_time(hit.time), hit.id, hit.source, hit.entity)
            for who in (hit.entity, hit.visitor):
                if who is not None:
                    found.setdefault(who, []).append(click)
    return {who: sorted(clicks, key=_order) for who, clicks in found.items()}


def _is_human(hit: Hit) -> bool:
    return bool(enrich_user_agent(hit.user_agent)["verdict"] == Label.HUMAN)


def _later(one: Click, other: Click | None) -> Click:
    return one if other is None else max(one, other, key=_order)


_order = attrgetter("time", "id")

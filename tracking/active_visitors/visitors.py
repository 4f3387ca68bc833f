"""The list of active visitors, with their visits, pages and beacons."""

from collections.abc import Iterable

from tracking.active_visitors.places import visitors_at
from tracking.models import Beacon, PageView, Visit, Visitor


def latest_visitors(limit: int, place: str = "") -> list[Visitor]:
    """Return the active visitors, latest first.

    Args:
        limit: the maximum number.
        place: the key of a :class:`~tracking.active_visitors.places.Place`, to get its visitors
            only. There are none at an unknown place.
    """
    visitors = Visitor.objects.active()
    if place:
        where = visitors_at(place)
        if where is None:
            return []
        visitors = visitors.filter(where)
    return list(visitors[:limit])


def current_visits(visitors: Iterable[Visitor]) -> dict[str, Visit]:
    """Return the current visits by the key of their visitor, with one query.

    A visitor whose visit is not recorded yet, or was deleted, has none.
    """
    by_key = {visitor.key: visitor for visitor in visitors}
    if not by_key:
        return {}
    since = min(visitor.session_start for visitor in by_key.values())
    visits = Visit.objects.filter(visitor__in=list(by_key), ended_at__gte=since).order_by(
        "ended_at"
    )
    return {str(visit.visitor_id): visit for visit in visits}


def latest_pages(visit: Visit, limit: int) -> list[PageView]:
    """Return the latest pages of a visit, latest first."""
    return list(PageView.objects.filter(visit=visit).order_by("-time")[:limit])


def latest_beacons(visitor: Visitor, limit: int) -> list[Beacon]:
    """Return the latest beacons of a visitor, latest first: the mails and links they used."""
    return list(Beacon.objects.filter(visitor=visitor).order_by("-time")[:limit])

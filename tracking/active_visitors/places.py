"""Where the active visitors are, for a map.

Example::

    now = count_by_place()
    now.visitors, now.machines, [place.city for place in now.places]

The size of the result depends on the number of places, not of visitors. If there are too many
places, nearby ones are merged.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db.models import Count, Max, Q

from tracking.caching.ttl import CachedQuery
from tracking.db.isolation import savepoints
from tracking.enrichment.verdict_rules import Label
from tracking.models import Visitor

#: At most this many places; countries whose visitors have no coordinates come on top.
MAX_PLACES = 250

#: Reads at most this many rows, those with the most visitors.
MAX_ROWS = 5_000

#: Possible widths of a place in tenths of a degree (about 11 km), narrowest first.
WIDTHS = (1, 5, 10, 20, 35, 50, 70, 100, 200, 400)

#: Counting may take this share of the time; meanwhile the last result is used.
MAX_SHARE = 0.1

#: Seconds after which a result is always outdated.
MAX_AGE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place with active visitors.

    Attributes:
        key: an argument of :func:`tracking.active_visitors.visitors.latest_visitors`, fit for
            URLs.
        country: ISO 3166-1 code, two letters, or ``""`` if unknown.
        city: the city with the most visitors, or ``""``.
        others: how many other cities belong to the place.
        latitude: mean of the visitors in degrees, or ``None`` if unknown.
        longitude: likewise.
        visitors: how many there are.
        newest: when the latest of them arrived.
    """

    key: str
    country: str
    city: str
    others: int
    latitude: float | None
    longitude: float | None
    visitors: int
    newest: datetime


@dataclass(frozen=True, slots=True)
class VisitorsByPlace:
    """The active visitors by place.

    Attributes:
        visitors: how many there are, including machines.
        machines: how many of them are machines.
        places: where they are, most visitors first.
    """

    visitors: int
    machines: int
    places: tuple[Place, ...]


class _Row(NamedTuple):
    country: str
    city: str
    latitude: float | None
    longitude: float | None
    visitors: int
    machines: int
    newest: datetime


def _count() -> VisitorsByPlace:
    people, machines = Count("pk"), Count("pk", filter=~Q(verdict=Label.HUMAN))
    active = Visitor.objects.active().order_by()
    with savepoints():
        found = active.values_list("country", "city", "latitude", "longitude").annotate(
            visitors=people, machines=machines, newest=Max("session_start")
        )
        rows = [_Row(*row) for row in found.order_by("-visitors")[:MAX_ROWS]]
        if len(rows) < MAX_ROWS:
            numbers = (sum(row.visitors for row in rows), sum(row.machines for row in rows))
        else:
            total = active.aggregate(visitors=people, machines=machines)
            numbers = (total["visitors"], total["machines"])
    return VisitorsByPlace(*numbers, _places(rows))


#: Return the active visitors by place, with at most two queries. The process remembers the
#: result for ten times as long as the queries took.
count_by_place = CachedQuery(Visitor, _count, lambda took: min(MAX_AGE, took / MAX_SHARE))


def _places(rows: list[_Row]) -> tuple[Place, ...]:
    """Return the places of these rows, as narrow as ``MAX_PLACES`` allows."""
    for width in WIDTHS:
        cells: dict[str, list[_Row]] = {}
        for row in rows:
            cells.setdefault(_key(row, width), []).append(row)
        if len(cells) <= MAX_PLACES:  # the widest cells always do
            break
    places = (_place(key, members) for key, members in cells.items())
    return tuple(sorted(places, key=lambda place: (-place.visitors, place.key)))


def _key(row: _Row, width: int) -> str:
    if row.latitude is None or row.longitude is None:
        return f"in:{row.country}"
    return f"at:{_cell(row.latitude, width)},{_cell(row.longitude, width)},{width}"


def _cell(degrees: float, width: int) -> int:
    """Return the cell of a coordinate, consistent with ``_edges`` despite rounding."""
    cell = math.floor(degrees * 10 / width)
    low, high = _edges(cell, width)
    return cell - (degrees < low) + (degrees >= high)


def _edges(cell: int, width: int) -> tuple[float, float]:
    """Return the bounds of a cell in degrees, the second one exclusive."""
    return cell * width / 10, (cell + 1) * width / 10


def _place(key: str, members: list[_Row]) -> Place:
    visitors = sum(row.visitors for row in members)
    by_city: dict[tuple[str, str], int] = {}
    for row in members:
        name = (row.country, row.city)
        by_city[name] = by_city.get(name, 0) + row.visitors
    country, city = max(by_city, key=lambda name: (by_city[name], name))
    return Place(
        key=key,
        country=country,
        city=city if key.startswith("at:") or len(by_city) == 1 else "",
        others=len(by_city) - 1 if key.startswith("at:") else 0,
        latitude=_mean((row.latitude, row.visitors) for row in members),
        longitude=_mean((row.longitude, row.visitors) for row in members),
        visitors=visitors,
        newest=max(row.newest for row in members),
    )


def _mean(weighted: Iterable[tuple[float | None, int]]) -> float | None:
    known = [(value, weight) for value, weight in weighted if value is not None]
    weights = sum(weight for _value, weight in known)
    return sum(value * weight for value, weight in known) / weights if weights else None


def visitors_at(key: str) -> Q | None:
    """Return the condition that selects the visitors of a place.

    Args:
        key: the key of a :class:`Place`.

    Returns:
        The condition, or ``None`` if the key is malformed.
    """
    kind, _colon, rest = key.partition(":")
    if kind == "in" and (not rest or (len(rest) == 2 and rest.isascii() and rest.isalpha())):  # noqa: PLR2004
        return Q(country=rest) & (Q(latitude=None) | Q(longitude=None))
    try:
        north, east, width = map(int, rest.split(","))
    except ValueError:
        return None
    if kind != "at" or width not in WIDTHS or max(abs(north), abs(east)) > 1_800:  # noqa: PLR2004
        return None
    (south, north_edge), (west, east_edge) = _edges(north, width), _edges(east, width)
    return Q(
        latitude__gte=south, latitude__lt=north_edge, longitude__gte=west, longitude__lt=east_edge
    )

"""Where the active visitors are, for a map.

    now = count_by_place()
    now.visitors, now.machines, [place.city for place in now.places]

Visitors at one place are one row of the answer, so that its size depends on the places and
not on the visitors. Where there are too many places as well, those that are close to each
other become one.
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

#: Places that one answer tells apart, besides countries of which no more is known.
MAX_PLACES = 250

#: Rows of the database that it is made of at most, those with the most visitors.
MAX_ROWS = 5_000

#: How wide a place may be, in tenths of a degree (about eleven kilometres), the narrowest first.
WIDTHS = (1, 5, 10, 20, 35, 50, 70, 100, 200, 400)

#: Counting takes at most this share of the time; in between the last answer is good.
SHARE = 0.1

#: Seconds after which it is counted again in any case.
MAX_AGE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Visitors who are close to each other.

    Attributes:
        key: what :func:`tracking.active_visitors.visitors.latest` finds them by; fit for URLs.
        country: ISO 3166-1, two letters, or ``""`` where even that is not known.
        city: where most of them are, or ``""``.
        others: how many other cities are part of it.
        latitude, longitude: degrees, in the midst of them; or both ``None``.
        visitors: how many they are.
        newest: when the latest of them came.
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
    """Who is on the site.

    Attributes:
        visitors: how many, machines among them.
        machines: how many of these are known to be machines.
        places: where they are, the most visited first.
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


def _counted() -> VisitorsByPlace:
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


#: Return who is on the site now, by place; by two queries at most. What takes long to count
#: is remembered for ten times as long, for all who look through this process.
count_by_place = CachedQuery(Visitor, _counted, lambda took: min(MAX_AGE, took / SHARE))


def _places(rows: list[_Row]) -> tuple[Place, ...]:
    """Return the places of these rows, as narrow as is possible without being too many."""
    for width in WIDTHS:
        cells: dict[str, list[_Row]] = {}
        for row in rows:
            cells.setdefault(_key(row, width), []).append(row)
        if len(cells) <= MAX_PLACES:  # the widest are few enough in any case
            break
    places = (_place(key, members) for key, members in cells.items())
    return tuple(sorted(places, key=lambda place: (-place.visitors, place.key)))


def _key(row: _Row, width: int) -> str:
    if row.latitude is None or row.longitude is None:
        return f"in:{row.country}"
    return f"at:{_cell(row.latitude, width)},{_cell(row.longitude, width)},{width}"


def _cell(degrees: float, width: int) -> int:
    """Return in which cell of that width a coordinate is: ``_edges`` has the same opinion."""
    cell = math.floor(degrees * 10 / width)
    low, high = _edges(cell, width)
    return cell - (degrees < low) + (degrees >= high)


def _edges(cell: int, width: int) -> tuple[float, float]:
    """Return between which degrees a cell lies, the second one excluded."""
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
    """Return the condition that a visitor is at a place, or ``None`` if there is no such key."""
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

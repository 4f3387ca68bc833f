"""Opens and clicks of many objects at once, for lists of them.

    tallies("source", affiliates)[str(affiliate.pk)].unique_opens

Of sources, days that are counted are read from their counts; as in a report of one.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from django.contrib.contenttypes.models import ContentType
from django.db import router
from django.db.models import (
    Case,
    Count,
    DateTimeField,
    Exists,
    Min,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)

from tracking.db.column_values import storable_time
from tracking.enrichment.verdict_rules import Label
from tracking.hits import Kind
from tracking.models import Beacon, DailyCount
from tracking.rollups.build import first_day
from tracking.rollups.days import DAY, Cells, start_of, today
from tracking.rollups.read import Days
from tracking.rollups.site_counts import recipient
from tracking.rollups.sources import Tie


class Tally(NamedTuple):
    """What people did with one object: proxies and machines are left out.

    Attributes:
        opens: images loaded.
        unique_opens: recipients who did it, each once.
        clicks: links followed.
        unique_clicks: recipients who did it, each once.
    """

    opens: int = 0
    unique_opens: int = 0
    clicks: int = 0
    unique_clicks: int = 0

    def plus(self, other: "Tally") -> "Tally":
        """Return both together."""
        return Tally(*(mine + its for mine, its in zip(self, other, strict=True)))


#: What is counted of a source, by facet and value: the attribute, and the column.
_COUNTS = {
    ("kinds", "open human"): ("opens", "total"),
    ("kinds", "click human"): ("clicks", "total"),
    ("deeds", "opened"): ("unique_opens", "uniques"),
    ("deeds", "clicked"): ("unique_clicks", "uniques"),
}


def tallies(role: str, instances: Sequence[Model]) -> Mapping[str, Tally]:
    """Return the tallies of objects by their keys as text, by a few queries for all of them.

    Args:
        role: what they are to beacons: ``"source"``, ``"target"`` or ``"entity"``. Only
            sources are counted day by day; of others all beacons are read.
        instances: saved rows of one model.
    """
    found = {str(instance.pk): Tally() for instance in instances}
    if not found:
        return found
    type_id = ContentType.objects.get_for_model(instances[0]).pk
    if role == "source":
        return _of_sources(type_id, found)
    rows = Beacon.objects.filter(**{f"{role}_type": type_id, f"{role}_id__in": list(found)})
    return _plus(found, _uniques(rows, role), _totals(rows, role))


def _of_sources(type_id: int, found: dict[str, Tally]) -> dict[str, Tally]:
    days = _days()
    if days is None:
        return found
    counted = _counted(type_id, list(found), days)
    rows = Beacon.objects.filter(source_type=type_id, source_id__in=list(found))
    if not days.open:
        return _plus(found, counted)
    cells = Cells.of_days(days.open[0], days.last)
    rows = rows.filter(cells.within("time"))
    new = rows
    if days.open[0] > days.first:
        began = _began(type_id, list(found), cells.starts[0])
        new = rows.annotate(source_began=began)
        for did_before in _did_before(cells.starts[0]):
            new = new.exclude(did_before)
    return _plus(found, counted, _uniques(new, "source", cells), _totals(rows, "source"))


def _days() -> Days | None:
    """Return all days there are."""
    using = router.db_for_read(DailyCount)
    counted = DailyCount.objects.using(using).order_by("day").values_list("day", flat=True).first()
    known = [day for day in (counted, first_day(using)) if day is not None]
    return Days.between(min(known), max(today(), *known)) if known else None


def _counted(type_id: int, keys: Sequence[str], days: Days) -> dict[str, Tally]:
    """Return what is counted until the first day that is not."""
    scopes = {Tie(type_id, key).scope: key for key in keys}
    last = days.open[0] - DAY if days.open else days.last
    rows = DailyCount.objects.using(router.db_for_read(DailyCount)).filter(
        scope__in=list(scopes), facet__in=["kinds", "deeds"], day__range=(days.first, last)
    )
    values = [value for _facet, value in _COUNTS]
    sums = rows.filter(value__in=values).order_by().values("scope", "facet", "value")
    sums = sums.annotate(sum_total=Sum("total"), sum_uniques=Sum("uniques"))
    found: dict[str, Tally] = {}
    columns = ("scope", "facet", "value", "sum_total", "sum_uniques")
    for scope, facet, value, total, uniques in sums.values_list(*columns):
        if counts := _COUNTS.get((facet, value)):
            name, column = counts
            number = int(total if column == "total" else uniques)
            tally = found.get(scopes[scope], Tally())
            found[scopes[scope]] = tally._replace(**{name: number})
    return found


def _began(type_id: int, keys: Sequence[str], start: datetime) -> Case:
    """Return the expression that tells when a source began, as far as that is counted.

    Without it the index over entities would lead to all that they ever did with others.

    Args:
        type_id: the key of the content type of the sources.
        keys: their own keys.
        start: what is told of those that began later.
    """
    scopes = {Tie(type_id, key).scope: key for key in keys}
    rows = DailyCount.objects.using(router.db_for_read(DailyCount))
    days = rows.filter(scope__in=list(scopes), facet="kinds").order_by().values("scope")
    firsts = days.annotate(first=Min("day")).values_list("scope", "first")
    return Case(
        *(
            When(source_id=scopes[scope], then=Value(storable_time(start_of(day))))
            for scope, day in firsts
        ),
        default=Value(storable_time(start)),
        output_field=DateTimeField(),
    )


def _did_before(start: datetime) -> Iterator[Exists]:
    """Yield the conditions that a recipient has done the same before, as far as it is known.

    One for each index: of both in one condition PostgreSQL uses less.
    """
    same = ("source_type", "source_id", "kind", "verdict")
    earlier = Beacon.objects.filter(
        time__gte=OuterRef("source_began"),
        time__lt=storable_time(start),
        **{name: OuterRef(name) for name in same},
    )
    by_entity = Q(entity_type=OuterRef("entity_type"), entity_id=OuterRef("entity_id"))
    by_visitor = Q(entity_type=None, visitor=OuterRef("visitor"))
    yield Exists(earlier.filter(by_entity))
    yield Exists(earlier.filter(by_visitor))


def _people(rows: QuerySet[Beacon]) -> QuerySet[Beacon]:
    return rows.filter(kind__in=[Kind.OPEN, Kind.CLICK], verdict=Label.HUMAN).order_by()


def _totals(rows: QuerySet[Beacon], role: str) -> dict[str, Tally]:
    counted = _people(rows).values(f"{role}_id", "kind").annotate(n=Count("pk"))
    return _by_kind(counted.values_list(f"{role}_id", "kind", "n"), "opens", "clicks")


def _uniques(rows: QuerySet[Beacon], role: str, cells: Cells | None = None) -> dict[str, Tally]:
    who = recipient(None if cells is None else cells.number("time"))
    grouped = _people(rows).values(f"{role}_id", "kind")
    counted = grouped.annotate(n=Count(who, distinct=True))
    names = ("unique_opens", "unique_clicks")
    return _by_kind(counted.values_list(f"{role}_id", "kind", "n"), *names)


def _by_kind(
    counted: "QuerySet[Beacon, tuple[str | None, str, int]]", of_opens: str, of_clicks: str
) -> dict[str, Tally]:
    found: dict[str, Tally] = {}
    for key, kind, number in counted:
        name = of_opens if kind == Kind.OPEN else of_clicks
        tally = found.get(str(key), Tally())
        found[str(key)] = tally._replace(**{name: number})
    return found


def _plus(found: Mapping[str, Tally], *others: Mapping[str, Tally]) -> dict[str, Tally]:
    sums = dict(found)
    for other in others:
        for key, tally in other.items():
            sums[key] = sums[key].plus(tally)
    return sums

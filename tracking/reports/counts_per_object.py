"""Opens and clicks of many objects at once, for lists of them.

    counts_per_object("source", affiliates)[str(affiliate.pk)].opened

The numbers are those of :func:`tracking.reports.campaign`. Days that are counted are read from
their counts; only sources have such.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from django.contrib.contenttypes.models import ContentType
from django.db import router
from django.db.models import (
    Case,
    Count,
    DateTimeField,
    Exists,
    Max,
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
from tracking.models import Beacon, DailyCount
from tracking.rollups.build import first_day
from tracking.rollups.days import DAY, EARLIEST, Intervals, day_of, start_of, today
from tracking.rollups.metric_definitions import (
    ACTIONS,
    CLICKS,
    HAS_ENTITY,
    OPENS,
    OPENS_AND_CLICKS,
    RECOGNIZED_VISITOR,
    beacons_with,
    recipient,
)
from tracking.rollups.read import Days
from tracking.rollups.source_counts import SourceKey


class ObjectCounts(NamedTuple):
    """What people did with one object.

    Attributes:
        opens: images loaded by people, or by mail proxies for them.
        opened: recipients who opened, each counted once.
        clicks: links followed by people.
        clicked: recipients who clicked, each counted once.
    """

    opens: int = 0
    opened: int = 0
    clicks: int = 0
    clicked: int = 0

    def plus(self, other: "ObjectCounts") -> "ObjectCounts":
        """Return the sums of both."""
        return ObjectCounts(*(mine + its for mine, its in zip(self, other, strict=True)))


#: The actions that are counted by recipient.
_UNIQUE = ("opened", "clicked")

#: Stored counts of a source: attribute and column by facet and value.
_STORED = {
    ("kinds", "open human"): ("opens", "total"),
    ("kinds", "open proxy"): ("opens", "total"),
    ("kinds", "click human"): ("clicks", "total"),
    **{("actions", name): (name, "uniques") for name in _UNIQUE},
}

_ByKey = dict[str, ObjectCounts]


def counts_per_object(role: str, instances: Sequence[Model]) -> Mapping[str, ObjectCounts]:
    """Return the counts of objects by their keys as text, by a few queries for all of them.

    Args:
        role: their role in beacons: ``"source"``, ``"target"`` or ``"entity"``. All beacons of
            targets and entities are read.
        instances: saved rows of one model.
    """
    found = {str(instance.pk): ObjectCounts() for instance in instances}
    if not found:
        return found
    type_id = ContentType.objects.get_for_model(instances[0]).pk
    if role == "source":
        return _of_sources(type_id, found)
    rows = Beacon.objects.filter(**{f"{role}_type": type_id, f"{role}_id__in": list(found)})
    rows = rows.filter(OPENS_AND_CLICKS)
    ends = rows.filter(time__gte=storable_time(start_of(EARLIEST))).aggregate(
        Min("time"), Max("time")
    )
    if ends["time__min"] is None:
        return found
    last = min(day_of(ends["time__max"]), today() + DAY)
    intervals = Intervals.of_days(max(day_of(ends["time__min"]), last - _LONGEST), last)
    rows = rows.filter(intervals.within("time"))
    return _sums(found, _counted(rows, role, intervals, dict.fromkeys(_UNIQUE, Q())))


#: The maximum number of days of targets and entities: ten years. Earlier ones are left out.
_LONGEST = DAY * 3_659


def _of_sources(type_id: int, found: _ByKey) -> _ByKey:
    days = _all_days()
    if days is None:
        return found
    stored = _stored(type_id, list(found), days)
    if not days.open:
        return _sums(found, stored)
    intervals = Intervals.of_days(days.open[0], days.last)
    rows = Beacon.objects.filter(source_type=type_id, source_id__in=list(found))
    rows = rows.filter(intervals.within("time"))
    is_new = dict.fromkeys(_UNIQUE, Q())
    if days.open[0] > days.first:
        began = _began(type_id, list(found), intervals.starts[0])
        rows = rows.annotate(source_began=began, recognized_visitor=RECOGNIZED_VISITOR)
        is_new = {name: _is_new(rows, name, intervals.starts[0]) for name in _UNIQUE}
    return _sums(found, stored, _counted(rows, "source", intervals, is_new))


def _all_days() -> Days | None:
    """Return all days with rows or counts, or ``None`` if there are none."""
    using = router.db_for_read(DailyCount)
    counted = DailyCount.objects.using(using).order_by("day").values_list("day", flat=True).first()
    begin = first_day(using)
    known = [day for day in (counted, begin) if day is not None]
    # If a clock is ahead, hits may be of tomorrow.
    return Days.between(min(known), today() + DAY, begin) if known else None


def _stored(type_id: int, keys: Sequence[str], days: Days) -> _ByKey:
    """Return the stored counts up to the first uncounted day."""
    scopes = {SourceKey(type_id, key).scope: key for key in keys}
    last = days.open[0] - DAY if days.open else days.last
    rows = DailyCount.objects.using(router.db_for_read(DailyCount)).filter(
        scope__in=list(scopes),
        facet__in={facet for facet, _value in _STORED},
        value__in={value for _facet, value in _STORED},
        day__range=(days.first, last),
    )
    sums = rows.order_by().values("scope", "facet", "value")
    sums = sums.annotate(sum_total=Sum("total"), sum_uniques=Sum("uniques"))
    found: _ByKey = {}
    columns = ("scope", "facet", "value", "sum_total", "sum_uniques")
    for scope, facet, value, total, uniques in sums.values_list(*columns):
        if counts := _STORED.get((facet, value)):
            name, column = counts
            number = int(total if column == "total" else uniques)
            of_key = found.get(scopes[scope], ObjectCounts())
            found[scopes[scope]] = of_key.plus(ObjectCounts(**{name: number}))
    return found


def _began(type_id: int, keys: Sequence[str], start: datetime) -> Case:
    """Return the expression of when a source began, as far as that is stored.

    Without it, the index over entities leads to all beacons of other sources.

    Args:
        type_id: the key of the content type of the sources.
        keys: their own keys.
        start: the value for sources that began later.
    """
    scopes = {SourceKey(type_id, key).scope: key for key in keys}
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


def _is_new(rows: QuerySet[Beacon], action: str, start: datetime) -> Q:
    """Return the condition that the recipient of a beacon had not done something before.

    Args:
        rows: the beacons, with ``source_began`` and ``recognized_visitor``.
        action: one of :data:`tracking.rollups.metric_definitions.ACTIONS`.
        start: before when (aware).
    """
    earlier = Beacon.objects.filter(
        beacons_with(ACTIONS[action]),
        time__gte=OuterRef("source_began"),
        time__lt=storable_time(start),
        source_type=OuterRef("source_type"),
        source_id=OuterRef("source_id"),
    )
    by_entity = earlier.filter(entity_type=OuterRef("entity_type"), entity_id=OuterRef("entity_id"))
    by_visitor = earlier.filter(~HAS_ENTITY, visitor=OuterRef("recognized_visitor"))
    return ~Q(Exists(by_entity)) & ~Q(Exists(by_visitor))


def _counted(
    rows: QuerySet[Beacon], role: str, intervals: Intervals, is_new: Mapping[str, Q]
) -> _ByKey:
    """Return the counts of beacons, in one query.

    Args:
        rows: the beacons.
        role: their role that is the object.
        intervals: the days of the beacons.
        is_new: by action, the condition that a recipient had not done it before.
    """
    who = recipient(intervals.index_expression("time"))
    measures = {
        "opens": Count("pk", filter=OPENS),
        "clicks": Count("pk", filter=CLICKS),
        **{
            name: Count(who, distinct=True, filter=beacons_with(ACTIONS[name]) & condition)
            for name, condition in is_new.items()
        },
    }
    rows = rows.filter(OPENS_AND_CLICKS).order_by()
    key = f"{role}_id"
    grouped = rows.values(key).annotate(**measures)
    return {
        pk: ObjectCounts(**dict(zip(measures, numbers, strict=True)))
        for pk, *numbers in grouped.values_list(key, *measures)
    }


def _sums(found: _ByKey, *others: _ByKey) -> _ByKey:
    sums = dict(found)
    for other in others:
        for key, counts in other.items():
            sums[key] = sums[key].plus(counts)
    return sums

"""The events of one source, counted from rows: how many, by how many recipients, and their value.

A recipient counts on the day of the first event of a name only, as in :mod:`.source_counts`.
"""

from decimal import Decimal
from typing import Any

from django.db.models import F, QuerySet, Sum

from tracking.hits import Kind
from tracking.models import Beacon
from tracking.rollups import new_recipients
from tracking.rollups.counts import OTHER, Counts
from tracking.rollups.days import Intervals
from tracking.rollups.metric_definitions import HUMAN
from tracking.rollups.site_counts import IntervalCounts

#: The facet of events of people by name, and recipients new to that name.
EVENTS = "events"

#: The facet of their values by name; the total is in hundredths.
VALUES = "event_values"

_HUNDREDTHS = 100


def named_events(rows: QuerySet[Beacon]) -> QuerySet[Beacon]:
    """Return the events of people among some beacons that have a name.

    Args:
        rows: the beacons.
    """
    return rows.filter(kind=Kind.EVENT, verdict=HUMAN, event_name__isnull=False)


def add_uniques(
    events: QuerySet[Beacon],
    intervals: Intervals,
    known: QuerySet[Beacon] | None,
    totals: IntervalCounts,
) -> IntervalCounts:
    """Return the facet :data:`EVENTS`.

    Args:
        events: the events of a source in the intervals.
        intervals: the days.
        known: all its earlier beacons, or ``None`` if there are none.
        totals: the totals of the largest names, and of all others as one.
    """
    if known is not None:
        known = named_events(known)
    new = new_recipients.count_by(F("event_name"), events, intervals, known, totals)
    return {key: numbers.plus(Counts(uniques=new[key])) for key, numbers in totals.items()}


def values(events: QuerySet[Beacon], interval: Any, totals: IntervalCounts) -> IntervalCounts:
    """Return the facet :data:`VALUES`.

    Args:
        events: the events of a source in the intervals.
        interval: the expression of the index of the interval.
        totals: the totals of the largest names, and of all others as one.
    """
    grouped = events.filter(event_value__isnull=False).annotate(interval=interval)
    sums = grouped.values("interval", "event_name").annotate(worth=Sum("event_value"))
    found: IntervalCounts = {}
    for number, name, worth in sums.values_list("interval", "event_name", "worth").iterator():
        key = (number, str(name) if (number, name) in totals else OTHER)
        hundredths = int((worth * _HUNDREDTHS).to_integral_value())
        found[key] = found.get(key, Counts()).plus(Counts(hundredths))
    return found


def amount(hundredths: int) -> Decimal:
    """Return a total of :data:`VALUES` as an amount with two decimals."""
    return (Decimal(hundredths) / _HUNDREDTHS).quantize(Decimal("0.01"))

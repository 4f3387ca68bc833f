"""Charts of series, with their labels."""

from collections.abc import Sequence
from datetime import datetime
from itertools import zip_longest
from typing import NamedTuple

import msgspec
from django.utils.formats import date_format
from django.utils.timezone import get_default_timezone
from django.utils.translation import gettext

from tracking.admin.charts import Chart, Point, units
from tracking.reports import formatting
from tracking.reports.figures import Point as Counted
from tracking.reports.figures import Series
from tracking.reports.periods import Bucket

#: The units of charts, by the unit of the figure.
UNITS = {"count": units.COUNTS, "rate": units.RATES, "seconds": units.SECONDS}

#: Buckets that are shown by the time of day.
_CLOCK = ("quarter", "hour")


class ChartLabels(NamedTuple):
    """Labels of a chart.

    Attributes:
        span: its days as text.
        grain: the unit of a bucket: ``"quarter"`` (of an hour), ``"hour"``, ``"day"``,
            ``"week"`` or ``"month"``.
        before: the title of the second series.
    """

    span: str
    grain: str
    before: str = ""


def chart_of(series: Series, labels: ChartLabels, *, id: str) -> Chart:  # noqa: A002
    """Return the chart of a series, with the previous period if it has one.

    Args:
        series: the series.
        labels: the labels of the chart.
        id: the prefix of the ids of its elements.
    """
    pairs = zip_longest(series.points, series.before[: len(series.points)])
    known = [point for point in series.points if point.value is not None]
    return Chart(
        id=id,
        title=str(series.title),
        description=_description(series, labels),
        points=[_point(point, before, labels.grain) for point, before in pairs],
        unit=UNITS[series.unit],
        before=labels.before if series.before else "",
        unfinished=gettext("incomplete") if known and known[-1].bucket.is_unfinished else "",
    )


def _point(point: Counted, before: Counted | None, grain: str) -> Point:
    return Point(
        label=short_label(point.bucket, grain),
        name=full_label(point.bucket, grain),
        value=point.value,
        before=before.value if before else None,
    )


def _description(series: Series, labels: ChartLabels) -> str:
    known: Sequence[Counted] = [point for point in series.points if point.value]
    title = gettext("%(figure)s, %(span)s") % {"figure": series.title, "span": labels.span}
    if not known:
        return title
    highest = max(known, key=lambda point: point.value or 0)
    value = UNITS[series.unit].text(highest.value or 0)
    said = {"value": value, "time": full_label(highest.bucket, labels.grain)}
    return f"{title}. " + gettext("Maximum: %(value)s, %(time)s.") % said


def group_points(points: Sequence[Counted], size: int) -> tuple[Counted, ...]:
    """Return the points in groups of ``size``, added up. The last group may be smaller."""
    return tuple(_merge_points(points[at : at + size]) for at in range(0, len(points), size))


def _merge_points(points: Sequence[Counted]) -> Counted:
    first, last = points[0].bucket, points[-1].bucket
    known = [point.value for point in points if point.value is not None]
    bucket = msgspec.structs.replace(
        first, end=last.end, last=last.last, is_unfinished=last.is_unfinished
    )
    return Counted(bucket=bucket, value=sum(known) if known else None)


def column_title(grain: str) -> str:
    """Return the title of the column of buckets."""
    heads = {
        "quarter": gettext("Time"),
        "hour": gettext("Hour"),
        "day": gettext("Day"),
        "week": gettext("Days"),
        "month": gettext("Month"),
    }
    return heads[grain]


def short_label(bucket: Bucket, grain: str) -> str:
    """Return a bucket as a short label for the axis."""
    if grain in _CLOCK:
        return f"{local(bucket.start):%H:%M}"
    if grain == "month":
        # Translators: a month and its year on an axis, in the letters of Django's date filter.
        return date_format(bucket.first, gettext("M Y"))
    # Translators: a day without its year on an axis, in the letters of Django's date filter.
    return date_format(bucket.first, gettext("M j"))


def full_label(bucket: Bucket, grain: str) -> str:
    """Return a bucket in full."""
    if grain in _CLOCK:
        begin, end = local(bucket.start), local(bucket.end)
        times = {"first": f"{begin:%H:%M}", "last": f"{end:%H:%M %Z}".rstrip()}
        clock = gettext("%(first)s to %(last)s") % times
        return f"{date_format(begin, 'DATE_FORMAT')}, {clock}"
    if bucket.first == bucket.last:
        return f"{date_format(bucket.first, 'l')}, {date_format(bucket.first, 'DATE_FORMAT')}"
    return formatting.days(bucket.first, bucket.last)


def local(moment: datetime) -> datetime:
    """Return a time in the time zone of the site, as columns have it if it is naive."""
    return moment if moment.tzinfo is None else moment.astimezone(get_default_timezone())

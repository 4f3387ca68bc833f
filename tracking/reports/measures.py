"""The figures of the overview, of a whole period and of each bucket."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tracking.reports.figures import Text, share
from tracking.reports.interval_totals import Totals
from tracking.rollups.metric_definitions import TERMS, OpenedParts


class Measure(NamedTuple):
    """A figure of the overview.

    Attributes:
        title: the translated title.
        explanation: what is counted, in one or two sentences.
        unit: ``"count"``, ``"rate"`` (0 to 1) or ``"seconds"``.
        value: returns the figure of some totals, or ``None`` if the filters do not apply.
    """

    title: Text
    explanation: Text
    unit: str
    value: Callable[[Totals], float | None]


def _of(part: str, column: str) -> Callable[[Totals], float | None]:
    def value(sums: Totals) -> float | None:
        numbers = getattr(sums, part)
        return None if numbers is None else getattr(numbers, column)

    return value


def _opened(part: str) -> Callable[[Totals], float | None]:
    return lambda sums: None if sums.opened is None else getattr(sums.opened, part)


def _per_visit(column: str, scale: int = 1) -> Callable[[Totals], float | None]:
    def value(sums: Totals) -> float | None:
        if sums.visits is None:
            return None
        return share(getattr(sums.visits, column) / scale, sums.visits.total)

    return value


def _measure(name: str, unit: str, value: Callable[[Totals], float | None]) -> Measure:
    return Measure(*TERMS[name], unit, value)


#: The figures, in the order in which they are shown.
MEASURES: Mapping[str, Measure] = {
    "visitors": _measure("visitors", "count", _of("visits", "uniques")),
    "visits": _measure("visits", "count", _of("visits", "total")),
    "page_views": _measure("page_views", "count", _of("pages", "total")),
    "bounce_rate": _measure("bounce_rate", "rate", _per_visit("bounces")),
    "visit_length": _measure("visit_length", "seconds", _per_visit("microseconds", 1_000_000)),
    "opens": _measure("opens", "count", lambda sums: sums.opens),
    "daily_unique_opens": _measure("daily_unique_opens", "count", _opened("unique")),
    **{part: _measure(part, "count", _opened(part)) for part in OpenedParts._fields},
    "clicks": _measure("clicks", "count", _of("clicks", "total")),
    "daily_unique_clicks": _measure("daily_unique_clicks", "count", _of("clicks", "uniques")),
}

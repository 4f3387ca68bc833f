"""The figures that are told of a period and of each bucket of a chart."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from django.utils.translation import gettext_lazy

from tracking.reports.parts import Words, share
from tracking.reports.sums import Sums


class Measure(NamedTuple):
    """How a figure is called, explained and made.

    Attributes:
        title: what it is called.
        explanation: one sentence about it.
        unit: ``"count"``, ``"rate"`` or ``"seconds"``.
        value: makes it of what was counted; ``None`` where the filters say nothing about it.
    """

    title: Words
    explanation: Words
    unit: str
    value: Callable[[Sums], float | None]


def _of(part: str, column: str) -> Callable[[Sums], float | None]:
    def value(sums: Sums) -> float | None:
        numbers = getattr(sums, part)
        return None if numbers is None else getattr(numbers, column)

    return value


def _per_visit(column: str, scale: int = 1) -> Callable[[Sums], float | None]:
    def value(sums: Sums) -> float | None:
        if sums.visits is None:
            return None
        return share(getattr(sums.visits, column) / scale, sums.visits.total)

    return value


#: What is told of a period and of each bucket.
MEASURES: Mapping[str, Measure] = {
    "visitors": Measure(
        gettext_lazy("Visitors"),
        gettext_lazy(
            "Browsers that began a visit, machines left out; over several days, the visitors of "
            "each day are added up."
        ),
        "count",
        _of("visits", "uniques"),
    ),
    "visits": Measure(
        gettext_lazy("Visits"),
        gettext_lazy("Runs of activity, ended by 30 minutes without a page."),
        "count",
        _of("visits", "total"),
    ),
    "page_views": Measure(
        gettext_lazy("Page views"), gettext_lazy("Pages seen."), "count", _of("pages", "total")
    ),
    "bounce_rate": Measure(
        gettext_lazy("Bounce rate"),
        gettext_lazy("The part of the visits that saw no second page."),
        "rate",
        _per_visit("bounces"),
    ),
    "visit_length": Measure(
        gettext_lazy("Visit length"),
        gettext_lazy("From the first page of a visit to its last, on average."),
        "seconds",
        _per_visit("microseconds", 1_000_000),
    ),
    "opens": Measure(
        gettext_lazy("Opens"),
        gettext_lazy("Images loaded by people; mail proxies and machines are told apart."),
        "count",
        _of("opens", "total"),
    ),
    "unique_opens": Measure(
        gettext_lazy("Unique opens"),
        gettext_lazy(
            "Recipients who loaded an image, each once a day; who is no known recipient is told "
            "by the browser."
        ),
        "count",
        _of("opens", "uniques"),
    ),
    "clicks": Measure(
        gettext_lazy("Clicks"),
        gettext_lazy("Links followed by people."),
        "count",
        _of("clicks", "total"),
    ),
    "unique_clicks": Measure(
        gettext_lazy("Unique clicks"),
        gettext_lazy("Recipients who followed a link, each once a day."),
        "count",
        _of("clicks", "uniques"),
    ),
}

"""What was counted in pieces of time, from which figures and charts are made."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tracking.conf import conf
from tracking.enrichment.verdict_rules import Label
from tracking.hits import Kind
from tracking.reports.parts import Words
from tracking.rollups import read, site_counts
from tracking.rollups.counts import Numbers, together
from tracking.rollups.days import Cells
from tracking.rollups.read import Days
from tracking.rollups.site_counts import Counted, Where


@dataclass(frozen=True, kw_only=True, slots=True)
class Apart:
    """What was not done by a person who can be told.

    Attributes:
        label: the verdict: ``"proxy"``, ``"prefetch"`` or ``"bot"``.
        title: what it is called by people.
        opens: images that were loaded.
        clicks: links that were followed.
    """

    label: str
    title: Words
    opens: int
    clicks: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "label": self.label,
            "title": str(self.title),
            "opens": self.opens,
            "clicks": self.clicks,
        }


class Sums(NamedTuple):
    """What figures are made of; ``None`` where the filters say nothing about it.

    Attributes:
        visits: visits.
        pages: page views.
        opens: opens by people.
        clicks: clicks by people.
    """

    visits: Numbers | None
    pages: Numbers | None
    opens: Numbers | None
    clicks: Numbers | None


class Pieces(NamedTuple):
    """What was counted in pieces of time: each facet by cell and value, or ``None``."""

    cells: Cells
    visits: Counted | None
    page_views: Counted | None
    hits: Counted
    has_opens: bool
    has_clicks: bool

    def between(self, first: int, end: int) -> Sums:
        """Return the sums of the cells from ``first`` on and before ``end``."""
        cells = range(first, end)

        def add(counted: Counted | None, value: str = "") -> Numbers | None:
            if counted is None:
                return None
            return together(counted[cell, value] for cell in cells if (cell, value) in counted)

        visits = add(self.visits)
        pages = add(self.page_views)
        if not conf.page_views and visits is not None:  # pages are no rows then
            pages = Numbers(total=visits.pages)
        return Sums(
            visits=visits,
            pages=pages,
            opens=add(self.hits, f"{Kind.OPEN.value} {_HUMAN}") if self.has_opens else None,
            clicks=add(self.hits, f"{Kind.CLICK.value} {_HUMAN}") if self.has_clicks else None,
        )

    def apart(self, first: int, end: int) -> tuple[Apart, ...]:
        """Return what proxies and machines did in these cells."""
        if not (self.has_opens and self.has_clicks):
            return ()
        totals: Counter[str] = Counter()
        for (cell, value), numbers in self.hits.items():
            if first <= cell < end:
                totals[value] += numbers.total
        return tuple(
            Apart(
                label=label.value,
                title=label.label,
                opens=totals[f"{Kind.OPEN.value} {label.value}"],
                clicks=totals[f"{Kind.CLICK.value} {label.value}"],
            )
            for label in Label
            if label is not Label.HUMAN
        )


_HUMAN = Label.HUMAN.value


def count_all(cells: Cells, where: Where) -> Pieces:
    """Return what the rows say.

    Args:
        cells: the pieces of time.
        where: which rows are counted.
    """
    return Pieces(
        cells=cells,
        visits=None if where.visit is None else site_counts.count("visits", cells, where),
        page_views=(
            None if where.pageview is None else site_counts.count("page_views", cells, where)
        ),
        hits=site_counts.count("hits", cells, where),
        has_opens=where.opens is not None,
        has_clicks=where.clicks is not None,
    )


def read_all(cells: Cells, days: Days) -> Pieces:
    """Return the same of days that are counted already.

    Args:
        cells: the days, one each.
        days: what is known of them.
    """
    found = read.by_day(site_counts.HOURLY, days)
    return _read(
        cells,
        {
            name: {((day - days.first).days, value): n for (day, value), n in counted.items()}
            for name, counted in found.items()
        },
    )


def read_hours(cells: Cells, days: Days) -> Pieces:
    """Return the same of hours of days that are counted already.

    Args:
        cells: the hours.
        days: what is known of their days.
    """
    numbers = {start: number for number, start in enumerate(cells.starts)}
    return _read(
        cells,
        {
            # Days that were counted in another time zone have hours of the days beside them.
            name: {
                (numbers[start], value): n
                for (start, value), n in counted.items()
                if start in numbers
            }
            for name, counted in read.by_hour(days).items()
        },
    )


def _read(cells: Cells, counted: Mapping[str, Counted]) -> Pieces:
    return Pieces(cells=cells, has_opens=True, has_clicks=True, **counted)

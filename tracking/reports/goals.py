"""What came of a mailing: the goals that its recipients have reached.

Events are credited to the mailing when they are written (:mod:`tracking.journey`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tracking.journey.goals import goals
from tracking.rollups.counts import Counts
from tracking.rollups.event_counts import EVENTS, VALUES, amount


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """Who did what the site reports as its events.

    Attributes:
        title: what reports show, or ``""`` for all events of a site without goals.
        name: the name of the event, or the beginning of the path; ``""`` for all events.
        unique: distinct recipients.
        total: number of events.
        value: what they are worth, or ``None`` if no event had a value.
    """

    title: str = ""
    name: str = ""
    unique: int
    total: int
    value: Decimal | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the value is a text with two decimals."""
        return {
            "title": self.title,
            "name": self.name,
            "unique": self.unique,
            "total": self.total,
            "value": None if self.value is None else str(self.value),
        }


def reached_goals(by_value: Mapping[str, Mapping[str, Counts]]) -> tuple[Goal, ...]:
    """Return the goals of the site, in the order of ``TRACKING_GOALS``.

    Args:
        by_value: the counts of a source, by facet and value.
    """
    return tuple(_goals(by_value[EVENTS], by_value[VALUES]))


def _goals(events: Mapping[str, Counts], values: Mapping[str, Counts]) -> Iterator[Goal]:
    for title, name in goals().items():
        counts = events.get(name, Counts())
        value = amount(values[name].total) if name in values else None
        yield Goal(title=title, name=name, unique=counts.uniques, total=counts.total, value=value)


def total_value(by_value: Mapping[str, Mapping[str, Counts]]) -> Decimal | None:
    """Return what all events of a source are worth, or ``None`` if none has a value.

    Args:
        by_value: the counts of the source, by facet and value.
    """
    values = by_value[VALUES].values()
    return amount(sum(counts.total for counts in values)) if values else None

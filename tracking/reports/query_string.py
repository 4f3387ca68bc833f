"""What a page is asked for, read from its query string. Never fails."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from tracking.reports.filters import Filters
from tracking.reports.periods import BadQuery, Period

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """What a page is asked for.

    Attributes:
        period: the days; the default ones where what was asked for makes no sense.
        filters: what is asked for; none where that makes no sense.
        problems: what makes no sense, a sentence for each, to be shown.
    """

    period: Period
    filters: Filters
    problems: tuple[str, ...]

    def as_query(self) -> dict[str, str]:
        """Return the parameters of a query string that ask for the same again."""
        return {**self.period.as_query(), **self.filters.as_query()}


def read_query(params: Mapping[str, Any], now: datetime | None = None) -> Query:
    """Return what a query string asks for.

    Args:
        params: ``request.GET``, or any mapping of texts.
        now: the moment of the question (aware); by default now.
    """
    problems: list[str] = []

    def sound(read: Callable[[Mapping[str, Any]], T]) -> T:
        try:
            return read(params)
        except BadQuery as error:
            problems.append(str(error))
            return read({})

    period = sound(lambda params: Period.from_query(params, now))
    filters = sound(Filters.from_query)
    return Query(period=period, filters=filters, problems=tuple(problems))

"""Period and filters from a query string. Invalid values never raise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from tracking.reports.filters import Filters
from tracking.reports.periods import BadQuery, Period

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """Period and filters of a query string.

    Attributes:
        period: the days, or the default period if the query is invalid.
        filters: the filters, or none if the query is invalid.
        problems: what is invalid, as sentences for the user.
    """

    period: Period
    filters: Filters
    problems: tuple[str, ...]

    def as_query(self) -> dict[str, str]:
        """Return the parameters of a query string for the same."""
        return {**self.period.as_query(), **self.filters.as_query()}


def read_query(params: Mapping[str, Any], now: datetime | None = None) -> Query:
    """Return period and filters of a query string.

    Args:
        params: ``request.GET``, or any mapping of texts.
        now: the current time (aware).
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

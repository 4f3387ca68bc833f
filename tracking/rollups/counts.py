"""The counts of a group of rows."""

from collections.abc import Iterable
from typing import NamedTuple

#: The key of the counts of all values that are not among the largest of their day. It is no value:
#: columns have no NUL characters.
OTHER = "\0other"


class Counts(NamedTuple):
    """The counts of a group of visits, pages or beacons.

    Attributes:
        total: number of rows.
        uniques: distinct visitors of visits and pages, distinct recipients of beacons.
        bounces: visits with only one page.
        microseconds: total length of the visits.
        pages: total page views of the visits.
    """

    total: int = 0
    uniques: int = 0
    bounces: int = 0
    microseconds: int = 0
    pages: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Return the sums. Visitors and recipients of both are counted twice."""
        return Counts(*(mine + its for mine, its in zip(self, other, strict=True)))


def sum_counts(parts: Iterable[Counts]) -> Counts:
    """Return the sum of several counts."""
    result = Counts()
    for part in parts:
        result = result.plus(part)
    return result

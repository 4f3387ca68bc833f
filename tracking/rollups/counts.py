"""What is counted of a group of rows."""

from collections.abc import Iterable
from typing import NamedTuple


class Counts(NamedTuple):
    """What is counted of a group of visits, pages or beacons.

    Attributes:
        total: rows.
        uniques: those who did it: visitors of visits and pages, recipients of beacons.
        bounces: visits of one page.
        microseconds: how long visits took, together.
        pages: the pages that visits have seen.
    """

    total: int = 0
    uniques: int = 0
    bounces: int = 0
    microseconds: int = 0
    pages: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Return both together. Who is in both is counted twice."""
        return Counts(*(mine + its for mine, its in zip(self, other, strict=True)))


def sum_counts(parts: Iterable[Counts]) -> Counts:
    """Return the sum of many."""
    result = Counts()
    for part in parts:
        result = result.plus(part)
    return result

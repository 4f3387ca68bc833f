"""Sums of the values of a list, and lines made of them, in memory.

sums: Sums = {}
add(sums, 0, cells)                                     # the cells of the first facet
lines("pages", kind, sums, limit=10, offset=0)          # as largest_values.lists
"""

from collections.abc import Iterable, Iterator
from heapq import nsmallest

from tracking.rollups.counts import OTHER
from tracking.rollups.largest_values import ListRow
from tracking.rollups.site_counts import FACETS
from tracking.rollups.table_counts import Cell, ListKind

#: By value: total and uniques of each of the two parts.
Sums = dict[str, list[int]]


def add(sums: Sums, part: int, cells: Iterable[Cell]) -> None:
    """Add counts to sums.

    Args:
        sums: the sums.
        part: 0 or 1: see :func:`tracking.rollups.largest_values.lists`.
        cells: the counts of a facet.
    """
    for cell in cells:
        numbers = sums.setdefault(cell.value, [0, 0, 0, 0])
        numbers[2 * part] += cell.counts.total
        numbers[2 * part + 1] += cell.counts.uniques


def lines(
    name: str, kind: ListKind, sums: Sums, limit: int | None, offset: int
) -> Iterator[ListRow]:
    """Yield lines of a list as :func:`tracking.rollups.largest_values.lists`.

    Args:
        name: the name of the list.
        kind: what it counts.
        sums: its sums.
        limit: the maximum number of lines of the page, or ``None`` for all.
        offset: the number of lines before the page.
    """
    index = slice(1, 2) if FACETS[kind.facets[0]].figure == "uniques" else slice(0, None, 2)
    figures = {value: sum(numbers[index]) for value, numbers in sums.items()}
    if not kind.has_none:
        figures.pop("", None)
    whole = sum(figures.values())

    def line(value: str, text: str, place: int, line_count: int) -> ListRow:
        total, uniques, more, more_uniques = sums[value]
        numbers = (total, uniques, more, more_uniques)
        is_other = value == OTHER
        return ListRow(name, text, is_other, figures[value], numbers, place, line_count, whole)

    values = [(-figure, value) for value, figure in figures.items() if value != OTHER]
    end = len(values) if limit is None else max(offset + limit, 1)
    for place, (_figure, value) in enumerate(nsmallest(end, values), start=1):
        if is_on_page(place, limit, offset):
            yield line(value, value, place, len(values))
    if OTHER in figures:
        yield line(OTHER, "", 1, 1)


def is_on_page(place: int, limit: int | None, offset: int) -> bool:
    """Return whether a line is the first of its list, or on a page.

    Args:
        place: its place, from 1.
        limit: the maximum number of lines of the page, or ``None`` for all.
        offset: the number of lines before the page.
    """
    return place == 1 or (place > offset and (limit is None or place <= offset + limit))

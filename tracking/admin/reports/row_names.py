"""Names of many objects, as far as the user may see them."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from django.contrib import admin
from django.http import HttpRequest

from tracking.admin.related_objects import RelatedObjects, reference_from_text
from tracking.hits import Reference

T = TypeVar("T")

#: The number of objects looked up at once.
CHUNK = 500


def with_names(
    items: Iterable[T],
    reference: Callable[[T], Reference],
    request: HttpRequest,
    site: admin.AdminSite,
) -> Iterator[tuple[T, str]]:
    """Yield each item with the name of its object, without keeping all in memory.

    Args:
        items: the items.
        reference: returns the reference of an item.
        request: the current request.
        site: the admin site.
    """
    iterator = iter(items)
    while some := list(islice(iterator, CHUNK)):
        rows = RelatedObjects(map(reference, some), request, site)
        for item in some:
            yield item, rows.name(reference(item))


def rows_with_names(
    lines: Iterable[tuple[object, ...]], request: HttpRequest, site: admin.AdminSite
) -> Iterator[tuple[object, ...]]:
    """Yield the lines of a table with names in the second cell for references in the first."""

    def reference(line: tuple[object, ...]) -> Reference:
        return reference_from_text(str(line[0])) or Reference("", str(line[0]))

    for line, name in with_names(lines, reference, request, site):
        yield (line[0], name, *line[2:])

"""How many visitors are online, on the site and on each page.

Pages that show a number ask for it on every request. So each process remembers it, and queries
the database once in a few seconds.
"""

from collections.abc import Mapping
from typing import NamedTuple

from django.db.models import Count

from tracking.caching.ttl import CachedQuery
from tracking.db.column_values import storable_text
from tracking.db.isolation import savepoints
from tracking.models import Visitor

#: Seconds for which a count is remembered.
MAX_AGE = 5.0


class _Count(NamedTuple):
    """The online visitors.

    Attributes:
        on_site: how many are on the site.
        on_page: how many are on each page, by URL.
    """

    on_site: int
    on_page: Mapping[str, int]


def on_site() -> int:
    """Return how many visitors are on the site, without machines.

    Raises:
        django.db.DatabaseError: the query failed.
    """
    return _cached_count().on_site


def on_page(url: str) -> int:
    """Return how many visitors are on a page, without machines.

    Args:
        url: the path of the page. A visitor is on the page they loaded last.

    Raises:
        django.db.DatabaseError: the query failed.
    """
    return _cached_count().on_page.get(storable_text(url), 0)


def _count_by_page() -> _Count:
    """Count the visitors of all pages with one query, which reads every active visitor."""
    with savepoints():
        online = Visitor.objects.active().humans().order_by()
        pages = dict(online.values_list("url").annotate(number=Count("pk")))
    return _Count(sum(pages.values()), pages)


_cached_count = CachedQuery(Visitor, _count_by_page, lambda _took: MAX_AGE)

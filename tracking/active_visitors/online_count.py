"""How many visitors are on the site right now, remembered for a few seconds.

A page that shows a number asks for it on every request: it costs a query every few
seconds in each process, and not one each time.
"""

from collections.abc import Mapping
from typing import NamedTuple

from django.db.models import Count

from tracking.caching.ttl import CachedQuery
from tracking.db.column_values import storable_text
from tracking.db.isolation import savepoints
from tracking.models import Visitor

#: Seconds for which a number is remembered.
SECONDS = 5.0


class _Count(NamedTuple):
    """Who is here, as it was counted.

    Attributes:
        on_site: visitors.
        on_page: visitors by page.
    """

    on_site: int
    on_page: Mapping[str, int]


def on_site() -> int:
    """Return how many visitors are on the site, machines left out.

    Raises:
        django.db.DatabaseError: the database does not answer.
    """
    return _count().on_site


def on_page(url: str) -> int:
    """Return how many visitors have this page as their latest, machines left out.

    Args:
        url: the path of the page.

    Raises:
        django.db.DatabaseError: the database does not answer.
    """
    return _count().on_page.get(storable_text(url), 0)


def _counted() -> _Count:
    """Count all pages by one query: it reads who is active, and no index could spare that."""
    with savepoints():
        here = Visitor.objects.active().humans().order_by()
        pages = dict(here.values_list("url").annotate(number=Count("pk")))
    return _Count(sum(pages.values()), pages)


_count = CachedQuery(Visitor, _counted, lambda _took: SECONDS)

"""How many visitors are on the site right now, remembered for a few seconds.

A page that shows a number asks for it on every request: it costs a query every few
seconds in each process, and not one each time.
"""

import time
from collections.abc import Mapping
from threading import Lock
from typing import NamedTuple

from django.core.signals import setting_changed
from django.db import connections, router
from django.db.models import Count
from django.db.models.signals import post_save

from tracking.columns import text
from tracking.isolation import savepoint
from tracking.models import Visitor

#: Seconds for which a number is remembered.
SECONDS = 5.0

#: Counts that are remembered at once: one, but for savepoints.
MAX_REMEMBERED = 100


class _Count(NamedTuple):
    """Who is here, as it was counted.

    Attributes:
        until: when it is to be counted again, in seconds of the monotonic clock.
        on_site: visitors.
        on_page: visitors by page.
    """

    until: float
    on_site: int
    on_page: Mapping[str, int]


_remembered: dict[tuple[str, ...], _Count] = {}
_lock = Lock()


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
    return _count().on_page.get(text(url), 0)


def _count() -> _Count:
    # Inside of savepoints (as in each test) numbers may be rolled back: they are not for others.
    savepoints = connections[router.db_for_read(Visitor)].savepoint_ids
    key = tuple(savepoint for savepoint in savepoints if savepoint)
    remembered = _remembered.get(key)
    if remembered is None or time.monotonic() >= remembered.until:
        remembered = _counted()
        with _lock:
            if len(_remembered) >= MAX_REMEMBERED:
                _remembered.clear()
            _remembered[key] = remembered
    return remembered


def _counted() -> _Count:
    """Count all pages by one query: it reads who is active, and no index could spare that."""
    with savepoint():
        here = Visitor.objects.active().humans().order_by()
        pages = dict(here.values_list("url").annotate(number=Count("pk")))
    return _Count(time.monotonic() + SECONDS, sum(pages.values()), pages)


def _forget(**_: object) -> None:
    with _lock:
        _remembered.clear()


# Page views are written past this signal: it is for visitors that code of the site makes. (Not
# post_delete: whoever listens to that makes Django read all rows that are cleaned up.)
post_save.connect(_forget, sender=Visitor)
setting_changed.connect(_forget)

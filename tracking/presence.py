"""How many visitors are on the site right now, remembered for a few seconds.

A page that shows a number asks for it on every request: it costs a query every few
seconds in each process, and not one each time.
"""

import time
from collections.abc import Callable
from threading import Lock

from django.core.signals import setting_changed
from django.db import connections, router
from django.db.models.signals import post_save

from tracking.isolation import savepoint
from tracking.models import Visitor

#: Seconds for which a number is remembered.
SECONDS = 5.0

#: Pages that are remembered at once.
MAX_PAGES = 10_000

_Key = tuple[str | None, tuple[str, ...]]
_remembered: dict[_Key, tuple[float, int]] = {}
_lock = Lock()


def on_site() -> int:
    """Return how many visitors are on the site, machines left out.

    Raises:
        django.db.DatabaseError: the database does not answer.
    """
    return _recall(None, lambda: Visitor.objects.active().humans().count())


def on_page(url: str) -> int:
    """Return how many visitors have this page as their latest, machines left out.

    Args:
        url: the path of the page.

    Raises:
        django.db.DatabaseError: the database does not answer.
    """
    return _recall(url, lambda: Visitor.objects.active().humans().filter(url=url).count())


def _recall(url: str | None, count: Callable[[], int]) -> int:
    # Inside of savepoints (as in each test) numbers may be rolled back: they are not for others.
    savepoints = connections[router.db_for_read(Visitor)].savepoint_ids
    key = (url, tuple(savepoint for savepoint in savepoints if savepoint))
    now = time.monotonic()
    until, number = _remembered.get(key, (0.0, 0))
    if now >= until:
        with savepoint():
            number = count()
        with _lock:
            if len(_remembered) >= MAX_PAGES:
                _remembered.clear()
            _remembered[key] = (now + SECONDS, number)
    return number


def _forget(**_: object) -> None:
    with _lock:
        _remembered.clear()


# Page views are written past this signal: it is for visitors that code of the site makes. (Not
# post_delete: whoever listens to that makes Django read all rows that are cleaned up.)
post_save.connect(_forget, sender=Visitor)
setting_changed.connect(_forget)

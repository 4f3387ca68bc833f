"""Query results kept in memory for some seconds.

    online = CachedQuery(Visitor, lambda: Visitor.objects.count(), ttl=lambda took: 5)
    online()                          # a query
    online()                          # no query

For figures that may be some seconds old. The cache is emptied when code of the site saves
a row of the model, or when settings change.
"""

import time
from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, TypeVar

from django.db import connections, models, router
from django.db.models.signals import post_save

from tracking import compat
from tracking.conf import on_change

Result = TypeVar("Result")

#: Results kept at once: one outside of savepoints, one for each stack of savepoints.
MAX_RESULTS = 100


class CachedQuery(Generic[Result]):
    """A query whose result this process keeps for some seconds.

    Args:
        model: the model whose rows the query reads.
        query: runs the query and returns its result.
        ttl: returns how many seconds a result is kept, given the seconds the query took.
    """

    def __init__(
        self,
        model: type[models.Model],
        query: Callable[[], Result],
        ttl: Callable[[float], float],
    ) -> None:
        self._model = model
        self._query = query
        self._ttl = ttl
        self._results: dict[tuple[str, ...], tuple[float, Result]] = {}
        self._lock = Lock()
        # Page views are written without this signal; it reports rows saved by code of the site.
        # (Not post_delete: with a receiver, Django fetches every row that the clean-up deletes.)
        post_save.connect(self.clear, sender=model)
        on_change()(self.clear)

    def __call__(self) -> Result:
        """Return the result, from memory or by running the query.

        Raises:
            django.db.DatabaseError: the query failed.
        """
        # Rows seen inside savepoints (as in each test) may be rolled back: keep them apart.
        key = compat.savepoint_ids(connections[router.db_for_read(self._model)])
        expires_at, result = self._results.get(key, (None, None))
        if expires_at is None or result is None or time.monotonic() >= expires_at:
            began = time.monotonic()
            result = self._query()
            ended = time.monotonic()
            with self._lock:
                if len(self._results) >= MAX_RESULTS:
                    self._results.clear()
                self._results[key] = (ended + self._ttl(ended - began), result)
        return result

    def __len__(self) -> int:
        """Return how many results are kept."""
        return len(self._results)

    def clear(self, **_: Any) -> None:
        """Drop all results."""
        with self._lock:
            self._results.clear()

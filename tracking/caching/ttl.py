"""Query results kept in memory for some seconds.

    online = CachedQuery(Visitor, lambda: Visitor.objects.count(), ttl=lambda took: 5)
    online()                          # a query
    online()                          # no query

For figures that may be some seconds old. Only one thread runs the query; meanwhile the others get
the last result. The cache is emptied when code of the site saves a row of the model, and when
settings change. In tests of a site no result is kept: nothing is left of an earlier test, and a
page has the same queries each time.
"""

import os
import time
from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, NamedTuple, TypeVar

from django.db import models
from django.db.models.signals import post_migrate, post_save

from tracking import compat
from tracking.conf import on_change

Result = TypeVar("Result")

#: Results kept at once, one for each combination of arguments.
MAX_RESULTS = 1_000

#: Seconds for which a thread without a last result waits for the thread that runs the query.
MAX_WAIT = 1.0


class _Cached(NamedTuple):
    result: Any
    expires_at: float

    def is_valid(self) -> bool:
        return time.monotonic() < self.expires_at and not compat.is_test_environment()


class CachedQuery(Generic[Result]):
    """A query whose result this process keeps for some seconds.

    Args:
        model: the model whose rows the query reads.
        query: runs the query and returns its result. Results are kept by its arguments.
        ttl: returns how many seconds a result is kept, given the seconds the query took.
    """

    def __init__(
        self,
        model: type[models.Model],
        query: Callable[..., Result],
        ttl: Callable[[float], float],
    ) -> None:
        self._query = query
        self._ttl = ttl
        self._reset()
        # Page views are written without this signal; it reports rows saved by code of the site.
        # (Not post_delete: with a receiver, Django fetches every row that the clean-up deletes.)
        post_save.connect(self.clear, sender=model)
        on_change()(self.clear)
        post_migrate.connect(self.clear)  # also sent by ``flush``, which empties all tables
        if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
            os.register_at_fork(after_in_child=self._reset)  # its parent's threads are gone

    def _reset(self) -> None:
        self._results: dict[tuple[Any, ...], _Cached] = {}
        self._running: dict[tuple[Any, ...], Lock] = {}
        self._lock = Lock()

    def __call__(self, *args: Any) -> Result:
        """Return the result, from memory or by running the query.

        Args:
            args: the arguments of the query; hashable.

        Raises:
            django.db.DatabaseError: the query failed.
        """
        last = self._results.get(args)
        if last is not None and last.is_valid():
            return last.result  # type: ignore[no-any-return]
        with self._lock:
            running = self._running.setdefault(args, Lock())
        is_first = running.acquire(timeout=0 if last is not None else MAX_WAIT)
        try:
            if not is_first and last is not None:
                return last.result  # type: ignore[no-any-return]
            now = self._results.get(args)
            if now is not None and now is not last:  # another thread has run the query
                return now.result  # type: ignore[no-any-return]
            return self._run(args)
        finally:
            if is_first:
                with self._lock:
                    self._running.pop(args, None)
                running.release()

    def _run(self, args: tuple[Any, ...]) -> Result:
        began = time.monotonic()
        result = self._query(*args)
        ended = time.monotonic()
        with self._lock:
            if len(self._results) >= MAX_RESULTS and args not in self._results:
                self._results = {k: v for k, v in self._results.items() if v.expires_at > ended}
            if len(self._results) >= MAX_RESULTS and args not in self._results:
                self._results = {}
            self._results[args] = _Cached(result, ended + self._ttl(ended - began))
        return result

    def __len__(self) -> int:
        """Return how many results are kept."""
        return len(self._results)

    def clear(self, **_: Any) -> None:
        """Drop all results."""
        with self._lock:
            self._results = {}

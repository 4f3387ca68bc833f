"""What is asked of the database once for several who want to know it.

    people = Remembered(Visitor, lambda: Visitor.objects.count(), for_seconds=lambda took: 5)
    people()                          # a query
    people()                          # none

It is for numbers that may be some seconds old. It forgets them when code of the site saves
a row of the model, or when settings change.
"""

import time
from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, TypeVar

from django.db import connections, models, router
from django.db.models.signals import post_save

from tracking.conf import on_change

Answer = TypeVar("Answer")

#: Answers that are remembered at once: one, but for savepoints.
MAX_REMEMBERED = 100


class Remembered(Generic[Answer]):
    """A question to the database whose answer is good for some seconds, in this process.

    Args:
        model: whose rows are read.
        ask: reads them.
        for_seconds: how long an answer is good, in seconds, by how many it took to get it.
    """

    def __init__(
        self,
        model: type[models.Model],
        ask: Callable[[], Answer],
        for_seconds: Callable[[float], float],
    ) -> None:
        self._model = model
        self._ask = ask
        self._for_seconds = for_seconds
        self._answers: dict[tuple[str, ...], tuple[float, Answer]] = {}
        self._lock = Lock()
        # Page views are written past this signal: it is for rows that code of the site makes.
        # (Not post_delete: whoever listens to that makes Django read all rows that are cleaned up.)
        post_save.connect(self.forget, sender=model)
        on_change()(self.forget)

    def __call__(self) -> Answer:
        """Return the answer.

        Raises:
            django.db.DatabaseError: the database does not answer.
        """
        # Inside of savepoints (as in each test) rows may be rolled back: they are not for others.
        savepoints = connections[router.db_for_read(self._model)].savepoint_ids
        key = tuple(savepoint for savepoint in savepoints if savepoint)
        until, answer = self._answers.get(key, (None, None))
        if until is None or answer is None or time.monotonic() >= until:
            began = time.monotonic()
            answer = self._ask()
            ended = time.monotonic()
            with self._lock:
                if len(self._answers) >= MAX_REMEMBERED:
                    self._answers.clear()
                self._answers[key] = (ended + self._for_seconds(ended - began), answer)
        return answer

    def __len__(self) -> int:
        """Return how many answers are remembered."""
        return len(self._answers)

    def forget(self, **_: Any) -> None:
        """Forget all answers."""
        with self._lock:
            self._answers.clear()

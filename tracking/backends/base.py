"""The base class of all backends."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from asgiref.sync import sync_to_async
from django.core.checks import CheckMessage

from tracking.db.isolation import savepoints
from tracking.hits import AnyHit
from tracking.raw_hits import AnyRawHit

#: The methods by which a backend accepts a hit.
_SENDING = frozenset({"send", "send_in_savepoints", "asend", "send_many"})


class BaseBackend(ABC):
    """Takes hits from requests to the database. One instance per process, used by all threads."""

    @abstractmethod
    def send(self, hit: AnyHit) -> None:
        """Accept one hit. After it returns, the hit is as safe as this backend makes it.

        Sending a hit twice is harmless.

        Raises:
            Exception: the hit could not be accepted. The caller logs the error and answers
                the request normally.
        """

    def take(self, raw: AnyRawHit) -> bool:
        """Accept a hit as the request leaves it, if that needs no waiting.

        A backend that keeps hits elsewhere first, and reads them later, overrides this: it saves
        the request the time to make a :class:`tracking.hits.Hit`.

        Returns:
            Whether it was accepted; if not, the hit is sent by :meth:`send_in_savepoints` or
            :meth:`asend`. It never raises.
        """
        return False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let no class inherit a ``take()`` that bypasses a ``send`` of its own."""
        super().__init_subclass__(**kwargs)
        if "take" not in vars(cls) and not _SENDING.isdisjoint(vars(cls)):
            cls.take = BaseBackend.take  # type: ignore[method-assign]

    async def asend(self, hit: AnyHit) -> None:
        """Accept one hit without blocking the event loop.

        Raises:
            Exception: as for :meth:`send`.
        """
        await sync_to_async(self.send_in_savepoints)(hit)

    def send_in_savepoints(self, hit: AnyHit) -> None:
        """Accept one hit; if that fails, open transactions of the site stay usable.

        A backend whose ``send`` uses no database overrides this to save the savepoints.

        Raises:
            Exception: as for :meth:`send`.
        """
        with savepoints():
            self.send(hit)

    def send_many(self, hits: Iterable[AnyHit]) -> None:
        """Accept several hits; a backend overrides this if it can do better than a loop.

        Raises:
            Exception: as for :meth:`send`.
        """
        for hit in hits:
            self.send(hit)

    @property
    def spooler(self) -> "BaseBackend | None":
        """The backend that keeps hits on disk: this one, another one, or ``None``."""
        return None

    def close(self) -> None:  # noqa: B027 - most backends hold no resources
        """Release all resources; another backend replaces this one."""

    def wake_writer(self) -> None:  # noqa: B027 - most backends have no writer
        """Write hits that wait on disk, even if this process has received none yet."""

    def check(self) -> list[CheckMessage]:
        """Return problems with the settings of this backend, for ``manage.py check``."""
        return []

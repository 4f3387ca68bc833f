"""The base class of all backends."""

from abc import ABC, abstractmethod
from collections.abc import Iterable

from asgiref.sync import sync_to_async
from django.core.checks import CheckMessage

from tracking.db.isolation import savepoints
from tracking.hits import AnyHit


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

    def close(self) -> None:  # noqa: B027 - most backends hold no resources
        """Release all resources; another backend replaces this one."""

    def wake_writer(self) -> None:  # noqa: B027 - most backends have no writer
        """Write hits that wait on disk, even if this process has received none yet."""

    def check(self) -> list[CheckMessage]:
        """Return problems with the settings of this backend, for ``manage.py check``."""
        return []

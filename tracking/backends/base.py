"""What every backend can do."""

from abc import ABC, abstractmethod
from collections.abc import Iterable

from asgiref.sync import sync_to_async
from django.core.checks import CheckMessage

from tracking.db.isolation import savepoints
from tracking.hits import AnyHit


class BaseBackend(ABC):
    """Takes hits from the web edge to the database. Made once per process, used by all threads."""

    @abstractmethod
    def send(self, hit: AnyHit) -> None:
        """Take over one hit.

        Returning means that the hit is as safe as this backend makes it. Delivering a
        hit twice is harmless.

        Raises:
            Exception: it could not be taken over. The caller logs that and answers the
                reader all the same.
        """

    async def asend(self, hit: AnyHit) -> None:
        """Take over one hit without blocking the event loop.

        Raises:
            Exception: as for :meth:`send`.
        """
        await sync_to_async(self.send_apart)(hit)

    def send_apart(self, hit: AnyHit) -> None:
        """Take over one hit; a failure leaves transactions of the site as good as new.

        A backend that does not ask a database within ``send`` overrides this, and spares the
        savepoints.

        Raises:
            Exception: as for :meth:`send`.
        """
        with savepoints():
            self.send(hit)

    def send_many(self, hits: Iterable[AnyHit]) -> None:
        """Take over several hits; a backend overrides this where it can do better than a loop."""
        for hit in hits:
            self.send(hit)

    def close(self) -> None:  # noqa: B027 - most have nothing to let go of
        """Let go of what is held: another backend takes the place of this one."""

    def wake(self) -> None:  # noqa: B027 - most have nothing that waits
        """Go on with what waits on disk, also in a process that has had no hit yet."""

    def check(self) -> list[CheckMessage]:
        """Return what is wrong with the settings of this backend, for ``manage.py check``."""
        return []

"""What every backend can do."""

from abc import ABC, abstractmethod
from collections.abc import Iterable

from django.core.checks import CheckMessage

from tracking.hits import Hit


class BaseBackend(ABC):
    """Takes hits from the web edge to the database. Made once per process, used by all threads."""

    @abstractmethod
    def send(self, hit: Hit) -> None:
        """Take over one hit.

        Returning means that the hit is as safe as this backend makes it. Delivering a
        hit twice is harmless.

        Raises:
            Exception: it could not be taken over. The caller logs that and answers the
                reader all the same.
        """

    def send_many(self, hits: Iterable[Hit]) -> None:
        """Take over several hits; a backend overrides this where it can do better than a loop."""
        for hit in hits:
            self.send(hit)

    def check(self) -> list[CheckMessage]:
        """Return what is wrong with the settings of this backend, for ``manage.py check``."""
        return []

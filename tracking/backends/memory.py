"""A backend for tests: hits stay in a list and are never written."""

from tracking import compat
from tracking.backends.base import BaseBackend
from tracking.hits import AnyHit


class MemoryBackend(BaseBackend):
    """Keeps hits in a list.

        @override_settings(TRACKING_BACKEND="tracking.backends.memory.MemoryBackend")
        def test_the_newsletter_is_tracked(client):
            client.get(pixel_url)
            [hit] = get_backend().hits

    Each test of a site begins with an empty list.
    """

    def __init__(self) -> None:
        self._hits: list[AnyHit] = []
        self._test = compat.running_test()

    @property
    def hits(self) -> list[AnyHit]:
        """The hits sent, oldest first."""
        test = compat.running_test()
        if test is not self._test:
            self._test, self._hits = test, []
        return self._hits

    def send(self, hit: AnyHit) -> None:
        """Append one hit to the list."""
        self.hits.append(hit)

    def send_in_savepoints(self, hit: AnyHit) -> None:
        """Append one hit to the list; no savepoint is needed."""
        self.send(hit)

    async def asend(self, hit: AnyHit) -> None:
        """Append one hit to the list."""
        self.send(hit)

    def clear(self) -> None:
        """Empty the list."""
        self.hits.clear()

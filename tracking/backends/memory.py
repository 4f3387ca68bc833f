"""A backend for tests: hits stay in a list and are never written."""

from tracking.backends.base import BaseBackend
from tracking.hits import AnyHit


class MemoryBackend(BaseBackend):
    """Keeps hits in a list.

        @override_settings(TRACKING_BACKEND="tracking.backends.memory.MemoryBackend")
        def test_the_newsletter_is_tracked(client):
            client.get(pixel_url)
            [hit] = get_backend().hits

    Attributes:
        hits: the hits sent, oldest first.
    """

    def __init__(self) -> None:
        self.hits: list[AnyHit] = []

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

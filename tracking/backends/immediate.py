"""The default backend: each hit is written in its request."""

from collections.abc import Iterable

from tracking import recording
from tracking.backends.base import BaseBackend
from tracking.hits import AnyHit


class ImmediateBackend(BaseBackend):
    """Writes each hit at once. Needs no other process; the request waits for one INSERT."""

    def send(self, hit: AnyHit) -> None:
        """Write one hit."""
        recording.write([hit])

    def send_many(self, hits: Iterable[AnyHit]) -> None:
        """Write several hits in one transaction."""
        recording.write(hits)

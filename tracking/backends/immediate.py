"""The default: every hit is written in the request that brought it."""

from collections.abc import Iterable

from tracking import recording
from tracking.backends.base import BaseBackend
from tracking.hits import AnyHit


class ImmediateBackend(BaseBackend):
    """Writes at once. Nothing to run beside the site; the request waits for one INSERT."""

    def send(self, hit: AnyHit) -> None:
        recording.write([hit])

    def send_many(self, hits: Iterable[AnyHit]) -> None:
        recording.write(hits)

"""The default: every hit is written in the request that brought it."""

from collections.abc import Iterable

from tracking import recording
from tracking.backends.base import BaseBackend
from tracking.hits import Hit


class ImmediateBackend(BaseBackend):
    """Writes at once. Nothing to run beside the site; the request waits for one INSERT."""

    def send(self, hit: Hit) -> None:
        recording.write([hit])

    def send_many(self, hits: Iterable[Hit]) -> None:
        recording.write(hits)

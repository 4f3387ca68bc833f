"""Each hit is written in its request: the default outside of servers."""

import importlib.util
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from tracking import compat, recording
from tracking.backends.base import BaseBackend
from tracking.db.isolation import savepoints
from tracking.hits import AnyHit
from tracking.raw_hits import AnyRawHit
from tracking.verdicts import background

if TYPE_CHECKING:
    from tracking.backends.reserve import Reserve


class ImmediateBackend(BaseBackend):
    """Writes each hit at once, in one statement, a page in two or three. Needs no other process.

    While the database takes no hits, they wait in the spool, which a thread of this process
    empties as soon as it can. Windows has no spool: there, such hits are lost. In tests of a site
    there is none either: a thread would write beside the transaction of the test.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reserve: Reserve | None = None

    def take(self, raw: AnyRawHit) -> bool:
        """Append one hit to the spool, if the database is known to take none."""
        reserve = self.spooler
        return reserve is not None and reserve.is_database_away() and reserve.take(raw)

    def send(self, hit: AnyHit) -> None:
        """Write one hit."""
        self._send([hit], recording.write)

    def send_in_savepoints(self, hit: AnyHit) -> None:
        """Write one hit; if that fails, open transactions of the site stay usable."""
        self._send([hit], _write_in_savepoints)

    def send_many(self, hits: Iterable[AnyHit]) -> None:
        """Write several hits in one transaction."""
        self._send(list(hits), recording.write)

    def _send(self, hits: Sequence[AnyHit], write: Callable[[Sequence[AnyHit]], object]) -> None:
        reserve = self.spooler
        if reserve is None:
            write(hits)
        else:
            reserve.write_or_keep(hits, write)
        background.start_if_needed()

    @property
    def spooler(self) -> "Reserve | None":
        """The backend that keeps hits on disk while the database takes none."""
        if not _HAS_SPOOL or compat.is_test_environment():
            return None
        if self._reserve is None:
            from tracking.backends.reserve import Reserve  # noqa: PLC0415 - needs fcntl

            with self._lock:
                self._reserve = self._reserve or Reserve()
        return self._reserve

    def wake_writer(self) -> None:
        """Write hits that wait on disk, even if this process has kept none yet."""
        if reserve := self.spooler:
            reserve.wake_writer()

    def close(self) -> None:
        """Write waiting hits, if the database takes them within seconds."""
        if self._reserve is not None:
            self._reserve.close()


#: Windows has no locks of files as the spool needs them.
_HAS_SPOOL = importlib.util.find_spec("fcntl") is not None


def _write_in_savepoints(hits: Sequence[AnyHit]) -> None:
    with savepoints():
        recording.write(hits)

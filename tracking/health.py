"""The state of recording, for people and for monitoring."""

import os
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.utils.translation import gettext_noop

from tracking.backends import BaseBackend, get_backend
from tracking.caching import snapshots
from tracking.conf import conf

if TYPE_CHECKING:
    from tracking.pipeline.spool.status import FolderStatus
    from tracking.pipeline.spool.writer_lock import WriterState

#: Seconds that a report is cached: anyone may request the health view as often as they like.
MAX_AGE = 1.0

METHODS = ("GET", "HEAD")

#: Figures in the response of the view.
_SHOWN = ("waiting", "lag", "rejected", "refresh_age")
_SHOWN_ABOVE_ZERO = ("unreadable", "other_sites")


class HealthReport(NamedTuple):
    """The state of recording.

    Attributes:
        problems: a few English words per problem, for monitoring.
        figures: waiting hits, the counters of this process, and the seconds since it last read
            the bans and the other tables in memory, by name. ``writer`` says who writes hits of the
            spool: ``"process"``, a writer process, or ``"thread"``, one of each process.
    """

    problems: list[str]
    figures: dict[str, Any]


def report(backend: BaseBackend) -> HealthReport:
    """Return the state of a backend. Queries neither the database nor a broker."""
    figures: dict[str, Any] = {}
    problems = _examine_snapshots(figures)
    spooler = backend.spooler
    if spooler is None:
        return HealthReport(problems, figures)
    # Imported only for sites with a spool: it needs fcntl, which Windows lacks.
    from tracking.backends.buffered import BufferedBackend  # noqa: PLC0415
    from tracking.pipeline.spool import folder_status, this_site  # noqa: PLC0415
    from tracking.pipeline.spool.writer_lock import read_writer  # noqa: PLC0415

    if not isinstance(spooler, BufferedBackend):
        return HealthReport(problems, figures)
    try:
        state = folder_status(spooler.spool.folder, this_site())
        if spooler.leaves_to_writer:
            figures |= _figures_of(read_writer(spooler.spool.folder, this_site()))
    except OSError:
        problems.append(gettext_noop("the spool cannot be read"))
    else:
        figures.update(state._asdict(), lag=round(state.lag, 3), sent_lag=round(state.sent_lag, 3))
        problems += _problems_of(state)
    figures["process"] = spooler.counters_as_dict()
    if not spooler.is_disk_writable:
        problems.append(gettext_noop("the spool does not accept hits"))
    return HealthReport(problems, figures)


def _examine_snapshots(figures: dict[str, Any]) -> list[str]:
    """Add a figure about the tables in memory, and return the problems of refreshing them."""
    fresh = snapshots.freshness()
    if fresh.age is not None:
        figures["refresh_age"] = round(fresh.age, 3)
    if fresh.overdue > conf.max_lag or (fresh.age is None and snapshots.is_failing()):
        return [gettext_noop("bans and other tables in memory cannot be refreshed")]
    return []


def _figures_of(writer: "WriterState | None") -> dict[str, Any]:
    """Return who writes. A silent process is no problem: then the threads write."""
    if writer is None:
        return {"writer": "thread"}
    return {
        "writer": "thread" if writer.is_silent else "process",
        "writer_age": round(writer.age, 3),
        "writer_process": writer,
    }


def _problems_of(state: "FolderStatus") -> list[str]:
    found = {
        gettext_noop("hits are delayed"): state.lag > conf.max_lag,
        gettext_noop("no worker has written the batches that were sent"): (
            state.sent_lag > conf.max_lag
        ),
        gettext_noop("files of the spool cannot be read"): state.unreadable > 0,
        gettext_noop("the spool holds more files than are counted"): not state.is_complete,
    }
    return [problem for problem, is_there in found.items() if is_there]


class _CachedReport:
    """The last report, so that not every request reads the disk."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start with a free lock and no report."""
        self._lock = threading.Lock()
        self._cached: tuple[BaseBackend, float, HealthReport] | None = None

    def report(self) -> HealthReport:
        backend = get_backend()
        with self._lock:
            cached = self._cached
            if cached is None or cached[0] is not backend or monotonic() > cached[1] + MAX_AGE:
                cached = self._cached = backend, monotonic(), report(backend)
                if cached[2].problems:
                    backend.wake_writer()  # the late hits may be those of a dead process
            return cached[2]


_cached_report = _CachedReport()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_cached_report.reset)


def health(request: HttpRequest) -> HttpResponse:
    """Return the state of recording as JSON, for a load balancer or monitoring.

    ``{"status": "ok", "problems": [], "waiting": 0, "lag": 0.0, "rejected": 0}``: ``waiting``
    counts hits not written yet, of all processes on this machine; ``lag`` is the age of the
    oldest, in seconds. ``refresh_age``, in processes that have read bans and other tables into
    memory, is the seconds since they last did. With a writer process, ``writer`` says whether it or
    a thread of each process writes, and ``writer_age`` how many seconds ago it gave a sign of life.
    Two more figures appear when they are not 0:
    ``unreadable``, files that cannot be read, and ``other_sites``, files of other sites. It
    contains no personal data.

    Args:
        request: GET or HEAD.

    Returns:
        The figures; with status 503 and ``"degraded"`` if there is a problem, or status 405 for
        another method.
    """
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    problems, figures = _cached_report.report()
    answer = {name: figures[name] for name in _SHOWN if name in figures}
    answer |= {name: figures[name] for name in _SHOWN_ABOVE_ZERO if figures.get(name)}
    if "writer_age" in figures:
        answer |= {name: figures[name] for name in ("writer", "writer_age")}
    status = "degraded" if problems else "ok"
    return JsonResponse(
        {"status": status, "problems": problems, **answer},
        status=503 if problems else 200,
        headers={"Cache-Control": "no-store"},
    )


# Without a transaction per request, so that it answers while a database is down.
for _alias in connections:
    health = transaction.non_atomic_requests(using=_alias)(health)

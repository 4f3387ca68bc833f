"""How the recording is doing, for people and for monitoring."""

import os
import threading
from time import monotonic
from typing import Any, NamedTuple

from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.utils.translation import gettext_noop

from tracking.backends import BaseBackend, get_backend
from tracking.conf import conf

#: Seconds for which a look at the disk is good: strangers may ask as often as they like.
GOOD_FOR = 1.0

METHODS = ("GET", "HEAD")


class Report(NamedTuple):
    """How the recording is doing.

    Attributes:
        problems: what is wrong, in a few words each; in English, for monitors.
        figures: waiting hits and the counters of this process, by name.
    """

    problems: list[str]
    figures: dict[str, Any]


def report(backend: BaseBackend) -> Report:
    """Return how a backend is doing. Asks neither the database nor a broker."""
    problems: list[str] = []
    figures: dict[str, Any] = {}
    spool = getattr(backend, "spool", None)
    if spool is None:
        return Report(problems, figures)
    # Not available everywhere, and so not imported for sites that have no spool.
    from tracking.backends.buffered import BufferedBackend  # noqa: PLC0415
    from tracking.pipeline.spool import folder_status  # noqa: PLC0415

    try:
        state = folder_status(spool.folder)
    except OSError:
        problems.append(gettext_noop("the spool cannot be read"))
    else:
        figures.update(state._asdict(), lag=round(state.lag, 3), sent_lag=round(state.sent_lag, 3))
        if state.lag > conf.max_lag:
            problems.append(gettext_noop("hits are delayed"))
        if state.sent_lag > conf.max_lag:
            problems.append(gettext_noop("no worker has written the batches that were sent"))
    if isinstance(backend, BufferedBackend):
        figures["process"] = backend.counters_as_dict()
        if not backend.is_disk_writable:
            problems.append(gettext_noop("the spool does not accept hits"))
    return Report(problems, figures)


class _Memory:
    """The last report, so that not every request looks at the disk."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin with a lock that nobody holds."""
        self._lock = threading.Lock()
        self._known: tuple[BaseBackend, float, Report] | None = None

    def report(self) -> Report:
        backend = get_backend()
        with self._lock:
            known = self._known
            if known is None or known[0] is not backend or monotonic() > known[1] + GOOD_FOR:
                known = self._known = backend, monotonic(), report(backend)
                if known[2].problems:
                    backend.wake_writer()  # the late hits may be those of a dead process
            return known[2]


_memory = _Memory()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_memory.forget)


def health(request: HttpRequest) -> HttpResponse:
    """Answer how the recording is doing, as JSON, for a load balancer or a monitor.

    ``{"status": "ok", "problems": [], "waiting": 0, "lag": 0.0, "rejected": 0}``; ``waiting`` are
    hits that are not delivered yet, of all processes on this machine, ``lag`` the seconds for
    which the oldest has been waiting. Nothing in it is about anybody.

    Returns:
        The figures; with status 503 and ``"degraded"`` if something is wrong, 405 for other
        methods than GET and HEAD.
    """
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    problems, figures = _memory.report()
    answer = {name: figures[name] for name in ("waiting", "lag", "rejected") if name in figures}
    status = "degraded" if problems else "ok"
    return JsonResponse(
        {"status": status, "problems": problems, **answer},
        status=503 if problems else 200,
        headers={"Cache-Control": "no-store"},
    )


# A database that is away is not to stop who asks about it.
for _alias in connections:
    health = transaction.non_atomic_requests(using=_alias)(health)

"""The counters of the recording, for Prometheus.

Where ``prometheus_client`` is installed, they are in its default registry, which django-prometheus
and every other exporter reads. This module is imported there only.

They are brought up to date when somebody asks, and by the writer's thread after each round: where
several processes share a folder (``PROMETHEUS_MULTIPROC_DIR``), nobody asks each of them. A
request never does anything for them.
"""

import logging
import os
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tracking import health
from tracking.backends import BaseBackend, get_backend
from tracking.backends.buffered import BufferedBackend, round_observers
from tracking.db.isolation import log_errors

logger = logging.getLogger(__name__)

#: What is counted by each process, by the names in :class:`tracking.pipeline.write_batch.Counters`.
_COUNTED = {
    "received": ("tracking_hits_received", "Hits taken over."),
    "written": ("tracking_hits_written", "Hits delivered, to the database or the broker."),
    "duplicate": ("tracking_hits_duplicate", "Of those delivered, how many had been before."),
    "at_once": ("tracking_hits_at_once", "Hits written in the request, as the disk took none."),
    "failures": ("tracking_delivery_failures", "Times the database or the broker was away."),
}

#: What all processes of a machine have in common, by the names in a report of the health.
_SHARED = {
    "waiting": ("tracking_hits_waiting", "Hits in the spool, not delivered yet."),
    "lag": ("tracking_lag_seconds", "For how long the oldest of them has been waiting."),
    "rejected": ("tracking_hits_set_aside", "Hits set aside, for tracking_replay."),
}


class Metrics(Collector):
    """The metrics of one registry.

    Args:
        registry: where they are to be found.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], int] = {}
        self._backend: BaseBackend | None = None
        # First, so that it is asked before those that it brings up to date.
        registry.register(self)
        self._counters = {
            name: Counter(title, text, registry=registry)
            for name, (title, text) in _COUNTED.items()
        }
        self._spooled = Counter("tracking_hits_spooled", "Hits put on disk.", registry=registry)
        self._rejected = Counter(
            "tracking_hits_rejected", "Hits refused, and set aside.", ["reason"], registry=registry
        )
        self._gauges = {
            name: Gauge(title, text, registry=registry, multiprocess_mode="livemostrecent")
            for name, (title, text) in _SHARED.items()
        }

    def describe(self) -> Iterable[Metric]:
        """Return nothing: there is nothing in it but those registered by themselves."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Bring all up to date, and return nothing besides."""
        with log_errors(logger, "Updating of the metrics"):
            self.update(get_backend())
        return ()

    def update(self, backend: BaseBackend) -> None:
        """Take over the counters of a backend, and what the disk says."""
        _, figures = health.report(backend)
        with self._lock:
            if backend is not self._backend:
                self._backend, self._seen = backend, {}
            for name, gauge in self._gauges.items():
                if name in figures:
                    gauge.set(figures[name])
            if "process" in figures:
                self._count(figures["process"])

    def before_fork(self) -> None:
        """See to it that no thread is amid an update, of which the child would have the locks."""
        self._lock.acquire()

    def after_fork(self, *, is_child: bool) -> None:
        """Go on; in a child, whose backend counts from zero, with nothing seen."""
        if is_child:
            self._seen = {}
        self._lock.release()

    def _count(self, counted: Mapping[str, Any]) -> None:
        for name, counter in self._counters.items():
            counter.inc(self._news(name, "", counted[name]))
        self._spooled.inc(self._news("spooled", "", counted["received"] - counted["at_once"]))
        for reason, number in list(counted["rejected"].items()):
            self._rejected.labels(reason).inc(self._news("rejected", reason, number))

    def _news(self, name: str, reason: str, number: int) -> int:
        """Return by how much a figure has grown since it was last seen."""
        before = self._seen.get((name, reason), 0)
        self._seen[name, reason] = number
        # A forked process begins anew.
        return number - before if number >= before else number


#: Those of the default registry, once there are any.
_metrics: Metrics | None = None


def register() -> None:
    """Put the metrics into the default registry, once."""
    global _metrics  # noqa: PLW0603 - the registry is one for the process, too
    if _metrics is None:
        _metrics = metrics = Metrics(REGISTRY)
        round_observers.append(_after_round)
        os.register_at_fork(
            before=metrics.before_fork,
            after_in_parent=lambda: metrics.after_fork(is_child=False),
            after_in_child=lambda: metrics.after_fork(is_child=True),
        )


def _after_round(backend: BufferedBackend) -> None:
    if _metrics is not None:
        _metrics.update(backend)

"""Metrics of recording, for Prometheus.

If ``prometheus_client`` is installed, they are in its default registry, which django-prometheus
and all other exporters read. Only then is this module imported.

They are updated when they are collected, and by the writer thread after each round, because
processes that share a folder (``PROMETHEUS_MULTIPROC_DIR``) are not collected one by one. Requests
spend no time on them.
"""

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
from tracking.identity import new_visitors
from tracking.log_limits import get_logger

logger = get_logger(__name__)

#: Counters of each process, by the names in :class:`tracking.pipeline.write_batch.Counters`.
_COUNTED = {
    "received": ("tracking_hits_received", "Hits received."),
    "written": (
        "tracking_hits_written",
        "Hits written to the database or confirmed by the broker.",
    ),
    "duplicate": (
        "tracking_hits_duplicate",
        "Hits among the written ones that had been written before.",
    ),
    "at_once": (
        "tracking_hits_at_once",
        "Hits written in the request because the disk refused them.",
    ),
    "failures": ("tracking_delivery_failures", "Times the database or the broker was down."),
}

#: Gauges of the machine, by the names of the figures in :class:`tracking.health.HealthReport`.
_SHARED = {
    "waiting": ("tracking_hits_waiting", "Hits in the spool, not written yet."),
    "lag": ("tracking_lag_seconds", "Age of the oldest hit in the spool."),
    "rejected": ("tracking_hits_set_aside", "Hits set aside, for tracking_replay."),
}

#: The figure that no backend counts.
_NOT_STORED = ("not_stored", "")


class Metrics(Collector):
    """The metrics of one registry.

    Args:
        registry: the registry to add them to.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], int] = {}
        self._backend: BaseBackend | None = None
        # Registered first, so that it is collected before the metrics that it updates.
        registry.register(self)
        self._counters = {
            name: Counter(title, text, registry=registry)
            for name, (title, text) in _COUNTED.items()
        }
        self._spooled = Counter(
            "tracking_hits_spooled", "Hits appended to the spool.", registry=registry
        )
        self._rejected = Counter(
            "tracking_hits_rejected",
            "Hits that the database refused, set aside.",
            ["reason"],
            registry=registry,
        )
        self._not_stored = Counter(
            "tracking_pages_not_stored",
            "Pages of new visitors above TRACKING_NEW_VISITORS_PER_NETWORK.",
            registry=registry,
        )
        self._gauges = {
            name: Gauge(title, text, registry=registry, multiprocess_mode="livemostrecent")
            for name, (title, text) in _SHARED.items()
        }

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the metrics are registered on their own."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Update all metrics; return none, as they are registered on their own."""
        with log_errors(logger, "Updating the metrics"):
            self.update(get_backend())
        return ()

    def update(self, backend: BaseBackend) -> None:
        """Update the metrics from the counters of a backend and from the spool folder."""
        backend = backend.spooler or backend  # the writer thread reports that one
        _, figures = health.report(backend)
        with self._lock:
            if backend is not self._backend:
                self._backend = backend
                self._seen = {_NOT_STORED: self._seen.get(_NOT_STORED, 0)}
            self._not_stored.inc(self._increase(*_NOT_STORED, new_visitors.not_stored()))
            for name, gauge in self._gauges.items():
                if name in figures:
                    gauge.set(figures[name])
            if "process" in figures:
                self._count(figures["process"])

    def before_fork(self) -> None:
        """Wait until no thread is updating: the child would inherit locked locks."""
        self._lock.acquire()

    def after_fork(self, *, is_child: bool) -> None:
        """Continue; a child starts from zero, as its backend does."""
        if is_child:
            self._seen = {}
        self._lock.release()

    def _count(self, counted: Mapping[str, Any]) -> None:
        for name, counter in self._counters.items():
            counter.inc(self._increase(name, "", counted[name]))
        self._spooled.inc(self._increase("spooled", "", counted["received"] - counted["at_once"]))
        for reason, number in list(counted["rejected"].items()):
            self._rejected.labels(reason).inc(self._increase("rejected", reason, number))

    def _increase(self, name: str, reason: str, number: int) -> int:
        """Return by how much a figure has grown since the last update."""
        before = self._seen.get((name, reason), 0)
        self._seen[name, reason] = number
        # A smaller figure comes from a forked process, which starts from zero.
        return number - before if number >= before else number


#: The metrics in the default registry, once registered.
_metrics: Metrics | None = None


def register() -> None:
    """Add the metrics to the default registry, once."""
    global _metrics  # noqa: PLW0603 - like the registry, one per process
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

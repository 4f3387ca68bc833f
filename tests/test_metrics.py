"""Metrics for Prometheus."""

import os
import subprocess
import sys

import pytest
from django.db import DataError
from django.test import override_settings, utils

from tests.support import documents
from tests.support.processes import Site
from tracking.backends import get_backend
from tracking.hits import Hit, Kind, PageHit
from tracking.identity import new_visitors
from tracking.pipeline import write_batch

prometheus_client = pytest.importorskip("prometheus_client")
from tracking import metrics  # noqa: E402 - it needs the library
from tracking.backends import buffered  # noqa: E402

pytestmark = pytest.mark.django_db

BUFFERED = "tracking.backends.buffered.BufferedBackend"


class Registry:
    """A registry of its own, for one test."""

    def __init__(self):
        self.registry = prometheus_client.CollectorRegistry()
        self.metrics = metrics.Metrics(self.registry)

    def value(self, name, **labels):
        self.metrics.collect()
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def backend(tmp_path):
    with override_settings(TRACKING_BACKEND=BUFFERED, TRACKING_SPOOL=str(tmp_path)):
        backend = get_backend()
        # The tests deliver by hand: another thread would not see their transaction.
        backend._start_thread = lambda: None
        yield backend
        backend.flush()


def test_hits_are_counted_on_their_way(backend, registry):
    hits = [Hit(kind=Kind.OPEN) for _ in range(5)]
    backend.send_many(hits)
    assert registry.value("tracking_hits_received_total") == 5
    assert registry.value("tracking_hits_spooled_total") == 5
    assert registry.value("tracking_hits_waiting") == 5
    assert registry.value("tracking_hits_written_total") == 0
    assert backend.flush()
    backend.send_many(hits[:2])
    assert backend.flush()
    assert registry.value("tracking_hits_received_total") == 7
    assert registry.value("tracking_hits_written_total") == 7
    assert registry.value("tracking_hits_duplicate_total") == 2
    assert registry.value("tracking_hits_waiting") == 0
    assert registry.value("tracking_lag_seconds") == 0


def test_pages_over_the_budget_of_new_visitors_are_counted(registry, settings):
    settings.TRACKING_NEW_VISITORS_PER_NETWORK = 1
    for key in "abc":
        new_visitors.fits_budget(key, "192.0.2.7")
    assert registry.value("tracking_pages_not_stored_total") == 2
    settings.TRACKING_BACKEND = BUFFERED  # with another backend the count goes on
    assert registry.value("tracking_pages_not_stored_total") == 2


def test_what_is_refused_is_counted_with_its_reason(backend, registry, monkeypatch):
    def write(hits, _receipt):
        if any(hit.kind == "poison" for hit in hits):
            raise DataError("no such kind")
        return 0

    real = write_batch.write_records
    monkeypatch.setattr(
        write_batch, "write_records", lambda items, **options: real(items, write, **options)
    )
    backend.send_many([Hit(kind=Kind.OPEN), Hit(kind="poison")])
    assert backend.flush()
    [(reason, number)] = backend.counters_as_dict()["rejected"].items()
    assert registry.value("tracking_hits_rejected_total", reason=reason) == number == 1
    assert registry.value("tracking_hits_set_aside") == 1


def test_a_disk_that_takes_nothing_is_counted(backend, registry, monkeypatch):
    def full(hits):
        raise OSError("No space left on device")

    monkeypatch.setattr(backend.spool, "append", full)
    backend.send(PageHit(visitor="anna", url="/"))
    assert registry.value("tracking_hits_at_once_total") == 1
    assert registry.value("tracking_hits_spooled_total") == 0
    assert registry.value("tracking_hits_received_total") == 1


def test_another_backend_is_counted_on_from_there(backend, registry, tmp_path):
    backend.send(Hit(kind=Kind.OPEN))
    assert registry.value("tracking_hits_received_total") == 1
    with override_settings(TRACKING_SPOOL=str(tmp_path / "another")):
        get_backend()._start_thread = lambda: None
        get_backend().send_many([Hit(kind=Kind.OPEN), Hit(kind=Kind.OPEN)])
        assert registry.value("tracking_hits_received_total") == 3
        get_backend().flush()


def test_what_the_default_keeps_on_disk_is_counted_once(registry, tmp_path, monkeypatch):
    monkeypatch.delattr(utils._TestState, "saved_data")  # in tests of a site it keeps nothing
    with override_settings(TRACKING_SPOOL=str(tmp_path)):
        reserve = get_backend().spooler
        monkeypatch.setattr(reserve, "_start_thread", lambda: None)
        reserve.keep([Hit(kind=Kind.OPEN), Hit(kind=Kind.OPEN)])
        registry.metrics.update(reserve)  # as its thread does after a round
        assert registry.value("tracking_hits_spooled_total") == 2
        registry.metrics.update(reserve)
        assert registry.value("tracking_hits_spooled_total") == 2
        assert registry.value("tracking_hits_waiting") == 2


def test_a_forked_process_that_begins_anew_is_not_counted_backwards(backend, registry):
    backend.send_many([Hit(kind=Kind.OPEN)] * 3)
    assert registry.value("tracking_hits_received_total") == 3
    backend.flush()
    backend.spool.appended = 1
    assert registry.value("tracking_hits_received_total") == 4


@pytest.mark.slow
def test_a_fork_amid_an_update_leaves_the_child_its_locks(tmp_path):
    site = Site(tmp_path)
    assert site.run("-c", FORKING).split() == ["0"] * 5


FORKING = """
import django, os, threading, warnings
django.setup()
from tracking import metrics
from tracking.backends import get_backend
from tests.support.forks import exit_code, forked

metrics.register()
backend = get_backend()
over = threading.Event()

def update():
    while not over.is_set():
        with metrics._metrics._lock:
            over.wait(0.02)

thread = threading.Thread(target=update)
thread.start()

def check():
    metrics._metrics.update(backend)
    return True

for _ in range(5):
    print(exit_code(forked(check)), flush=True)
over.set()
thread.join()
"""


def test_a_backend_without_a_spool_exports_nothing(registry):
    assert registry.value("tracking_hits_received_total") == 0
    assert registry.value("tracking_hits_waiting") == 0


def test_a_backend_that_cannot_be_made_breaks_no_export(registry, caplog):
    with override_settings(TRACKING_BACKEND="tracking.backends.nowhere.Backend"):
        page = prometheus_client.generate_latest(registry.registry).decode()
    assert "tracking_hits_received_total 0.0" in page
    assert "Updating the metrics failed" in caplog.text


def test_they_are_in_the_default_registry_once():
    metrics.register()
    assert buffered.round_observers.count(metrics._after_round) == 1
    page = prometheus_client.generate_latest().decode()
    assert page.count("# TYPE tracking_hits_received_total counter") == 1


def test_django_prometheus_exports_them(rf):
    exports = pytest.importorskip("django_prometheus.exports")
    page = exports.ExportToDjangoView(rf.get("/metrics")).content.decode()
    assert "# TYPE tracking_lag_seconds gauge" in page
    assert "tracking_hits_written_total" in page


def test_a_watcher_that_fails_stops_no_delivery(backend, monkeypatch, caplog):
    def failing(backend):
        raise RuntimeError("not today")

    monkeypatch.setattr(buffered, "round_observers", [failing])
    backend._notify_observers()
    assert "not today" in caplog.text


SEND = """
import django; django.setup()
from tracking.pipeline import write_batch
from tracking.backends import get_backend
from tracking.hits import Hit, Kind
backend = get_backend()
backend.send_many(Hit(kind=Kind.OPEN) for _ in range(NUMBER))
backend.close()
"""

COLLECT = """
from prometheus_client import CollectorRegistry, generate_latest, multiprocess
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
print(generate_latest(registry).decode())
"""


@pytest.mark.slow
def test_processes_that_share_a_folder_are_summed_up(tmp_path):
    site = Site(tmp_path)
    (tmp_path / "metrics").mkdir()
    site.environment["PROMETHEUS_MULTIPROC_DIR"] = str(tmp_path / "metrics")
    for number in (3, 4):
        site.run("-c", SEND.replace("NUMBER", str(number)))
    page = site.run("-c", COLLECT)
    assert "tracking_hits_received_total 7.0" in page
    assert "tracking_hits_written_total 7.0" in page


WITHOUT = """
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == "prometheus_client" else found(name, *a)
import django; django.setup()
assert "prometheus_client" not in sys.modules
assert "tracking.metrics" not in sys.modules
"""


@pytest.mark.slow
def test_without_the_library_nothing_happens():
    environment = {
        **os.environ,
        "PYTHONPATH": str(documents.ROOT),
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    subprocess.run([sys.executable, "-W", "error", "-c", WITHOUT], env=environment, check=True)

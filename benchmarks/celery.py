"""Send a million hits through Celery: one sender, a broker, two workers, PostgreSQL.

All are real processes. The time is measured from the first hit until the database has the receipt
of the last batch; then all rows are counted. ``TRACKING_BENCHMARK_HITS`` changes the number.
"""

import json
import os
import sys
import tempfile
import time as clock
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from benchmarks.batches import beacon_values, empty_tables, sample_hits
from benchmarks.databases import temporary_database
from benchmarks.measuring import print_row, print_spread
from tests.support.brokers import BROKERS, Broker
from tests.support.celery_workers import APP, log_of, worker
from tests.support.processes import Site, wait_until
from tracking.models import Beacon, WrittenBatch
from tracking.pipeline.spool import folder_status

HITS = int(os.environ.get("TRACKING_BENCHMARK_HITS", "1_000_000"))
WORKERS = 2

#: Beacons that ``create()`` writes in a round, and rounds before and after each run.
ONE_BY_ONE, ROUNDS = 2_000, 3

SETTINGS = """
DATABASES = {"default": %r}
INSTALLED_APPS += ["celery_site"]
TRACKING_BACKEND = "tracking.backends.celery.CeleryBackend"
CELERY_BROKER_URL = %r
CELERY_TASK_DEFAULT_QUEUE = %r
CELERY_BROKER_TRANSPORT_OPTIONS = %r
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
"""

#: Sends hits one by one, as the requests of a site do, and exits when all are written.
SENDER = """
import celery_site, django, json, sys, time
django.setup()
from benchmarks.batches import sample_hits
from tracking.backends import get_backend
from tracking.pipeline.spool import folder_status

backend = get_backend()
backend.folder_check_interval = 0.5
spent, number, begun = 0.0, int(sys.argv[1]), time.time()
while number:
    some = sample_hits(min(number, 1_000))
    number -= len(some)
    started = time.perf_counter()
    for hit in some:
        backend.send(hit)
    spent += time.perf_counter() - started
sent = time.time()
while (state := folder_status(backend.spool.folder)).waiting or state.sent:
    time.sleep(0.1)
print(json.dumps({"begun": begun, "sending": spent, "sent": sent, "arrived": time.time()}))
"""


def main() -> None:
    """Measure and print."""
    print(f"{HITS:,} hits, one sender, {WORKERS} workers, PostgreSQL.")
    for name in BROKERS:
        print(f" {name}")
        with _site(name) as found:
            if found:
                _run(*found)


@contextmanager
def _site(name: str) -> Iterator[tuple[Site, str] | None]:
    with ExitStack() as stack:
        using = stack.enter_context(temporary_database("postgresql"))
        if using is None:
            yield None
            return
        try:
            broker: Broker = stack.enter_context(BROKERS[name]())
        except pytest.skip.Exception as error:
            print(f"  not measured: {error}")
            yield None
            return
        # A slow run must not look like a killed worker.
        options = {**broker.options, **({"visibility_timeout": 600} if broker.options else {})}
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "celery_site.py").write_text(APP)
        settings: dict[str, Any] = {
            key: value
            for key, value in connections[using].settings_dict.items()
            if key in {"ENGINE", "HOST", "PORT", "USER", "PASSWORD", "NAME"}
        }
        yield Site(folder, SETTINGS % (settings, broker.url, broker.queue, options)), using


def _run(site: Site, using: str) -> None:
    one_by_one = [_one_by_one(using) for _ in range(ROUNDS)]
    with ExitStack() as stack:
        names = [f"worker{number}" for number in range(WORKERS)]
        for name in names:
            stack.enter_context(worker(site, name))
        for name in names:
            wait_until(lambda name=name: "ready" in log_of(site, name), 60)
        sender = site.start("-c", SENDER, str(HITS), stdout=-1)
        while sender.poll() is None:
            state = folder_status(site.spool)
            progress = f"  {state.waiting:,} hits waiting, {state.sent} batches in flight"
            print(f"\x1b[2K{progress}", end="\r", file=sys.stderr, flush=True)
            clock.sleep(1)
        print(end="\x1b[2K", file=sys.stderr, flush=True)
        assert sender.returncode == 0
        assert sender.stdout is not None
        with sender.stdout as output:
            times = json.load(output)
    rows, batches = Beacon.objects.count(), WrittenBatch.objects.count()
    state = folder_status(site.spool)
    one_by_one += [_one_by_one(using) for _ in range(ROUNDS)]
    _print(times, one_by_one, rows, batches)
    assert rows == HITS, f"{rows:,} rows"
    assert (state.waiting, state.sent, state.rejected) == (0, 0, 0)


def _print(times: dict[str, float], one_by_one: list[float], rows: int, batches: int) -> None:
    seconds = times["arrived"] - times["begun"]
    print_row("rows", f"{rows:,} in {batches:,} batches", f"{HITS:,}")
    print_row("from the first hit to the last row", f"{seconds:.0f} s", "")
    print_row("  of which sending", f"{times['sent'] - times['begun']:.0f} s", "")
    print_row("time of a request", f"{times['sending'] / HITS * 1e6:.0f} microseconds a hit", "")
    print_row("rate", f"{HITS / seconds:,.0f} rows/s", "")
    print_spread("create()", one_by_one, "rows/s", "")
    print_spread("  to create()", [HITS / seconds / rate for rate in one_by_one], "times", "")


def _one_by_one(using: str) -> float:
    """Return the rows a second of a plain ``create()``."""
    values = beacon_values(sample_hits(ONE_BY_ONE), using)
    started = clock.perf_counter()
    for row in values:
        Beacon.objects.create(**row)
    seconds = clock.perf_counter() - started
    empty_tables(using)
    return ONE_BY_ONE / seconds

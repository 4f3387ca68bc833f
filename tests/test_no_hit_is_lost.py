"""Each hit that was answered becomes one row, whatever is killed, stopped or full.

Real servers under load from several threads; each token carries a number, which is compared with
the rows. ``TRACKING_OUTAGE=30`` stops services for 30 seconds (``tests/support/outages.py``);
``pytest -s`` prints the figures.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests.support import databases_apart, outages
from tests.support.brokers import BROKERS, Broker
from tests.support.celery_workers import APP, log_of, worker
from tests.support.disks import small_disk
from tests.support.load import SERVERS, Load, check, check_rows, served, write_applications
from tests.support.processes import Site, free_port, wait_until, workers_of
from tests.support.services import missing
from tests.support.tcp_proxy import TcpProxy
from tracking.pipeline.spool import folder_status

pytestmark = pytest.mark.slow

#: Sends again sooner than a site should, so that the tests are quick.
ON_CELERY = """
INSTALLED_APPS += ["celery_site"]
TRACKING_BACKEND = "site_backend.Quick"
CELERY_BROKER_URL = %r
CELERY_TASK_DEFAULT_QUEUE = %r
CELERY_BROKER_TRANSPORT_OPTIONS = %r
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
"""

BACKEND = """
from tracking.backends.celery import CeleryBackend
from tracking.pipeline.celery_redelivery import RedeliveryDelays

class Quick(CeleryBackend):
    redelivery_delays = RedeliveryDelays(overtaken=1, queued=10, max_sends=20)
    max_retry_delay = 1
    folder_check_interval = 0.5
"""


@pytest.fixture(scope="module")
def database():
    database = databases_apart.make_best()
    yield database
    database.drop()


@pytest.fixture(scope="module")
def site(tmp_path_factory, database):
    tmp_path = tmp_path_factory.mktemp("promises")
    write_applications(tmp_path)
    return Site(tmp_path, database.settings)


@pytest.mark.parametrize("server", SERVERS)
def test_workers_are_killed_under_load(site, database, server):
    kills = 0
    with served(site, server) as (process, port):
        with Load(port) as load:
            for number in range(10):
                before = len(load.answered)
                wait_until(lambda before=before: len(load.answered) > before + 20, 20)
                if workers := workers_of(process):
                    os.kill(workers[number % len(workers)], signal.SIGKILL)
                    kills += 1
                time.sleep(0.1)
            before = len(load.answered)
            wait_until(lambda: len(load.answered) > before + 50, 20)
    assert kills == 10
    check(site, database, load)


def test_the_database_is_away_for_seconds(site, database):
    if database.proxy is None:
        pytest.skip("SQLite is a file, and not away")
    with served(site, "gunicorn") as (_, port):
        with Load(port) as load:
            wait_until(lambda: len(load.answered) > 100)
            database.proxy.close()
            away = len(load.answered)
            time.sleep(outages.seconds(3))
            assert len(load.answered) > away + 100  # readers see nothing of it
            assert folder_status(site.spool).waiting > 100
            database.proxy.open()
            wait_until(lambda: folder_status(site.spool).lag < 2, 60)
            time.sleep(0.5)
    assert not load.cut_off
    assert load.slowest < 2
    check(site, database, load)


def test_the_disk_is_full_under_load(site, database):
    with small_disk(site.spool):
        with served(site, "gunicorn") as (_, port):
            with Load(port) as load:
                wait_until(lambda: len(load.answered) > 100)
                filler = site.spool / "filler"
                try:
                    filler.write_bytes(b"x" * 200_000)
                except OSError:
                    assert filler.exists()
                full = len(load.answered)
                time.sleep(outages.seconds(0))
                wait_until(lambda: len(load.answered) > full + 200)
                filler.unlink()
                emptied = len(load.answered)
                wait_until(lambda: len(load.answered) > emptied + 200)
        assert not load.cut_off
        assert "cannot be written" in (site.folder / "server.log").read_text()
        check(site, database, load)


@pytest.fixture
def celery_site(tmp_path, database):
    """Make sites whose hits go through a broker."""

    def make(broker):
        write_applications(tmp_path)
        (tmp_path / "site_backend.py").write_text(BACKEND)
        (tmp_path / "celery_site.py").write_text(APP)
        return Site(tmp_path, database.settings + ON_CELERY % broker)

    return make


def has_arrived(site):
    """Return whether nothing is waiting here, nor on its way."""
    state = folder_status(site.spool)
    return not (state.waiting or state.sent)


@pytest.mark.parametrize("name", BROKERS)
def test_the_broker_is_away_for_seconds(celery_site, database, name):
    """For the site and for its worker, which have to find back."""
    with BROKERS[name]() as broker:
        place = urlsplit(broker.url)
        proxy = TcpProxy(place.hostname, place.port)
        proxy.open()
        behind = broker._replace(url=broker.url.replace(f":{place.port}", f":{proxy.port}"))
        site = celery_site(behind)
        with worker(site), served(site, "gunicorn") as (_, port):
            with Load(port) as load:
                wait_until(lambda: database.numbers(site), 30, lambda: log_of(site))
                proxy.close()
                away = len(load.answered)
                time.sleep(outages.seconds(3))
                assert len(load.answered) > away + 100
                assert folder_status(site.spool).waiting > 100
                proxy.open()
                wait_until(lambda: folder_status(site.spool).lag < 2, 60)
                time.sleep(0.5)
            wait_until(lambda: has_arrived(site), 120, lambda: log_of(site))
        proxy.close()
        assert not load.cut_off
        assert load.slowest < 2
        check_rows(site, database, load)


@contextmanager
def private_redis(folder):
    """A Redis that may be killed; it keeps nothing."""
    if not (server := shutil.which("redis-server")):
        missing("redis-server")
    port = free_port()

    def start():
        process = subprocess.Popen(
            [server, "--port", str(port), "--save", "", "--appendonly", "no"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        wait_until(lambda: _listens(port), 10)
        return process

    processes = [start()]

    def kill():
        processes[-1].kill()
        processes[-1].wait()

    try:
        broker = Broker(f"redis://127.0.0.1:{port}/0", "tracking", {"visibility_timeout": 60})
        yield broker, kill, lambda: processes.append(start())
    finally:
        kill()


def _listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_a_redis_that_is_killed_forgets_and_nothing_is_lost(celery_site, database, tmp_path):
    """All that was in its queue is gone, and nobody tells."""
    with private_redis(tmp_path) as (broker, kill, start):
        site = celery_site(broker)
        with served(site, "gunicorn") as (_, port):
            with Load(port) as load:
                wait_until(lambda: folder_status(site.spool).sent > 3, 20)  # nobody takes them off
                kill()
                time.sleep(outages.seconds(1))
                start()
                with worker(site):
                    waiting = len(load.answered)
                    wait_until(lambda: len(load.answered) > waiting + 200, 20)
                    wait_until(lambda: database.numbers(site), 40, lambda: log_of(site))
            with worker(site, "two"):
                wait_until(lambda: has_arrived(site), 120, lambda: log_of(site, "two"))
        assert not load.cut_off
        check_rows(site, database, load)

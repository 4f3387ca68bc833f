"""Each hit that was answered becomes one row, whatever is killed, stopped or full.

Real servers under load from several threads; each token carries a number, which is compared with
the rows. ``TRACKING_OUTAGE=30`` stops services for 30 seconds (``tests/support/outages.py``);
``pytest -s`` prints the figures.
"""

import http.client
import itertools
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import uuid
from collections import Counter
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest

from tests.support import outages
from tests.support.brokers import BROKERS, Broker
from tests.support.celery_workers import APP, log_of, worker
from tests.support.disks import small_disk
from tests.support.processes import Site, free_port, wait_until, workers_of
from tests.support.services import missing
from tests.support.tcp_proxy import TcpProxy
from tracking import links
from tracking.pipeline.spool import folder_status
from tracking.views import GIF

pytestmark = pytest.mark.slow

POSTGRESQL = {
    "host": os.environ.get("PGHOST", "127.0.0.1"),
    "port": int(os.environ.get("PGPORT", "5432")),
    "user": os.environ.get("PGUSER", "postgres"),
    "password": os.environ.get("PGPASSWORD", ""),
}

ON_POSTGRESQL = """
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": %(host)r, "PORT": %(port)r, "USER": %(user)r, "PASSWORD": %(password)r,
    "NAME": %(name)r,
    "OPTIONS": {"connect_timeout": 2},
}}
"""

WSGI = """
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
"""

ASGI = """
from django.core.asgi import get_asgi_application
application = get_asgi_application()
"""

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

SERVERS = {
    "gunicorn": ("-m", "gunicorn", "--workers=2", "--bind=127.0.0.1:{port}", "site_wsgi"),
    "gunicorn, threads, preloaded": (
        *("-m", "gunicorn", "--workers=2", "--threads=4", "--preload"),
        *("--bind=127.0.0.1:{port}", "site_wsgi"),
    ),
    "uvicorn": (
        *("-m", "uvicorn", "--workers=2", "--host=127.0.0.1", "--port={port}"),
        *("--log-level=warning", "site_asgi:application"),
    ),
}


class Database:
    """PostgreSQL where it is there, behind a proxy; else a SQLite file."""

    def __init__(self):
        self.name = f"tracking_promises_{uuid.uuid4().hex[:12]}"
        self.proxy = None
        try:
            import psycopg

            self._driver = psycopg
            self._ask("postgres", f'CREATE DATABASE "{self.name}"')
        except Exception:
            self._driver = None
            return
        self.proxy = TcpProxy(POSTGRESQL["host"], POSTGRESQL["port"])
        self.proxy.open()

    @property
    def settings(self):
        if self.proxy is None:
            return ""
        place = {**POSTGRESQL, "host": "127.0.0.1", "port": self.proxy.port, "name": self.name}
        return ON_POSTGRESQL % place

    def numbers(self, site):
        """Return the numbers of all rows."""
        query = "SELECT data FROM tracking_beacon"
        if self.proxy is not None:
            return [data["n"] for (data,) in self._ask(self.name, query)]
        with closing(sqlite3.connect(site.database, timeout=20)) as database:
            return [json.loads(data)["n"] for (data,) in database.execute(query)]

    def drop(self):
        if self.proxy is not None:
            self.proxy.close()
            self._ask("postgres", f'DROP DATABASE "{self.name}" WITH (FORCE)')

    def _ask(self, name, query):
        connection = self._driver.connect(
            **POSTGRESQL, dbname=name, autocommit=True, connect_timeout=2
        )
        with closing(connection):
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def database():
    database = Database()
    yield database
    database.drop()


@pytest.fixture(scope="module")
def site(tmp_path_factory, database):
    tmp_path = tmp_path_factory.mktemp("promises")
    (tmp_path / "site_wsgi.py").write_text(WSGI)
    (tmp_path / "site_asgi.py").write_text(ASGI)
    return Site(tmp_path, database.settings)


#: No two requests of these tests have the same one.
NUMBERS = itertools.count()


class Load:
    """Readers, each with a pixel or a link of its own, as fast as they are answered."""

    def __init__(self, port, threads=4):
        self._port = port
        self.first = next(NUMBERS)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._read) for _ in range(threads)]
        self.answered = []
        self.cut_off = []
        self.wrong = []
        self.slowest = 0.0

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _read(self):
        while not self._stop.is_set():
            number = next(NUMBERS)
            if number % 2:
                path = links.link_url("https://shop.example/", kwargs={"n": number})
            else:
                path = links.pixel_url(kwargs={"n": number})
            started = time.monotonic()
            try:
                answer = self._ask(path)
            except (OSError, http.client.HTTPException):
                self.cut_off.append(number)
                time.sleep(0.01)
                continue
            self.slowest = max(self.slowest, time.monotonic() - started)
            if answer in {(200, GIF), (302, b"")}:
                self.answered.append(number)
            else:
                self.wrong.append(answer)

    def _ask(self, path):
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)) as connection:
            connection.request("GET", path, headers={"User-Agent": "Mozilla/5.0 (X11)"})
            response = connection.getresponse()
            return response.status, response.read()


@contextmanager
def served(site, server):
    """Serve the site, and give the process and the port; in the end it is asked to stop."""
    port = free_port()
    log = site.folder / "server.log"
    with log.open("w") as output:
        process = site.start(
            *(part.format(port=port) for part in SERVERS[server]),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            wait_until(lambda: _answers(port), 20, log.read_text)
            yield process, port
            process.terminate()
            process.wait(20)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _answers(port):
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/t/health")
            return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def check(site, database, load):
    """All that was answered is a row, and no row is there twice."""
    site.run("-m", "django", "tracking_drain")
    check_rows(site, database, load)


def check_rows(site, database, load):
    """The same, where all has arrived by itself."""
    rows = Counter(number for number in database.numbers(site) if number >= load.first)
    assert not load.wrong
    assert load.answered
    assert set(load.answered) <= set(rows), "an answer was lost"
    assert max(rows.values()) == 1, "a row is there twice"
    assert set(rows) <= {*load.answered, *load.cut_off}
    state = folder_status(site.spool)
    assert (state.waiting, state.sent, state.rejected) == (0, 0, 0)
    print(  # noqa: T201 - the long form is run for it
        f"\n  {len(load.answered):,} answers and {len(load.cut_off)} connections cut off, "
        f"{rows.total():,} rows, {rows.total() - len(rows)} twice, {len(load.wrong)} other "
        f"answers; the slowest took {load.slowest:.2f} s"
    )


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
        (tmp_path / "site_wsgi.py").write_text(WSGI)
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

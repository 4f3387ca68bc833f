"""``ImmediateBackend``: each hit that was answered becomes one row, whatever the database does.

The sites have the default settings. As in ``test_no_hit_is_lost.py``, real servers are under load,
``TRACKING_OUTAGE=10`` is the long form, and ``pytest -s`` prints the figures.
"""

import re
import time
from contextlib import contextmanager

import pytest

from tests.support import databases_apart, outages
from tests.support.load import LOG, Load, check, served, write_applications
from tests.support.processes import Site, wait_until
from tracking.pipeline.spool import folder_status

pytestmark = pytest.mark.slow

AT_ONCE = """
TRACKING_BACKEND = "tracking.backends.immediate.ImmediateBackend"
MIDDLEWARE = [*MIDDLEWARE, "tracking.middleware.VisitorTrackingMiddleware"]
"""


@pytest.fixture(scope="module")
def database():
    database = databases_apart.make()
    yield database
    database.drop()


@pytest.fixture
def site(tmp_path, database):
    write_applications(tmp_path)
    site = Site(tmp_path, database.settings + AT_ONCE)
    for table in ("pageview", "visit", "visitor"):
        database.ask(site, f"DELETE FROM tracking_{table}")
    return site


def stay(seconds):
    time.sleep(outages.seconds(seconds))


@contextmanager
def away(site, database):
    """Nothing listens."""
    database.proxy.close()
    stay(3)
    yield
    database.proxy.open()


@contextmanager
def restart(site, database):
    """The database ends, as often as it takes, and comes back."""
    for _ in range(3):
        database.proxy.close()
        time.sleep(0.3)
        database.proxy.open()
        stay(0.7)
    yield


@contextmanager
def read_only(site, database):
    with database.read_only():
        stay(3)
        yield


@contextmanager
def connections_die(site, database):
    """Those that are open are cut, new ones are accepted at once."""
    until = time.monotonic() + outages.seconds(2)
    while time.monotonic() < until:
        database.proxy.cut()
        time.sleep(0.05)
    yield


THREADS = "gunicorn, threads, preloaded"


@pytest.mark.parametrize(
    ("outage", "server"),
    [
        (away, THREADS),
        (away, "uvicorn"),
        (restart, THREADS),
        (read_only, THREADS),
        (connections_die, THREADS),
        (connections_die, "uvicorn"),
    ],
)
def test_what_was_answered_is_a_row(site, database, outage, server):
    if database.proxy is None:
        pytest.skip("SQLite is a file")
    with served(site, server) as (_, port):
        with Load(port, pages=True) as load:
            wait_until(lambda: len(load.answered) > 100)
            before = len(load.answered)
            with outage(site, database):
                assert len(load.answered) > before + 50
            healed = len(load.answered)
            wait_until(lambda: len(load.answered) > healed + 100)
            wait_until(lambda: folder_status(site.spool).waiting == 0, 30)
    check_all(site, database, load)


@pytest.mark.parametrize("server", [THREADS, "uvicorn"])
def test_a_database_that_hangs_holds_up_its_first_readers_only(site, database, server):
    with served(site, server) as (_, port):
        with Load(port, threads=1, pages=True) as load:
            wait_until(lambda: len(load.answered) > 50)
            with database.hanging(site):
                time.sleep(1.5)
                load.add_readers(1)  # who may meet the other process
                time.sleep(1.5)
                load.add_readers(4)
                held_up = len(load.answered)
                stay(3)
                assert len(load.answered) > held_up + 50
            healed = len(load.answered)
            wait_until(lambda: len(load.answered) > healed + 100)
            wait_until(lambda: folder_status(site.spool).waiting == 0, 30)
    check_all(site, database, load)


def check_all(site, database, load):
    """Each answer is a row, the visitor is right, and the log is short."""
    assert not load.cut_off
    check(site, database, load)
    check_visits(site, database)
    log = (site.folder / LOG).read_text()
    print(f"  {len(log):,} bytes of log")  # noqa: T201
    assert len(log) < 200_000
    assert len(re.findall("Traceback", log)) < 50


def check_visits(site, database):
    """All pages are those of one visit of one visitor, each counted once."""
    [(pages,)] = database.ask(site, "SELECT COUNT(*) FROM tracking_pageview")
    assert pages > 50
    assert database.ask(site, "SELECT page_views FROM tracking_visit") == [(pages,)]
    assert database.ask(site, "SELECT page_views FROM tracking_visitor") == [(pages,)]

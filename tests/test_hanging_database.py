"""A database server that accepts connections and does not answer holds up nobody.

Real servers are under load, with pixels, links and pages that ask no database. Times are compared
with those for which the database hangs, which are several times as long.
``python -m benchmarks hanging`` measures them.
"""

import time

import pytest

from tests.support import databases_apart, outages
from tests.support.load import Load, check, listens, served, write_applications
from tests.support.processes import Site, wait_until

pytestmark = pytest.mark.slow

SETTINGS = """
TRACKING_BACKEND = "tracking.backends.{backend}"
MIDDLEWARE = [
    "tracking.middleware.BannedIPMiddleware",
    *MIDDLEWARE,
    "tracking.middleware.VisitorTrackingMiddleware",
]
"""
IMMEDIATE, BUFFERED = "immediate.ImmediateBackend", "buffered.BufferedBackend"
THREADS = "gunicorn, threads, preloaded"


@pytest.fixture(scope="module")
def database():
    database = databases_apart.make_best()
    if database.proxy is None:
        pytest.skip("there is no server that could hang")
    yield database
    database.drop()


@pytest.fixture(params=[IMMEDIATE, BUFFERED])
def site(request, tmp_path, database):
    write_applications(tmp_path)
    return Site(tmp_path, database.settings + SETTINGS.format(backend=request.param))


@pytest.mark.parametrize("server", ["gunicorn", THREADS, "uvicorn"])
def test_a_server_under_load(site, database, server):
    with served(site, server) as (_, port):
        with Load(port, pages=True) as load:
            wait_until(lambda: len(load.answered) > 100)
            time.sleep(3)  # each worker has had requests: a new one waits for bans once, 2 s
            load.slowest = 0.0
            with database.hanging(site):
                before = len(load.answered)
                time.sleep(outages.seconds(3))
                assert load.slowest < 1
                assert len(load.answered) > before + 100
            healed = len(load.answered)
            wait_until(lambda: len(load.answered) > healed + 100)
    assert not load.cut_off
    check(site, database, load)


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_a_server_that_starts_waits_once(site, database, server):
    with database.hanging(site), served(site, server, listens) as (_, port):
        with Load(port, pages=True) as load:
            # It loads the site, and each process waits once for bans, for two seconds at most.
            wait_until(lambda: len(load.answered) > 100, 15)
            time.sleep(2)  # both processes have started
            load.slowest = 0.0
            time.sleep(outages.seconds(3))
            assert load.slowest < 2.5  # a new process waits for bans once, 2 s
            database.proxy.release()
    assert not load.cut_off
    check(site, database, load)

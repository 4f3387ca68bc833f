"""Each hit that was answered becomes one row, if a child of the server writes.

Real servers under load, see ``tests/test_no_hit_is_lost.py``. In the end one writer is left, and
none when the server has gone.
"""

import contextlib
import os
import signal
import time

import pytest

from tests.support import databases_apart, outages
from tests.support.load import LOG, SERVERS, Load, check_rows, served, write_applications
from tests.support.processes import Site, wait_until, workers_of
from tests.support.writers import writer_of, writer_processes, writing
from tracking.pipeline.spool import folder_status

pytestmark = pytest.mark.slow

SETTINGS = """
MIDDLEWARE = [*MIDDLEWARE, "tracking.middleware.VisitorTrackingMiddleware"]
TRACKING_START_WRITER = True
"""


@pytest.fixture(scope="module")
def database():
    database = databases_apart.make_best()
    yield database
    database.drop()


@pytest.fixture
def site(tmp_path, database):
    write_applications(tmp_path)
    site = Site(tmp_path, database.settings + SETTINGS)
    for table in ("beacon", "pageview", "visit", "visitor"):
        database.ask(site, f"DELETE FROM tracking_{table}")
    yield site
    # Children end by themselves when no process records.
    wait_until(lambda: not writer_processes(site), 20, lambda: writer_processes(site))


def at_work(site):
    """Return the process id of the child when it is at work."""
    state = writer_of(site)
    if state is None or state.failed or state.is_silent:
        return 0
    return state.pid


def more_answers(load, number=100):
    before = len(load.answered)
    wait_until(lambda: len(load.answered) > before + number, 30)


def all_is_written(site):
    wait_until(lambda: folder_status(site.spool).waiting == 0, 30)


@pytest.mark.parametrize("server", SERVERS)
def test_the_first_worker_starts_one_child_for_all(site, database, server):
    with served(site, server) as (process, port):
        with Load(port, pages=True) as load:
            wait_until(lambda: at_work(site), 20, (site.folder / LOG).read_text)
            more_answers(load)
            assert writer_processes(site) == [at_work(site)]
            assert os.getpgid(at_work(site)) != os.getpgid(process.pid)
        all_is_written(site)
        assert writer_of(site).is_child
    check_rows(site, database, load)


def test_killed_children_are_replaced_and_leave_no_zombie(site, database):
    with served(site, "gunicorn") as (_, port):
        with Load(port, pages=True) as load:
            killed = set()
            for _ in range(outages.kills(3)):
                wait_until(lambda: at_work(site) not in {0, *killed}, 20)
                killed.add(at_work(site))
                os.kill(at_work(site), signal.SIGKILL)
                more_answers(load)
            wait_until(lambda: at_work(site) not in {0, *killed}, 20)
            assert writer_processes(site) == [at_work(site)]
        all_is_written(site)
        wait_until(lambda: not any(map(exists, killed)), 5)
    check_rows(site, database, load)


def exists(pid):
    """Return whether there is such a process, be it a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_outlives_the_worker_that_started_it(site, database):
    with served(site, "gunicorn") as (process, port):
        with Load(port, pages=True) as load:
            wait_until(lambda: at_work(site), 20)
            child = at_work(site)
            for pid in workers_of(process):
                if pid != child:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                    more_answers(load)
            assert at_work(site) == child
            os.kill(process.pid, signal.SIGHUP)  # the same code again
            time.sleep(2)
            more_answers(load, 300)
            assert at_work(site) == child
        all_is_written(site)
    check_rows(site, database, load)


def test_the_server_is_killed_and_the_child_writes_the_rest(site, database):
    with served(site, "gunicorn, threads, preloaded") as (process, port):
        with Load(port, pages=True) as load:
            wait_until(lambda: at_work(site), 20)
            more_answers(load)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        all_is_written(site)
    check_rows(site, database, load)


def test_a_terminated_uvicorn_leaves_nothing(site, database):
    with served(site, "uvicorn") as (process, port):
        with Load(port) as load:
            wait_until(lambda: at_work(site), 20)
            more_answers(load)
            process.terminate()
            process.wait(20)
        all_is_written(site)
    check_rows(site, database, load)


def test_a_new_release_brings_its_own_child(site, database):
    with served(site, "gunicorn") as (old, old_port):
        with Load(old_port, pages=True) as load:
            wait_until(lambda: at_work(site), 20)
            child = at_work(site)
            more_answers(load)
            time.sleep(10)  # a child is not replaced before
            settings = site.folder / "site_settings.py"
            settings.write_text(settings.read_text() + "\n# the next release\n")
            with served(site, "gunicorn") as (_, port):
                with Load(port, pages=True) as new_load:
                    wait_until(lambda: at_work(site) not in {0, child}, 30)
                    more_answers(new_load)
                    more_answers(load)
                    new_child = at_work(site)
                    wait_until(lambda: writer_processes(site) == [new_child], 10)
                    os.killpg(old.pid, signal.SIGKILL)
                    old.wait()
                    more_answers(new_load, 200)
                    assert writer_processes(site) == [new_child]
                all_is_written(site)
    new_load.answered += load.answered
    new_load.cut_off += load.cut_off
    new_load.first = min(load.first, new_load.first)
    check_rows(site, database, new_load)


def test_a_writer_of_the_service_needs_no_child(site, database):
    with writing(site) as writer, served(site, "gunicorn") as (_, port):
        with Load(port, pages=True) as load:
            more_answers(load, 300)
        assert writer_processes(site) == [writer.pid]
        all_is_written(site)
    check_rows(site, database, load)


def test_a_child_that_cannot_start_is_tried_again_later_and_workers_write(site, database):
    (site.folder / "django_fails.py").write_text(
        "import sys\nif 'tracking_writer' in sys.argv:\n    sys.exit('no writer today')\n"
    )
    settings = site.folder / "site_settings.py"
    settings.write_text("import django_fails\n" + settings.read_text())
    with served(site, "gunicorn") as (_, port):
        with Load(port, pages=True) as load:
            time.sleep(8)
            more_answers(load)
        all_is_written(site)
        failures = (site.folder / LOG).read_text().count("no writer today")
    assert 1 <= failures <= 3
    check_rows(site, database, load)

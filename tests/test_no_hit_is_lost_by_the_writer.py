"""Each hit that was answered becomes one row, if a process beside the servers writes.

Real servers under load, see ``tests/test_no_hit_is_lost.py``.
"""

import os
import shutil
import signal
import time

import pytest

from tests.support import databases_apart, outages
from tests.support.disks import small_disk
from tests.support.load import SERVERS, Load, check_rows, served, write_applications
from tests.support.processes import Site, wait_until, workers_of
from tests.support.writers import COMMAND, LOG, writer_of, writing
from tracking.pipeline.spool import folder_status

pytestmark = pytest.mark.slow

PAGES = """
MIDDLEWARE = [*MIDDLEWARE, "tracking.middleware.VisitorTrackingMiddleware"]
"""


@pytest.fixture(scope="module")
def database():
    database = databases_apart.make_best()
    yield database
    database.drop()


@pytest.fixture(scope="module")
def site(tmp_path_factory, database):
    tmp_path = tmp_path_factory.mktemp("writer")
    write_applications(tmp_path)
    return Site(tmp_path, database.settings + PAGES)


def more_answers(load, number=100):
    before = len(load.answered)
    wait_until(lambda: len(load.answered) > before + number, 30)


def all_is_written(site):
    wait_until(lambda: folder_status(site.spool).waiting == 0, 30)


@pytest.mark.parametrize("server", SERVERS)
def test_the_writer_process_writes_what_servers_append(site, database, server):
    with writing(site), served(site, server) as (_, port):
        with Load(port, pages=True) as load:
            more_answers(load)
            assert list(site.spool.glob("*.shared.hits"))
            more_answers(load)
        all_is_written(site)
        # Nothing is left of what is written, soon.
        wait_until(lambda: not list(site.spool.glob("*.hits")), 10)
    check_rows(site, database, load)


def test_workers_are_killed_under_load(site, database):
    with writing(site), served(site, "gunicorn") as (process, port):
        with Load(port, pages=True) as load:
            for number in range(outages.kills(8)):
                more_answers(load, 20)
                if workers := workers_of(process):
                    os.kill(workers[number % len(workers)], signal.SIGKILL)
                time.sleep(0.1)
            more_answers(load)
        all_is_written(site)
    check_rows(site, database, load)


def test_the_writer_is_killed_under_load_and_the_workers_write(site, database):
    with served(site, "gunicorn") as (_, port):
        with Load(port, pages=True) as load:
            for _ in range(outages.kills(3)):
                with writing(site) as writer:
                    more_answers(load)
                    writer.kill()
                    writer.wait()
                more_answers(load, 200)
            wait_until(lambda: folder_status(site.spool).lag < 2, 30)
        all_is_written(site)
    check_rows(site, database, load)


def test_a_stopped_writer_is_replaced_and_changes_nothing_when_it_wakes(site, database):
    with writing(site) as writer, served(site, "gunicorn") as (_, port):
        with Load(port, pages=True) as load:
            more_answers(load)
            writer.send_signal(signal.SIGSTOP)
            time.sleep(12)
            assert writer_of(site).is_silent
            # The workers write now, though the stopped process has the lock.
            wait_until(lambda: folder_status(site.spool).lag < 3, 30)
            writer.send_signal(signal.SIGCONT)
            more_answers(load)
            wait_until(lambda: not writer_of(site).is_silent, 10)
            more_answers(load, 200)
        all_is_written(site)
    check_rows(site, database, load)


def test_the_server_is_killed_and_the_writer_writes_the_rest(site, database):
    with writing(site), served(site, "gunicorn, threads, preloaded") as (process, port):
        with Load(port, pages=True) as load:
            more_answers(load)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        all_is_written(site)
    check_rows(site, database, load)


def test_a_terminated_uvicorn_leaves_nothing(site, database):
    # It sends itself the signal again, so that no function of atexit is called.
    with writing(site), served(site, "uvicorn") as (process, port):
        with Load(port) as load:
            more_answers(load)
            process.terminate()
            process.wait(20)
        all_is_written(site)
    check_rows(site, database, load)


def test_an_old_release_shares_the_folder(site, database):
    (site.folder / "old_settings.py").write_text(
        "from site_settings import *\n"
        "TRACKING_BACKEND = 'tests.support.buffered.BackendWithoutWriter'\n"
    )
    with writing(site), served(site, "gunicorn") as (_, port):
        site.environment["DJANGO_SETTINGS_MODULE"] = "old_settings"
        try:
            with served(site, "gunicorn") as (old_server, old_port):
                with Load(port, pages=True) as load, Load(old_port, pages=True) as old_load:
                    more_answers(load)
                    more_answers(old_load)
                    os.killpg(old_server.pid, signal.SIGKILL)
                    old_server.wait()
                    more_answers(load)
        finally:
            site.environment["DJANGO_SETTINGS_MODULE"] = "site_settings"
        all_is_written(site)
    rows = set(database.numbers(site))
    assert {*load.answered, *old_load.answered} <= rows
    old_load.answered += load.answered
    old_load.cut_off += load.cut_off
    old_load.first = min(load.first, old_load.first)
    check_rows(site, database, old_load)


def test_the_disk_is_full_under_load(site, database):
    with small_disk(site.spool):
        with writing(site), served(site, "gunicorn") as (_, port):
            with Load(port, pages=True) as load:
                more_answers(load)
                filler = site.spool / "filler"
                try:
                    filler.write_bytes(b"x" * 2_000_000)
                except OSError:
                    assert filler.exists()
                more_answers(load, 200)
                filler.unlink()
                more_answers(load, 200)
            all_is_written(site)
        assert not load.cut_off
        check_rows(site, database, load)


def test_the_database_is_away_for_seconds(site, database):
    if database.proxy is None:
        pytest.skip("SQLite is a file, and not away")
    with writing(site) as writer, served(site, "gunicorn") as (_, port):
        with Load(port, pages=True) as load:
            more_answers(load)
            database.proxy.close()
            time.sleep(outages.seconds(3))
            more_answers(load)
            assert writer.poll() is None
            assert not writer_of(site).is_silent
            database.proxy.open()
            wait_until(lambda: folder_status(site.spool).lag < 2, 60)
        all_is_written(site)
    assert not load.cut_off
    check_rows(site, database, load)


def test_a_second_writer_leaves_with_a_message(site):
    with writing(site) as writer:
        second = site.start(*COMMAND, stderr=-1)
        message = second.communicate(timeout=20)[1]
        assert second.returncode == 1
        assert f"Another writer is at work in {site.spool}: process {writer.pid} on " in message
        assert "Traceback" not in message


def test_writers_that_start_at_once_become_one(site):
    started = [site.start(*COMMAND, stdout=-3, stderr=-3) for _ in range(4)]
    try:
        wait_until(lambda: sum(one.poll() is None for one in started) == 1, 30)
        [left] = [one for one in started if one.poll() is None]
        wait_until(lambda: writer_of(site).pid == left.pid, 10)
        left.terminate()
        assert left.wait(20) == 0
        assert sorted(one.returncode for one in started) == [0, 1, 1, 1]
    finally:
        for one in started:
            one.kill()
            one.wait()


def test_a_writer_whose_lock_was_deleted_leaves(site):
    with writing(site) as writer:
        for path in site.spool.glob("writer.*.lock"):
            path.unlink()
        assert writer.wait(20) == 0
    assert "was deleted" in (site.folder / LOG).read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop its rights")
def test_a_folder_that_cannot_be_written_is_said(site, tmp_path):
    folder = tmp_path / "refused"
    folder.mkdir(mode=0o555)
    (site.folder / "refused_settings.py").write_text(
        f"from site_settings import *\nTRACKING_SPOOL = {str(folder / 'file')!r}\n"
    )
    (folder / "file").write_text("not a folder")
    environment = {**site.environment, "DJANGO_SETTINGS_MODULE": "refused_settings"}
    site_environment, site.environment = site.environment, environment
    try:
        writer = site.start(*COMMAND, stderr=-1)
        message = writer.communicate(timeout=20)[1]
    finally:
        site.environment = site_environment
        shutil.rmtree(folder)
    assert writer.returncode == 1
    assert "Traceback" not in message
    assert str(folder / "file") in message

"""The health of the spool, for a monitor."""

import os
import time

import pytest
from django.db import OperationalError, connection
from django.urls import reverse

from tests.support import clocks
from tests.support.buffered import QUICK, FakeTable
from tests.support.processes import wait_until
from tests.support.spooled_files import save_hits
from tracking import health
from tracking.backends import get_backend
from tracking.hits import Hit, Kind
from tracking.pipeline.spool import SiteIdentity, Spool, this_site
from tracking.pipeline.spool.folder import MAX_FILES
from tracking.pipeline.spool.writer_lock import WriterLock


def hits(number, **values):
    return [Hit(kind=Kind.OPEN, data={"n": n}, **values) for n in range(number)]


@pytest.fixture
def table(monkeypatch):
    return FakeTable.instead_of_the_database(monkeypatch)


@pytest.fixture
def backend(settings, tmp_path):
    settings.TRACKING_SPOOL = str(tmp_path / "spool")
    settings.TRACKING_BACKEND = QUICK
    backend = get_backend()
    yield backend
    backend.close()


def test_the_health_view(backend, table, client, settings):
    url = reverse("tracking:health")
    assert url == "/t/health"
    response = client.get(url)
    assert (response.status_code, response["Cache-Control"]) == (200, "no-store")
    assert response.json() == {
        "status": "ok", "problems": [], "waiting": 0, "lag": 0.0, "rejected": 0,
    }  # fmt: skip
    assert client.post(url).status_code == 405
    settings.TRACKING_MAX_LAG = 0.01
    table.error = OperationalError("password=secret")
    backend.send_many(hits(7))
    time.sleep(1.1)  # a look at the disk is good for a second
    response = client.get(url)
    assert response.status_code == 503
    assert (response.json()["problems"], response.json()["waiting"]) == (["hits are delayed"], 7)
    assert "secret" not in response.content.decode()
    assert str(backend.spool.folder) not in response.content.decode()


def test_the_health_view_shows_a_writer_process(backend, client, monkeypatch):
    folder = backend.spool.folder
    with WriterLock.take(folder, this_site()) as lock:
        lock.describe()
        figures = client.get("/t/health").json()
        assert figures["writer"] == "process"
        assert 0 <= figures["writer_age"] < 5
        report = health.report(backend)
        assert report.figures["writer_process"].pid == os.getpid()
        os.utime(lock.path, (time.time() - 11,) * 2)
        silent = health.report(backend)
        assert (silent.problems, silent.figures["writer"]) == ([], "thread")
        assert silent.figures["writer_age"] > 10
    assert health.report(backend).figures["writer"] == "thread"


def test_what_a_monitor_finds_late_is_written_also_where_no_hit_comes(
    backend, table, client, settings
):
    settings.TRACKING_MAX_LAG = 0.01
    left_behind = Spool(backend.spool.folder)
    left_behind.append(hits(3))
    left_behind.close()
    time.sleep(0.05)
    assert client.get(reverse("tracking:health")).status_code == 503
    wait_until(lambda: len(table.rows) == 3)


def test_the_health_of_a_site_without_a_spool(client, settings):
    settings.TRACKING_BACKEND = "tracking.backends.memory.MemoryBackend"
    assert client.get(reverse("tracking:health")).json() == {"status": "ok", "problems": []}


def test_a_spool_that_takes_nothing_is_not_healthy(backend, table, client):
    backend.spool.folder.write_text("")
    backend.send_many(hits(1))
    response = client.get(reverse("tracking:health"))
    assert response.status_code == 503
    assert "the spool does not accept hits" in response.json()["problems"]


@pytest.mark.usefixtures("without_threads")
@pytest.mark.django_db
def test_the_age_of_bans_in_memory_is_told(client, monkeypatch, settings):
    settings.TRACKING_BACKEND = "tracking.backends.memory.MemoryBackend"
    clock = clocks.of_snapshots(monkeypatch)
    settings.MIDDLEWARE = ["tracking.middleware.BannedIPMiddleware"]
    assert client.get("/t/health").json() == {"status": "ok", "problems": [], "refresh_age": 0.0}
    with connection.execute_wrapper(refuse):
        clock.pass_by(30)
        answer = ask_again(client)
        assert (answer.status_code, answer.json()["refresh_age"]) == (200, 30)
        clock.pass_by(61)
        answer = ask_again(client)
    assert (answer.status_code, answer.json()["refresh_age"]) == (503, 91)
    assert answer.json()["problems"] == ["bans and other tables in memory cannot be refreshed"]


def ask_again(client):
    """Return a new report: the last one is remembered for a second."""
    health._cached_report.reset()
    return client.get("/t/health")


def refuse(*_args):
    raise OperationalError("the database is away")


def test_files_that_cannot_be_read_are_a_problem_and_those_of_other_sites_are_not(
    backend, table, client
):
    url, other = reverse("tracking:health"), SiteIdentity.of("postgresql", {"NAME": "blog"}, ["x"])
    save_hits(backend.spool.folder, hits(3), site=other)
    response = client.get(url)
    assert response.status_code == 200
    assert (response.json()["waiting"], response.json()["other_sites"]) == (0, 1)
    (backend.spool.folder / "a.hits").write_text("something else altogether")
    time.sleep(1.1)
    response = client.get(url)
    assert response.status_code == 503
    assert response.json()["problems"] == ["files of the spool cannot be read"]
    assert response.json()["unreadable"] == 1


def test_a_folder_of_very_many_files_is_a_problem(backend, table, client):
    backend.spool.folder.mkdir()
    for number in range(MAX_FILES + 1):
        (backend.spool.folder / f"{number}.txt").touch()
    response = client.get(reverse("tracking:health"))
    assert response.json()["problems"] == ["the spool holds more files than are counted"]

"""The backend that is chosen where the settings name none, in the processes of a site."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from http.client import HTTPConnection
from importlib.util import find_spec

import pytest

from tests.support import databases_apart
from tests.support.brokers import BROKERS
from tests.support.celery_workers import APP, log_of, worker
from tests.support.load import Load, write_applications
from tests.support.processes import Site, free_port, wait_until
from tests.support.services import missing
from tests.support.writers import writing
from tracking import links
from tracking.pipeline.spool import folder_status

pytestmark = pytest.mark.slow

SETTINGS = """
TRACKING_BACKEND = TRACKING_SPOOL = ""
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS += ["pages"]
ROOT_URLCONF = "pages.urls"
WSGI_APPLICATION = "site_wsgi.application"
MIDDLEWARE = [*MIDDLEWARE, "tracking.middleware.VisitorTrackingMiddleware"]
DATABASES["default"]["ATOMIC_REQUESTS"] = True
DATABASES["default"]["TEST"] = {"NAME": %r}
if "--parallel=2" in __import__("sys").argv:
    del DATABASES["default"]["OPTIONS"]["init_command"]  # Django copies one of the files of WAL
"""

URLS = """
from django.contrib.auth.models import Group
from django.http import HttpResponse
from django.urls import include, path
from tracking.backends import get_backend

def backend(request):
    return HttpResponse(type(get_backend()).__name__, content_type="text/plain")

def page(request, number):
    Group.objects.count()  # in a transaction that reads first
    Group.objects.create(name=str(number))
    return HttpResponse("<p>")

urlpatterns = [
    path("t/", include("tracking.urls")),
    path("backend", backend),
    path("page/<int:number>", page),
]
"""

#: The tests of a site: each kind of client.
TESTS = """
from urllib.request import urlopen

from django.test import LiveServerTestCase, TestCase, TransactionTestCase
from tracking import links
from tracking.models import Beacon

class WithClient(TestCase):
    def test_rows_are_there_at_once(self):
        self.client.get(links.pixel_url())
        self.assertEqual(Beacon.objects.count(), 1)
        self.assertEqual(self.client.get("/backend").content, b"ImmediateBackend")

class WithAsyncClient(TransactionTestCase):
    async def test_rows_are_there_at_once(self):
        await self.async_client.get(links.pixel_url())
        self.assertEqual(await Beacon.objects.acount(), 1)
        response = await self.async_client.get("/backend")
        self.assertEqual(response.content, b"ImmediateBackend")

class WithServer(LiveServerTestCase):
    def test_rows_are_there_at_once(self):
        urlopen(self.live_server_url + links.pixel_url()).read()
        self.assertEqual(Beacon.objects.count(), 1)
        with urlopen(self.live_server_url + "/backend") as response:
            self.assertEqual(response.read(), b"ImmediateBackend")
"""

SERVERS = {
    "gunicorn": ("-m", "gunicorn", "--workers=2", "--bind=127.0.0.1:{port}", "site_wsgi"),
    "gunicorn, preloaded": (
        *("-m", "gunicorn", "--workers=2", "--threads=2", "--preload"),
        *("--bind=127.0.0.1:{port}", "site_wsgi"),
    ),
    "uvicorn": ("-m", "uvicorn", "--port={port}", "site_asgi:application"),
    "uvicorn, edge": ("-m", "uvicorn", "--port={port}", "site_edge:application"),
    "granian": (
        *("-m", "granian", "--interface=wsgi", "--workers=2"),
        *("--port={port}", "site_wsgi:application"),
    ),
    "granian, ASGI": (
        *("-m", "granian", "--interface=asgi", "--port={port}", "site_asgi:application"),
    ),
    "granian, edge": (
        *("-m", "granian", "--interface=asgi", "--port={port}", "site_edge:application"),
    ),
    "runserver": ("-m", "django", "runserver", "127.0.0.1:{port}"),
}

EDGE = """
from django.core.asgi import get_asgi_application
from tracking.edge import EdgeASGI
application = EdgeASGI(get_asgi_application())
"""

#: Those that give the app a chance to write what waits before they end.
DRAINING = {"gunicorn", "gunicorn, preloaded", "uvicorn, edge", "granian, edge"}


def make_site(folder, more_settings=""):
    (folder / "pages").mkdir()
    for name, text in {"__init__": "", "urls": URLS, "tests": TESTS}.items():
        (folder / f"pages/{name}.py").write_text(text)
    write_applications(folder)
    (folder / "site_edge.py").write_text(EDGE)
    return Site(folder, SETTINGS % str(folder / "test.sqlite3") + more_settings)


@pytest.fixture
def site(tmp_path):
    return make_site(tmp_path)


def spool_of(site):
    """Return the folder of the spool by default."""
    return site.database.with_name(f"{site.database.name}-spool")


def waiting(site):
    return folder_status(spool_of(site)).waiting


@contextmanager
def served(site, *arguments, through=(sys.executable,)):
    """Serve the site on a port, which is given; in the end the server must have stopped."""
    port = free_port()
    log = site.folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*through, *(part.format(port=port) for part in arguments)],
            cwd=site.folder,
            env=site.environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_until(lambda: ask(port, "/nowhere") is not None, 30, log.read_text)
        yield process, port
        process.wait(20)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def ask(port, path):
    """Return the body of an answer, or ``None`` if there is none."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers={"User-Agent": "Mozilla/5.0"})
        return connection.getresponse().read().decode("latin-1")
    except OSError:
        return None
    finally:
        connection.close()


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_uses_the_spool_and_loses_nothing_when_it_is_told_to_stop(site, name):
    if "granian" in name and find_spec("granian") is None:
        missing("granian")
    with served(site, *SERVERS[name]) as (process, port):
        assert ask(port, "/backend") == "BufferedBackend"
        for _ in range(20):
            assert ask(port, links.pixel_url())
        wait_until(lambda: len(site.keys()) == 20, 10)
        for _ in range(5):
            assert ask(port, links.pixel_url())
        # With runserver, the process that serves is a child of the one that watches files.
        os.killpg(process.pid, signal.SIGTERM)
    assert len(site.keys()) + waiting(site) == 25
    if name in DRAINING:
        assert len(site.keys()) == 25
    with served(site, *SERVERS[name]) as (process, port):
        wait_until(lambda: len(site.keys()) == 25, 10)
        assert waiting(site) == 0
        os.killpg(process.pid, signal.SIGTERM)


def is_reloaded(port, pages, path):
    """Return whether a page is there; if not, the file that brings it changes once more.

    runserver notices no change between its import of a file and its first look at the time of it.
    """
    if ask(port, path) == "BufferedBackend":
        return True
    if time.time() - pages.stat().st_mtime > 5:
        pages.touch()
    return False


def test_a_server_that_reloads_the_code_loses_nothing(site):
    with served(site, *SERVERS["runserver"]) as (process, port):
        for number in range(1, 4):
            assert ask(port, links.pixel_url())
            pages = site.folder / "pages/urls.py"
            pages.write_text(f"{URLS}\nurlpatterns.append(path('changed-{number}', backend))\n")
            wait_until(lambda: is_reloaded(port, pages, f"/changed-{number}"))  # noqa: B023
            wait_until(lambda: len(site.keys()) == number)  # noqa: B023
        os.killpg(process.pid, signal.SIGTERM)


def test_the_writer_process_and_the_doctor_know_the_default(site):
    site.spool = spool_of(site)
    with writing(site) as writer, served(site, *SERVERS["uvicorn"]) as (process, port):
        for _ in range(5):
            assert ask(port, links.pixel_url())
        wait_until(lambda: len(site.keys()) == 5, 10)
        said = " ".join(site.run("-m", "django", "tracking_doctor").split())
        assert "backend BufferedBackend in servers, ImmediateBackend elsewhere (by default)" in said
        assert f"spool {site.spool} (beside the SQLite database)" in said
        assert f" {writer.pid} " in said
        process.terminate()


# Where no server is.


def new_paths(site, before=()):
    return {str(path.relative_to(site.folder)) for path in site.folder.rglob("*")} - set(before)


@pytest.mark.parametrize(
    "arguments",
    [
        ("-m", "django", "test", "pages", "--noinput"),
        ("-m", "django", "test", "pages", "--noinput", "--parallel=2"),
        ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "pages/tests.py"),
    ],
    ids=["test", "parallel", "pytest"],
)
def test_in_tests_rows_are_there_at_once_and_nothing_is_left(site, arguments):
    site.environment = {
        key: value for key, value in site.environment.items() if not key.startswith("PYTEST_")
    } | {"PYTHONDONTWRITEBYTECODE": "1"}
    before = new_paths(site)
    site.run(*arguments)
    assert {path for path in new_paths(site, before) if "test" not in path} == set()
    assert site.keys() == []


PROBE = """
from tracking.backends import get_backend
from tracking.hits import Hit
from tracking.models import Beacon

def probe():
    get_backend().send(Hit(kind="open"))
    return f"{type(get_backend()).__name__} {Beacon.objects.count()}"
"""


def test_commands_and_shells_write_at_once(site):
    (site.folder / "probes.py").write_text(PROBE)
    assert site.run("-m", "django", "shell", "-c", "import probes; print(probes.probe())").split()[
        -2:
    ] == ["ImmediateBackend", "1"]
    commands = site.folder / "pages/management/commands"
    commands.mkdir(parents=True)
    (commands / "probe.py").write_text(
        "import probes\nfrom django.core.management.base import BaseCommand\n\n"
        "class Command(BaseCommand):\n    def handle(self, *args, **options):\n"
        "        return probes.probe()\n"
    )
    assert site.run("-m", "django", "probe") == "ImmediateBackend 2\n"
    assert not spool_of(site).exists()


TASK = """
from celery import shared_task
import probes

@shared_task
def probe(path):
    with open(path, "w") as file:
        print(probes.probe(), file=file)
"""


def test_celery_workers_write_at_once(tmp_path):
    with BROKERS["redis"]() as broker:
        on_celery = (
            "CELERY_BROKER_URL, CELERY_TASK_DEFAULT_QUEUE, CELERY_BROKER_TRANSPORT_OPTIONS = "
            f"{tuple(broker)!r}\n"
        )
        site = make_site(tmp_path, on_celery)
        for name, text in {"probes": PROBE, "celery_site": APP, "pages/tasks": TASK}.items():
            (tmp_path / f"{name}.py").write_text(text)
        said = tmp_path / "said"
        site.run(
            "-c",
            "import django, celery_site; django.setup(); from pages.tasks import probe; "
            f"probe.delay({str(said)!r})",
        )
        with worker(site):
            wait_until(said.exists, 30, lambda: log_of(site))
            wait_until(lambda: said.read_text() == "ImmediateBackend 1\n")
    assert not spool_of(site).exists()


# Where a server finds an obstacle.

READ_ONLY = (
    "for folder in /tmp /var/tmp; do "
    "mount --bind $folder $folder && mount -o remount,bind,ro $folder || exit 1; done; "
    'exec "$@"'
)


def test_a_server_without_a_folder_to_write_to_writes_at_once(tmp_path):
    """As in a container whose disk is read-only; its database is elsewhere."""
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    database = databases_apart.make_best()
    if database.proxy is None:
        missing("a database server")
    try:
        site = make_site(tmp_path, database.settings)
        command = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", sys.executable]
        with served(site, *SERVERS["uvicorn"], through=command) as (process, port):
            assert ask(port, "/backend") == "ImmediateBackend"
            assert ask(port, links.pixel_url(kwargs={"n": 7}))
            assert database.numbers(site) == [7]
            process.terminate()
    finally:
        database.drop()


def test_a_server_on_plain_sqlite_writes_at_once(tmp_path):
    site = make_site(tmp_path, 'del DATABASES["default"]["OPTIONS"]["transaction_mode"]\n')
    with served(site, *SERVERS["gunicorn"]) as (process, port):
        assert ask(port, "/backend") == "ImmediateBackend"
        assert ask(port, links.pixel_url())
        assert len(site.keys()) == 1
        process.terminate()
    assert not spool_of(site).exists()


def test_a_site_that_writes_in_all_its_transactions_finds_no_lock(site):
    """Its pages read and write in one transaction; the thread writes hits beside them."""
    with served(site, *SERVERS["gunicorn, preloaded"]) as (process, port):
        assert ask(port, "/backend") == "BufferedBackend"
        with Load(port, pages=True) as load:
            wait_until(lambda: len(load.answered) > 1_500, 60)
        os.killpg(process.pid, signal.SIGTERM)
    assert (load.wrong, load.cut_off) == ([], [])
    assert "locked" not in (site.folder / "server.log").read_text()
    numbers = databases_apart.Sqlite().numbers(site)
    assert sorted(numbers) == sorted(load.answered)

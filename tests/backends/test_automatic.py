"""The backend of a site whose settings name none."""

import logging

import pytest
from django.core import checks
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.core.signals import request_started
from django.test import Client
from django.test.client import AsyncClientHandler, ClientHandler

from tests.support.disks import small_disk
from tests.support.processes import wait_until
from tests.support.spooled_files import hit, save_hits
from tracking.backends import automatic, get_backend, handler
from tracking.backends.buffered import BufferedBackend
from tracking.backends.immediate import ImmediateBackend
from tracking.db import threads
from tracking.management import spool_location
from tracking.models import Beacon
from tracking.pipeline.spool import spool_folder

pytestmark = pytest.mark.django_db  # Django's own receivers of the signal close connections


class Database:
    """What is asked about a database, for one that the tests do not run on."""

    vendor = "postgresql"
    is_in_memory = False

    def __init__(self):
        self.settings_dict = {"OPTIONS": {}}

    def is_in_memory_db(self):
        return self.is_in_memory


@pytest.fixture
def database(monkeypatch):
    database = Database()
    monkeypatch.setattr(automatic, "connections", {"default": database})
    return database


@pytest.fixture
def site(settings, tmp_path, monkeypatch, database):
    """A site that could have a spool: none of the obstacles is there."""
    for name in automatic.SERVERLESS:
        monkeypatch.delenv(name, raising=False)
    settings.TRACKING_BACKEND = ""
    settings.TRACKING_SPOOL = str(tmp_path / "spool")
    return settings


@pytest.fixture
def process(site, outside_of_tests):
    """A process that has served no request yet."""
    request_started.connect(handler._note_request, dispatch_uid=handler._NOTE)
    yield
    request_started.connect(handler._note_request, dispatch_uid=handler._NOTE)


class OwnHandler(WSGIHandler):
    """The handler of a site, or that of runserver with static files."""


@pytest.mark.parametrize("sender", [WSGIHandler, ASGIHandler, OwnHandler])
def test_a_process_is_a_server_once_a_server_has_passed_it_a_request(process, sender):
    assert type(get_backend()) is ImmediateBackend
    request_started.send(sender=sender)
    backend = get_backend()
    assert type(backend) is BufferedBackend
    request_started.send(sender=sender)
    assert get_backend() is backend
    assert not [one for one in request_started.receivers if handler._NOTE in one[0]]


@pytest.mark.parametrize("sender", [ClientHandler, AsyncClientHandler, None, "edge"])
def test_clients_of_tests_are_no_servers(process, sender):
    request_started.send(sender=sender)
    assert type(get_backend()) is ImmediateBackend


def test_a_client_by_hand_in_a_shell_makes_no_server(process):
    Client().get("/t/health")
    assert type(get_backend()) is ImmediateBackend


def test_tests_have_no_servers(site):
    request_started.send(sender=WSGIHandler)
    assert not handler._is_serving
    assert automatic.choose(is_serving=True) == automatic.IMMEDIATE


def test_a_backend_that_the_settings_name_stays(process, settings):
    settings.TRACKING_BACKEND = "tracking.backends.memory.MemoryBackend"
    backend = get_backend()
    handler.note_server()
    assert get_backend() is backend


@pytest.mark.django_db(transaction=True)
def test_a_server_writes_what_the_process_before_it_has_left(process):
    save_hits(spool_folder(), [hit(1)])
    handler.note_server()
    wait_until(lambda: Beacon.objects.count() == 1)


def test_a_failing_choice_fails_no_request(process, monkeypatch, caplog):
    def fail():
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(automatic, "find_obstacle", fail)
        request_started.send(sender=WSGIHandler)
    assert "Choosing the backend failed" in caplog.text


# Where a server writes at once.


def reason():
    obstacle = automatic.find_obstacle()
    assert (automatic.choose(is_serving=True) == automatic.IMMEDIATE) is (obstacle is not None)
    return None if obstacle is None else " ".join(obstacle).strip()


@pytest.mark.usefixtures("outside_of_tests")
class TestObstacles:
    def test_none(self, site, tmp_path):
        assert reason() is None
        assert not list(tmp_path.iterdir())

    def test_no_locks(self, site, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        assert reason() == "this system has no spool"

    @pytest.mark.parametrize("name", automatic.SERVERLESS)
    def test_serverless(self, site, monkeypatch, name, caplog):
        monkeypatch.setenv(name, "x")
        with caplog.at_level(logging.INFO, automatic.__name__):
            assert reason() == f"the platform stops processes between requests: {name}"
        assert (
            f"Hits are written at once: the platform stops processes between requests: {name}"
            in (caplog.text)
        )
        monkeypatch.setenv(name, "")
        assert reason() is None

    def test_no_threads(self, site, monkeypatch):
        monkeypatch.setattr(threads, "are_running", lambda: False)
        assert reason() == "uWSGI runs without --enable-threads"

    @pytest.mark.parametrize("mode", ["", None, "EXCLUSIVE"])
    def test_sqlite_whose_transactions_begin_as_readers(self, site, database, mode):
        database.vendor = "sqlite"
        database.settings_dict["OPTIONS"] = {} if mode == "" else {"transaction_mode": mode}
        assert reason() == 'the SQLite database lacks the option transaction_mode = "IMMEDIATE"'

    @pytest.mark.parametrize("mode", ["IMMEDIATE", "immediate"])
    def test_sqlite_whose_transactions_begin_as_writers(self, site, database, mode):
        database.vendor = "sqlite"
        database.settings_dict["OPTIONS"] = {"transaction_mode": mode}
        assert reason() is None
        database.is_in_memory = True
        assert reason() == "the database is in memory"

    def test_read_only(self, site, tmp_path):
        folder = tmp_path / "disk"
        site.TRACKING_SPOOL = str(folder / "spool")
        with small_disk(folder, "size=64k,mode=0700,ro"):
            why = f"{folder}/spool cannot be made: Read-only file system"
            assert reason() == f"the spool cannot be used: {why}"


# What people are told.


def doctor(capsys):
    call_command("tracking_doctor")
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


class TestWords:
    def test_the_doctor_says_which_and_why(self, settings, monkeypatch, tmp_path, capsys):
        settings.TRACKING_SPOOL = str(tmp_path)
        monkeypatch.setattr(automatic, "find_obstacle", lambda: None)
        chosen = "BufferedBackend in servers, ImmediateBackend elsewhere (by default)"
        assert f"backend {chosen}" in doctor(capsys)
        monkeypatch.setattr(automatic, "find_obstacle", lambda: automatic.Obstacle("it is", "so"))
        assert "backend ImmediateBackend (by default: it is so)" in doctor(capsys)
        settings.TRACKING_BACKEND = automatic.IMMEDIATE
        assert f"backend {automatic.IMMEDIATE}" in doctor(capsys)

    def test_a_disk_that_vanishes_fails_a_deployment_check(self, settings, tmp_path, monkeypatch):
        def found():
            messages = checks.run_checks(include_deployment_checks=True)
            return {one.id for one in messages} & {"tracking.W012", "tracking.W017"}

        monkeypatch.setattr(automatic, "find_obstacle", lambda: None)
        settings.TRACKING_SPOOL = str(tmp_path / "disk")
        assert found() == set()
        with small_disk(tmp_path / "disk"):
            assert found() == {"tracking.W017"}
            monkeypatch.setattr(automatic, "find_obstacle", lambda: automatic.Obstacle("no"))
            assert found() == set()
            settings.TRACKING_BACKEND = automatic.BUFFERED
            assert found() == {"tracking.W017"}
        settings.TRACKING_SPOOL = ""
        assert found() == {"tracking.W012"}
        settings.TRACKING_BACKEND = ""
        monkeypatch.setattr(automatic, "find_obstacle", lambda: None)
        assert found() == set()  # the folder is named after the site and lasts

    def test_the_doctor_knows_spools_of_other_users(self, settings, monkeypatch, tmp_path, capsys):
        settings.TRACKING_BACKEND, settings.TRACKING_SPOOL = automatic.BUFFERED, str(tmp_path)
        others = [tmp_path / "tracking-spool-33-0123456789ab"]
        monkeypatch.setattr(spool_location, "folders_of_other_users", lambda: others)
        [line] = [line for line in doctor(capsys) if "Another user" in line]
        assert f"{others[0]}." in line

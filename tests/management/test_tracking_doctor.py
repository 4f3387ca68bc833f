"""The command tracking_doctor."""

import os
import socket
import sys
import time
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from tests.support.buffered import QUICK
from tests.support.spooled_files import hit, save_hits
from tracking.management import spool_location
from tracking.pipeline.spool import SiteIdentity, location, this_site
from tracking.pipeline.spool.folder import MAX_FILES
from tracking.pipeline.spool.writer_lock import WriterLock


def diagnose(capsys, *arguments):
    call_command("tracking_doctor", *arguments)
    return capsys.readouterr().out.splitlines()


@pytest.mark.django_db
def test_the_doctor_explains_how_an_address_is_found(settings, capsys):
    settings.TRACKING_TRUSTED_PROXIES = ["10.0.0.0/8"]
    lines = diagnose(
        capsys, "--remote-addr=10.0.0.1", "--header=198.51.100.66, 203.0.113.9, 10.0.0.2"
    )
    assert [" ".join(line.split()) for line in lines] == [
        "connection 10.0.0.1 a trusted proxy of this site",
        "X-Forwarded-For -1 10.0.0.2 a trusted proxy of this site",
        "X-Forwarded-For -2 203.0.113.9 not a proxy of this site: this is the client",
        "The client is 203.0.113.9.",
    ]


@pytest.mark.django_db
def test_the_doctor_says_who_writes(folder, capsys):
    def written_by():
        lines = [" ".join(line.split()) for line in diagnose(capsys)]
        return next(line for line in lines if line.startswith("written by "))

    assert written_by() == "written by a thread of each process"
    with WriterLock.take(folder, this_site()) as lock:
        lock.describe()
        who = f"process {os.getpid()} on {socket.gethostname()}"
        assert written_by().startswith(f"written by {who} (tracking_writer); sign of life 0.")
        lock.describe(is_child=True)
        assert f"{who}, started by a web process; sign of life" in written_by()
        os.utime(lock.path, (time.time() - 70,) * 2)
        assert f"a thread of each process: the writer, {who}, is silent for 7" in written_by()


@pytest.mark.django_db
def test_the_doctor_says_where_the_trail_ends(settings, capsys):
    settings.TRACKING_TRUSTED_PROXIES = ["10.0.0.0/8"]
    lines = diagnose(capsys, "--remote-addr=10.0.0.1", "--header=203.0.113.9, rubbish")
    assert "not an address" in lines[1]
    assert lines[-1] == "The client is 10.0.0.1."
    assert diagnose(capsys, "--remote-addr=")[-1] == "The client is unknown."


@pytest.mark.django_db
def test_the_doctor_warns_of_headers_with_underscores(settings, capsys):
    """Some WSGI servers fold X_Forwarded_For into X-Forwarded-For."""
    settings.TRACKING_TRUSTED_PROXIES = ["10.0.0.0/8"]
    call_command("tracking_doctor", "--remote-addr=10.0.0.1", "--header=203.0.113.9")
    assert "some WSGI servers take X_Forwarded_For for it" in capsys.readouterr().err


@pytest.mark.django_db
@pytest.mark.parametrize("has_uvloop", [False, True])
def test_the_doctor_tells_of_the_delay_of_uvicorn_without_uvloop(capsys, monkeypatch, has_uvloop):
    for name, is_installed in (("uvicorn", True), ("uvloop", has_uvloop)):
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module if is_installed else None)
    call_command("tracking_doctor")
    assert ("Install uvloop" in capsys.readouterr().err) is not has_uvloop


@pytest.mark.django_db
def test_the_doctor_asks_for_an_address():
    with pytest.raises(CommandError, match="'rubbish' is not an IP address"):
        call_command("tracking_doctor", "--remote-addr=rubbish")


@pytest.mark.usefixtures("outside_of_tests")
@pytest.mark.django_db
def test_the_doctor_asks_the_database_for_bans(capsys):
    lines = [" ".join(line.split()) for line in diagnose(capsys)]
    assert "last refresh, seconds 0.0" in lines
    assert lines[-1] == "No problems found."


@pytest.mark.usefixtures("outside_of_tests")
@pytest.mark.django_db
def test_the_doctor_says_that_bans_cannot_be_read(capsys):
    def refuse(*_args):
        raise OperationalError("away")

    with connection.execute_wrapper(refuse):
        lines = diagnose(capsys)
    assert "Problem: bans and other tables in memory cannot be refreshed." in lines


@pytest.fixture
def folder(settings, tmp_path):
    settings.TRACKING_BACKEND, settings.TRACKING_SPOOL = QUICK, str(tmp_path)
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.mark.django_db
def test_the_doctor_names_files_that_need_a_person(folder, capsys):
    (folder / "a.hits.unknown").write_text("something else altogether")
    save_hits(folder, [hit(1)], site=SiteIdentity.of("postgresql", {"NAME": "blog"}, ["x"]))
    lines = [" ".join(line.split()) for line in diagnose(capsys)]
    assert {"unreadable files 1", "files of other sites 1", "hits waiting 0"} <= set(lines)
    assert "Problem: files of the spool cannot be read." in lines
    assert any("tracking_replay" in line for line in lines)
    assert any("a TRACKING_SPOOL of its own" in line for line in lines)


@pytest.mark.django_db
def test_the_doctor_says_that_there_is_more_than_was_counted(folder, capsys):
    for number in range(MAX_FILES + 1):
        (folder / f"{number}.txt").touch()
    lines = [" ".join(line.split()) for line in diagnose(capsys)]
    assert "spool files more than 0" in lines
    assert "Problem: the spool holds more files than are counted." in lines


@pytest.mark.django_db
def test_the_doctor_says_where_the_spool_is_and_why(folder, capsys, monkeypatch):
    monkeypatch.setattr(spool_location, "vanishing_file_system", lambda _folder: "tmpfs")
    lines = [" ".join(line.split()) for line in diagnose(capsys)]
    assert f"spool {folder} (by TRACKING_SPOOL)" in lines
    assert any("(tmpfs) ends with the machine" in line for line in lines)


@pytest.mark.django_db
def test_the_doctor_and_the_drain_know_former_folders(folder, settings, capsys, monkeypatch):
    settings.TRACKING_SPOOL = ""
    monkeypatch.setenv("STATE_DIRECTORY", str(folder / "state"))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setattr(location, "_VAR_TMP", folder / "missing")
    former = next(one.folder for one in location._default_locations() if one.is_temporary)
    save_hits(former, [hit(1)])
    assert any(f"Hits wait in {former}, too." in line for line in diagnose(capsys))
    call_command("tracking_drain")
    assert not list(former.glob("*.hits"))
    assert not any(f"Hits wait in {former}" in line for line in diagnose(capsys))

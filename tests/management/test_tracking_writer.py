"""The command tracking_writer; ``tests/test_no_hit_is_lost_by_the_writer.py`` breaks it."""

import threading

import pytest
from django.core.management import CommandError, call_command

from tests.support.buffered import QUICK
from tracking.backends import get_backend, writer_process
from tracking.hits import Hit
from tracking.pipeline.spool import Spool, this_site
from tracking.pipeline.spool.writer_lock import WriterLock


@pytest.fixture
def folder(settings, tmp_path):
    settings.TRACKING_BACKEND, settings.TRACKING_SPOOL = QUICK, str(tmp_path)
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.mark.django_db(transaction=True)
def test_it_writes_what_waits_and_ends_when_nobody_records(folder, capsys, monkeypatch):
    from tracking.models import Beacon

    monkeypatch.setattr(writer_process.WriterProcess, "linger", 0.1)
    spool = Spool(folder)
    spool.hand_over()
    spool.append([Hit(kind="open", data={"n": n}) for n in range(3)])
    before = threading.active_count()
    call_command("tracking_writer", until_unused=True)
    assert Beacon.objects.count() == 3
    assert capsys.readouterr().out == f"Writing hits from {folder}.\n"
    assert threading.active_count() == before  # a writer needs no thread
    spool.close()
    get_backend().close()


def test_a_second_one_says_who_the_first_is(folder):
    with WriterLock.take(folder, this_site()) as lock:
        lock.describe()
        with pytest.raises(CommandError, match=r"Another writer is at work in .*: process \d+ on "):
            call_command("tracking_writer")


@pytest.mark.parametrize("backend", ["immediate.ImmediateBackend", "memory.MemoryBackend"])
def test_a_backend_that_keeps_no_hits_is_refused(settings, tmp_path, backend):
    settings.TRACKING_BACKEND = f"tracking.backends.{backend}"
    settings.TRACKING_SPOOL = str(tmp_path)
    with pytest.raises(CommandError, match="keeps no hits in a spool"):
        call_command("tracking_writer")


def test_a_folder_that_cannot_be_used_is_an_error(folder, settings):
    (folder / "file").write_text("")
    settings.TRACKING_SPOOL = str(folder / "file")
    with pytest.raises(CommandError, match="file"):
        call_command("tracking_writer")

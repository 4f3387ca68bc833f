"""The buffered backend, with failures of database, disk and process."""

import asyncio
import errno
import json
import logging
import os
import resource
import signal
import tempfile
import threading
import time
import warnings
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import DataError, OperationalError, connection, transaction

from tests.support.buffered import QUICK, FakeTable
from tests.support.processes import Site, wait_until
from tracking import links, recording
from tracking.backends import get_backend
from tracking.backends.buffered import BufferedBackend
from tracking.hits import Hit, Kind
from tracking.models import Beacon
from tracking.pipeline import write_batch
from tracking.pipeline.spool import Spool, folder_status, location, save_rejected


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


@pytest.mark.django_db(transaction=True)
def test_hits_become_rows_and_a_second_delivery_changes_nothing(backend):
    sent = hits(3)
    backend.send(sent[0])
    backend.send_many(sent)
    asyncio.run(backend.asend(sent[1]))
    assert backend.flush()
    assert {beacon.pk for beacon in Beacon.objects.all()} == {hit.id for hit in sent}
    counters = backend.counters
    assert (counters.received, counters.written, counters.duplicate) == (5, 5, 2)
    assert folder_status(backend.spool.folder).waiting == 0


def test_a_thread_writes_in_batches_and_rests(backend, table):
    backend.batch_size = 100
    for hit in hits(1_000):
        backend.send(hit)
    wait_until(lambda: len(table.rows) == 1_000)
    assert {thread.name for thread in table.threads} == {"tracking-writer"}
    assert table.calls < 60
    assert backend.counters.lag < 5


def test_a_full_batch_does_not_wait(backend, table):
    backend.interval, backend.batch_size = 30, 10
    for hit in hits(10):
        backend.send(hit)
    wait_until(lambda: len(table.rows) == 10, 5)


def test_a_database_that_is_away_delays_and_loses_nothing(backend, table, caplog):
    table.error = OperationalError("the server has gone away")
    for hit in hits(100):
        backend.send(hit)
    wait_until(lambda: backend.counters.failures > write_batch.SUSPECT_HITS_AFTER + 2)
    assert folder_status(backend.spool.folder).waiting == 100
    assert not backend.flush(0.05)
    table.error = None
    wait_until(lambda: len(table.rows) == 100)
    errors = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert len(errors) == 1  # and not one for each attempt
    wait_until(lambda: "written again" in caplog.text)


@pytest.mark.django_db(transaction=True)
def test_a_table_that_is_gone_and_comes_back(backend):
    def rename(old, new):
        with connection.schema_editor() as editor:
            editor.alter_db_table(Beacon, old, new)

    rename("tracking_beacon", "tracking_elsewhere")
    try:
        sent = hits(20)
        backend.send_many(sent)
        wait_until(lambda: backend.counters.failures > 1)
    finally:
        rename("tracking_elsewhere", "tracking_beacon")
    wait_until(lambda: backend.spool.waiting == 0)
    backend.close()
    assert Beacon.objects.count() == 20
    assert folder_status(backend.spool.folder).rejected == 0


def test_poison_is_set_aside_and_replayed(backend, table, capsys):
    table.poison = {4: DataError("no such place")}
    backend.send_many(hits(10))
    wait_until(lambda: backend.spool.waiting == 0)
    assert (backend.counters.rejected, len(table.rows)) == ({"DataError": 1}, 9)
    call_command("tracking_replay")
    assert folder_status(backend.spool.folder).rejected == 1  # refused again
    table.poison = {}
    capsys.readouterr()
    call_command("tracking_replay")
    assert table.numbers == list(range(10))
    assert folder_status(backend.spool.folder).rejected == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["files", "1"],
        ["hits", "written", "1"],
        ["of", "which", "duplicates", "0"],
        ["set", "aside", "0"],
    ]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_is_started_again(backend, table):
    table.error = SystemExit()
    backend.send_many(hits(1))
    wait_until(lambda: table.calls and not backend._thread.is_alive())
    table.error = None
    backend.send_many(hits(2))
    wait_until(lambda: len(table.rows) == 3)


def test_a_folder_that_takes_nothing_falls_back_to_writing_at_once(backend, table, caplog):
    backend.spool.folder.write_text("a file where the folder should be")
    first, second, third = hits(3)
    backend.send(first)
    asyncio.run(backend.asend(second))
    assert len(table.rows) == 2
    assert not backend.is_disk_writable
    assert caplog.text.count("cannot be written") == 1
    backend.spool.folder.unlink()
    time.sleep(backend.disk_retry_interval)
    backend.send(third)
    assert backend.is_disk_writable
    assert caplog.text.count("can be written again") == 1
    wait_until(lambda: len(table.rows) == 3)
    assert backend.counters.received == 3
    assert backend.counters.at_once == 2


def test_without_any_folder_for_temporary_files_hits_are_written_at_once(
    settings, table, caplog, monkeypatch
):
    # As in a container whose disk is read-only, and on a disk that is full at the start.
    settings.TRACKING_SPOOL = ""
    monkeypatch.setattr(location, "_VAR_TMP", Path("/proc/var-tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc"])
    monkeypatch.setenv("TMPDIR", "/proc/nowhere")
    settings.TRACKING_BACKEND = QUICK
    backend = get_backend()
    backend.send_many(hits(2))
    assert len(table.rows) == backend.counters.at_once == 2
    assert "/proc/nowhere" in caplog.text
    assert [problem.id for problem in backend.check()] == ["tracking.E017"]
    backend.close()


def test_a_hit_that_is_too_long_for_the_spool_is_written_at_once(backend, table):
    backend.send_many(hits(1, url="x" * 5_000_000))
    assert len(table.rows) == backend.counters.at_once == 1
    assert backend.is_disk_writable


def test_a_disk_that_is_full_in_the_middle_of_a_hit(backend, table):
    backend.interval = 30
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))  # SIGXFSZ is ignored by Python
    try:
        for hit in hits(100):
            backend.send(hit)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert 0 < backend.spool.waiting < 100
    assert len(table.rows) == backend.counters.at_once == 100 - backend.spool.waiting
    assert backend.flush()
    assert table.numbers == list(range(100))


def test_a_disk_that_is_full_while_something_is_set_aside(backend, table, monkeypatch):
    table.poison = {0: DataError("no")}

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tracking.backends.buffered.save_rejected", full)
    backend.send_many(hits(3))
    wait_until(lambda: backend.counters.failures > 1)
    assert backend.spool.waiting == 3
    monkeypatch.setattr("tracking.backends.buffered.save_rejected", save_rejected)
    wait_until(lambda: backend.spool.waiting == 0)
    assert (len(table.rows), folder_status(backend.spool.folder).rejected) == (2, 1)


def test_what_is_left_behind_is_written_by_who_comes_next(backend, table):
    for _ in range(12):
        dead = Spool(backend.spool.folder)
        dead.append(hits(3))
        dead.close()
    backend.send_many(hits(1))
    wait_until(lambda: len(table.rows) == 37)
    backend.close()
    assert not [path for path in backend.spool.folder.iterdir() if path.is_file()]


def test_the_end_writes_what_is_waiting(backend, table):
    backend.interval = 30
    backend.send_many(hits(50))
    backend.close()
    assert len(table.rows) == 50
    assert not backend._thread.is_alive()
    backend.send_many(hits(1))  # a view that still has it
    backend.close()
    assert len(table.rows) == 51


def test_a_database_that_is_away_does_not_hold_up_the_end(backend, table, caplog):
    table.error = OperationalError("gone")
    backend.send_many(hits(5))
    started = time.monotonic()
    backend.close()
    assert time.monotonic() - started < 2
    assert "5 hits stay in" in caplog.text
    assert folder_status(backend.spool.folder).left_behind == 1


def test_many_threads_send(backend, table):
    def work():
        for hit in hits(200):
            backend.send(hit)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert backend.flush()
    assert len(table.rows) == backend.counters.received == backend.counters.written == 1_600


def test_a_child_has_a_thread_of_its_own_and_sends_nothing_twice(backend, table, tmp_path):
    backend.interval = 30
    backend.send_many(hits(5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 on: fork beside threads
        child = os.fork()
    if child == 0:
        try:
            backend.interval = 0.01
            assert backend._thread is None
            assert backend.spool.waiting == 0
            backend.send_many(hits(2))
            wait_until(lambda: len(table.rows) == 2)
            (tmp_path / "child").write_text(str(len(table.rows)))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert (tmp_path / "child").read_text() == "2"
    assert backend.flush()
    assert len(table.rows) == 5


def test_a_backlog_stays_on_disk(backend, table):
    table.error = OperationalError("gone")
    backend.batch_size = 200
    seen = []
    real = backend.deliver_batch
    backend.deliver_batch = lambda items, **options: (
        seen.append(len(items)),
        real(items, **options),
    )[1]
    for _ in range(20):
        backend.send_many(hits(500))
    wait_until(lambda: backend.counters.failures > 2)
    table.error = None
    wait_until(lambda: len(table.rows) == 10_000)
    assert max(seen) <= 200


def test_late_hits_are_logged_once(backend, table, settings, caplog):
    settings.TRACKING_MAX_LAG = 0.05
    caplog.set_level(logging.INFO, "tracking")
    backend.interval = 0.2
    backend.send_many(hits(3))
    wait_until(lambda: backend.spool.waiting == 0)
    backend.interval = 0
    backend.send_many(hits(3))
    wait_until(lambda: "no longer late" in caplog.text)
    assert caplog.text.count("Hits are late") == 1


@pytest.mark.django_db
def test_the_doctor_shows_what_is_waiting(backend, capsys):
    left = Spool(backend.spool.folder)
    left.append(hits(3))
    left.close()
    call_command("tracking_doctor")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["backend", QUICK]
    assert {" ".join(line.split()) for line in lines} >= {
        "hits waiting 3", "files of dead processes 1", "hits set aside 0", "No problems found.",
    }  # fmt: skip


#: Sends for ever, and tells of each hit that was taken over.
SENDER = """
import django
django.setup()
from tracking.backends import get_backend
from tracking.hits import Hit
backend = get_backend()
backend.interval = 0.05
while True:
    hit = Hit(kind="open")
    backend.send(hit)
    print(hit.id.hex, flush=True)
"""

FINISHER = """
import django, sys
django.setup()
from tracking.backends import get_backend
from tracking.hits import Hit
get_backend().send_many([Hit(kind="open") for _ in range(int(sys.argv[1]))])
"""


@pytest.mark.slow
def test_a_process_that_is_killed_under_load_loses_nothing_and_writes_nothing_twice(tmp_path):
    site = Site(tmp_path)
    acknowledged = []
    for seconds in (0.6, 0.3, 0.9):
        process = site.start("-c", SENDER, stdout=-1)
        acknowledged.append(process.stdout.readline().strip())
        timer = threading.Timer(seconds, process.send_signal, [signal.SIGKILL])
        timer.start()
        acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
        process.wait()
        timer.join()
        process.stdout.close()
    assert len(acknowledged) > 1_000
    site.run("-m", "django", "tracking_drain")
    keys = site.keys()
    assert len(keys) == len(set(keys))
    assert set(acknowledged) <= set(keys)
    assert len(keys) - len(acknowledged) <= 3  # killed between the write and the word
    assert folder_status(site.spool).waiting == 0


@pytest.mark.slow
def test_two_sites_that_share_a_folder_and_are_killed_take_their_own_hits_only(tmp_path):
    """With the same secret, as in copied settings."""
    sites, acknowledged = [], []
    for name in ("shop", "blog"):
        (tmp_path / name).mkdir()
        shared = f"TRACKING_SPOOL = {str(tmp_path / 'spool')!r}\n"
        sites.append(Site(tmp_path / name, shared))
        acknowledged.append([])
    for _ in range(3):
        processes = [site.start("-c", SENDER, stdout=-1) for site in sites]
        for process, sent in zip(processes, acknowledged, strict=True):
            sent.append(process.stdout.readline().strip())
        time.sleep(0.5)
        for process, sent in zip(processes, acknowledged, strict=True):
            process.kill()
            sent += [line.strip() for line in process.stdout if line.endswith("\n")]
            process.wait()
            process.stdout.close()
    state = folder_status(tmp_path / "spool", sites[0].identity)
    sites[0].run("-m", "django", "tracking_drain")
    assert folder_status(tmp_path / "spool").left_behind == state.other_sites
    sites[1].run("-m", "django", "tracking_drain")
    for site, sent in zip(sites, acknowledged, strict=True):
        keys = site.keys()
        assert len(sent) > 300
        assert len(keys) == len(set(keys))
        assert set(sent) <= set(keys)
        assert len(keys) - len(sent) <= 3  # killed between the write and the word
    assert not set(sites[0].keys()) & set(sites[1].keys())
    assert folder_status(tmp_path / "spool").waiting == 0


@pytest.mark.slow
def test_the_end_of_a_process_writes_what_it_has(tmp_path):
    site = Site(tmp_path)
    site.run("-W", "error", "-c", FINISHER, "5000")
    assert len(site.keys()) == 5_000
    assert not list(site.spool.glob("*.hits"))


def test_what_was_rejected_can_be_read_by_people(backend, table):
    table.poison = {0: DataError("value too long")}
    backend.send_many(hits(1))
    wait_until(lambda: backend.spool.waiting == 0)
    [path] = (backend.spool.folder / "rejected").glob("*.jsonl")
    entry = json.loads(path.read_text())
    assert entry["reason"] == "DataError: value too long"
    assert entry["hit"]["data"] == {"n": 0}


@pytest.mark.django_db(transaction=True)
def test_a_transaction_of_the_site_that_is_rolled_back_takes_no_hit_along(backend):
    with transaction.atomic():
        backend.send_many(hits(2))
        transaction.set_rollback(True)
    wait_until(lambda: backend.spool.waiting == 0)
    backend.close()
    assert Beacon.objects.count() == 2
    assert recording.write([]) == []


# Hits as requests leave them.


class Selective(BufferedBackend):
    """A backend of a site that keeps opens for itself."""

    def send(self, hit):
        self.opens = [*getattr(self, "opens", []), hit]


class Patient(Selective):
    """One that changes nothing of how hits are accepted."""

    interval = 0.1


@pytest.mark.parametrize("backend", [Selective, Patient])
def test_a_backend_with_a_send_of_its_own_gets_every_hit_by_it(settings, tmp_path, client, backend):
    settings.TRACKING_SPOOL = str(tmp_path / "spool")
    settings.TRACKING_BACKEND = f"{__name__}.{backend.__name__}"
    client.get(links.pixel_url(["x"]))
    [hit] = get_backend().opens
    assert hit.data == {"args": ["x"]}
    assert get_backend().spool.appended == 0


def test_a_hit_of_a_request_that_the_disk_refuses_is_written_in_the_request(
    backend, table, client, monkeypatch
):
    def refuse(hits):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(backend.spool, "append", refuse)
    client.get(links.pixel_url([], {"n": 7}))
    assert table.numbers == [7]
    assert backend.counters.at_once == 1

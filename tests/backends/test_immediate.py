"""Write hits at once, and keep those that the database does not take."""

import asyncio
import logging
import threading
import time

import pytest
from django.db import (
    DataError,
    InterfaceError,
    InternalError,
    OperationalError,
    connection,
    transaction,
)
from django.test import utils

from tests.site.models import Affiliate
from tests.support.forks import exit_code, forked
from tests.support.processes import wait_until
from tracking import health, recording
from tracking.backends import get_backend
from tracking.backends.immediate import ImmediateBackend
from tracking.db.threads import close_connections
from tracking.hits import Hit, Kind
from tracking.log_limits import BURST
from tracking.models import Beacon
from tracking.pipeline.spool import Spool, folder_status
from tracking.raw_hits import RawHit

AWAY = OperationalError("the server has gone away")


def hits(number):
    return [Hit(kind=Kind.OPEN) for _ in range(number)]


@pytest.fixture
def outside_of_tests(monkeypatch):
    """Let the process look like one that runs no tests."""
    monkeypatch.delattr(utils._TestState, "saved_data")


@pytest.fixture
def backend(settings, tmp_path, outside_of_tests):
    settings.TRACKING_BACKEND = "tracking.backends.immediate.ImmediateBackend"
    settings.TRACKING_SPOOL = str(tmp_path / "spool")
    backend = get_backend()
    reserve = backend.spooler
    reserve.interval = reserve.first_retry_delay = reserve.max_retry_delay = 0.05
    yield backend
    backend.close()


class Database:
    """Takes hits, unless it is told otherwise.

    Attributes:
        error: what each write raises.
        gate: an event for which each write waits.
        tried: the hits that anybody has tried to write, by the names of the threads.
    """

    def __init__(self, write):
        self._write = write
        self.error = self.gate = None
        self.tried = []

    def write(self, hits, *arguments):
        self.tried += [(threading.current_thread().name, hit.id) for hit in hits]
        if self.gate is not None:
            self.gate.wait(20)
        if self.error is not None:
            raise self.error
        return self._write(hits, *arguments)

    def tried_in_requests(self):
        return [key for thread, key in self.tried if thread != "tracking-writer"]


@pytest.fixture
def database(monkeypatch):
    database = Database(recording.write)
    monkeypatch.setattr(recording, "write", database.write)
    monkeypatch.setattr(recording, "write_permitted", database.write)  # by the writer thread
    return database


def keys_in_database():
    return {beacon.pk for beacon in Beacon.objects.all()}


def keys(hits):
    return {hit.id for hit in hits}


def waiting(backend):
    return folder_status(backend.spooler.spool.folder).waiting


@pytest.mark.django_db
def test_the_default_writes_at_once():
    backend = get_backend()
    assert type(backend) is ImmediateBackend
    hit, *more = hits(3)
    backend.send(hit)
    assert Beacon.objects.get().pk == hit.id
    backend.send_many([hit, *more])
    assert Beacon.objects.count() == 3


# A database that is away.


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [AWAY, InterfaceError("closed"), InternalError("read-only")])
def test_what_the_database_does_not_take_is_written_later_and_once(backend, database, error):
    database.error = error
    sent = hits(6)
    for hit in sent[:3]:
        backend.send(hit)
    backend.send_in_savepoints(sent[3])
    backend.send_many(sent[4:])
    assert waiting(backend) == 6
    database.error = None
    wait_until(lambda: waiting(backend) == 0)
    assert keys_in_database() == keys(sent)
    later = hits(1)
    backend.send(later[0])
    assert keys_in_database() == keys(sent + later)
    assert backend.spooler.counters.received == 6  # the later one was written at once


@pytest.mark.django_db(transaction=True)
def test_requests_do_not_try_while_the_database_is_away(backend, database, caplog):
    backend.spooler.pause = 60
    database.error = AWAY
    sent = hits(100)
    for hit in sent[:50]:
        backend.send(hit)
    asyncio.run(send_in_loop(backend, sent[50:]))
    raw = RawHit("open")
    assert backend.take(raw)
    assert database.tried_in_requests() == [sent[0].id]
    assert len([r for r in caplog.records if r.levelno >= logging.ERROR]) <= 2
    assert not [r for r in caplog.records if r.exc_info]
    database.error = None
    wait_until(lambda: waiting(backend) == 0)
    wait_until(lambda: "takes hits again" in caplog.text)
    assert keys_in_database() == {raw.uuid, *keys(sent)}
    assert not backend.take(RawHit("open"))


async def send_in_loop(backend, sent):
    for hit in sent:
        await backend.asend(hit)


@pytest.mark.django_db(transaction=True)
def test_one_request_after_a_pause_finds_a_database_that_the_writer_has_not_found(
    backend, database, monkeypatch
):
    reserve = backend.spooler
    reserve.pause = 0.2
    monkeypatch.setattr(reserve, "wake_writer", lambda: None)  # a thread that nobody runs
    database.error = AWAY
    sent = hits(4)
    backend.send(sent[0])
    backend.send(sent[1])
    assert database.tried_in_requests() == [sent[0].id]
    database.error = None
    time.sleep(0.25)
    backend.send(sent[2])
    backend.send(sent[3])
    assert keys_in_database() == keys(sent[2:])
    monkeypatch.undo()


@pytest.mark.django_db(transaction=True)
def test_a_database_that_flaps_does_not_fill_the_log(backend, database, caplog):
    for _ in range(BURST + 5):
        database.error = AWAY
        backend.send(hits(1)[0])
        database.error = None
        wait_until(lambda: not backend.spooler.is_database_away())
    assert len([r for r in caplog.records if "takes no hits" in r.getMessage()]) == BURST


# A database that hangs.


@pytest.mark.django_db(transaction=True)
def test_nobody_queues_behind_a_write_that_hangs(backend, database):
    backend.spooler.longest_write = 0.1
    database.gate = threading.Event()
    first, *others = sent = hits(12)
    held_up = threading.Thread(target=in_thread, args=[backend, first], name="held-up")
    held_up.start()
    wait_until(lambda: database.tried)
    time.sleep(0.15)
    for hit in others[:5]:
        backend.send(hit)
    asyncio.run(send_in_loop(backend, others[5:]))
    assert backend.take(RawHit("open"))
    assert database.tried_in_requests() == [first.id]
    database.gate.set()
    held_up.join()
    wait_until(lambda: waiting(backend) == 0)
    assert len(keys_in_database()) == len(sent) + 1


def in_thread(backend, hit):
    try:
        backend.send(hit)
    finally:
        close_connections()


def test_a_child_does_not_wait_for_what_its_parent_waits_for(backend, database):
    database.gate = threading.Event()
    database.error = AWAY
    backend.spooler.longest_write = backend.spooler.max_wait = 0.05
    thread = threading.Thread(target=in_thread, args=[backend, hits(1)[0]])
    thread.start()
    wait_until(lambda: database.tried)
    time.sleep(0.1)
    assert backend.spooler.is_database_away()
    assert exit_code(forked(lambda: not backend.spooler.is_database_away())) == 0
    database.gate.set()
    thread.join()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor == 'sqlite'")
def test_a_server_that_hangs_holds_up_nobody(backend, database, caplog):
    database.gate = threading.Event()
    sent = hits(30)
    began = time.monotonic()
    for hit in sent[:15]:
        backend.send(hit)
    asyncio.run(send_in_loop(backend, sent[15:]))
    assert time.monotonic() - began < 5  # all of them, with the gate closed
    assert database.tried_in_requests() == [sent[0].id]
    assert waiting(backend) == 30
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage().split(";")[0] for record in warnings] == [
        "The database does not answer within 0.15 s"
    ]
    database.gate.set()
    wait_until(lambda: waiting(backend) == 0)
    assert keys_in_database() == keys(sent)
    wait_until(lambda: not backend.spooler.is_database_away())


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor == 'sqlite'")
def test_who_comes_while_another_one_waits_waits_no_longer_than_that_one(backend, database):
    backend.spooler.max_wait = 2
    database.gate = threading.Event()
    sent = hits(2)
    ended = []

    def send(hit):
        backend.send(hit)
        ended.append(time.monotonic())

    first, second = (threading.Thread(target=send, args=[hit]) for hit in sent)
    first.start()
    wait_until(lambda: database.tried)
    time.sleep(1.5)
    second.start()
    first.join()
    second.join()
    assert abs(ended[0] - ended[1]) < 1
    database.gate.set()
    wait_until(lambda: waiting(backend) == 0)
    assert keys_in_database() == keys(sent)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor == 'sqlite'")
def test_a_server_that_takes_hits_slowly_is_not_asked_again_by_requests(backend, database):
    reserve = backend.spooler
    reserve.max_wait = reserve.slow_batch = 0.05
    database.gate = threading.Event()
    sent = hits(2)
    backend.send(sent[0])
    wait_until(lambda: len(database.tried) == 2)  # the writer thread, too
    time.sleep(0.1)
    database.gate.set()
    wait_until(lambda: waiting(backend) == 0)
    assert reserve.is_database_away()
    backend.send(sent[1])
    wait_until(lambda: not reserve.is_database_away())  # the writer thread was quick
    assert keys_in_database() == keys(sent)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor == 'sqlite'")
def test_where_the_disk_refuses_too_a_server_that_hangs_is_waited_for(
    backend, database, monkeypatch
):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Spool, "append", refuse)
    backend.spooler.max_wait = 0.05
    database.gate = threading.Event()
    threading.Timer(0.2, database.gate.set).start()
    [hit] = hits(1)
    backend.send(hit)
    assert keys_in_database() == {hit.id}


# The limits.


@pytest.mark.parametrize("error", [DataError("too long"), ValueError("no hit")])
def test_a_hit_that_is_at_fault_is_not_kept(backend, database, error):
    database.error = error
    with pytest.raises(type(error)):
        backend.send(hits(1)[0])
    assert waiting(backend) == 0
    assert not backend.spooler.is_database_away()


def test_a_site_that_has_not_migrated_keeps_nothing(backend, database):
    database.error = OperationalError("no such table: tracking_beacon")
    with pytest.raises(OperationalError):
        backend.send(hits(1)[0])
    assert waiting(backend) == 0


def test_where_the_disk_refuses_too_the_caller_learns_why(backend, database, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Spool, "append", refuse)
    database.error = AWAY
    for _ in range(2):
        with pytest.raises(OperationalError, match="gone away"):
            backend.send(hits(1)[0])
    assert len(database.tried) == 2  # without a disk, each hit is tried


def test_in_tests_of_a_site_nothing_is_kept(settings, tmp_path, database):
    settings.TRACKING_SPOOL = str(tmp_path / "spool")
    database.error = AWAY
    for _ in range(2):
        with pytest.raises(OperationalError):
            get_backend().send(hits(1)[0])
    assert len(database.tried) == 2
    assert not (tmp_path / "spool").exists()


def test_where_there_is_no_spool_hits_are_written_as_ever(backend, database, monkeypatch):
    monkeypatch.setattr("tracking.backends.immediate._HAS_SPOOL", False)
    alone = ImmediateBackend()
    database.error = AWAY
    with pytest.raises(OperationalError):
        alone.send(hits(1)[0])
    assert alone.spooler is None
    assert not alone.take(RawHit("open"))
    alone.wake_writer()
    alone.close()
    assert health.report(alone).problems == []


# Transactions of the site.


@pytest.mark.django_db(transaction=True)
def test_a_failure_leaves_the_transaction_of_the_site_usable(backend, database):
    hit = hits(1)[0]
    with transaction.atomic():
        Affiliate.objects.create(name="before")
        database.error = AWAY
        backend.send_in_savepoints(hit)
        database.error = None
        Affiliate.objects.create(name="after")
    assert Affiliate.objects.count() == 2
    assert not backend.spooler.is_database_away()  # the transaction may be to blame
    wait_until(lambda: waiting(backend) == 0)
    assert keys_in_database() == {hit.id}


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_is_broken_loses_no_hit(backend):
    hit = hits(1)[0]
    with transaction.atomic():
        transaction.set_rollback(True)
        backend.send_in_savepoints(hit)
    wait_until(lambda: waiting(backend) == 0)
    assert keys_in_database() == {hit.id}


# The real thing.


def where_hits_are_written(backend, call):
    """Make a call on the connection that writes the hits of this thread."""
    if connection.vendor == "sqlite":
        call()
    else:
        backend.spooler._calls.run(call, 20, lambda: False)


def execute(query):
    with connection.cursor() as cursor:
        cursor.execute(query)


READ_ONLY = {
    "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
}


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_may_only_read(backend):
    where_hits_are_written(backend, lambda: execute(READ_ONLY[connection.vendor]))
    sent = hits(3)
    try:
        for hit in sent:
            backend.send(hit)
    finally:
        if connection.vendor == "sqlite":
            execute("PRAGMA query_only = OFF")
    wait_until(lambda: waiting(backend) == 0)
    assert keys_in_database() == keys(sent)
    assert backend.spooler.counters.received == 3


#: Ask for the number of a connection, kill it, and look whether it is there.
KILLING = {
    "postgresql": (
        "SELECT pg_backend_pid()",
        "SELECT pg_terminate_backend(%s)",
        "SELECT 1 FROM pg_stat_activity WHERE pid = %s",
    ),
    "mysql": (
        "SELECT CONNECTION_ID()",
        "KILL %s",
        "SELECT 1 FROM information_schema.processlist WHERE id = %s",
    ),
}


def rows(cursor, query, *parameters):
    cursor.execute(query, parameters)
    return cursor.fetchall()


def kill_connection():
    """Let the server end the connection of this thread."""
    if connection.vendor not in KILLING:
        pytest.skip("SQLite has no connections that die")
    ask, kill, look = KILLING[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(ask)
        [number] = cursor.fetchone()
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute(kill, [number])
            wait_until(lambda: not rows(cursor, look, number))
    finally:
        other.close()


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_died_is_replaced(backend):
    sent = hits(3)
    backend.send(sent[0])
    for hit in sent[1:]:
        where_hits_are_written(backend, kill_connection)
        backend.send(hit)
    assert keys_in_database() == keys(sent)
    assert backend.spooler.counters.received == 0


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_dies_in_a_transaction_of_the_site(backend):
    hit = hits(1)[0]

    def work_of_the_site():
        with transaction.atomic():
            Affiliate.objects.create(name="lost, as without us")
            kill_connection()
            backend.send_in_savepoints(hit)
            Affiliate.objects.create(name="another")

    with pytest.raises((OperationalError, InterfaceError, transaction.TransactionManagementError)):
        work_of_the_site()
    wait_until(lambda: waiting(backend) == 0)
    assert keys_in_database() == {hit.id}
    assert not Affiliate.objects.exists()


# What waits on disk.


@pytest.mark.django_db(transaction=True)
def test_hits_of_dead_processes_are_written_with_the_next_one(backend):
    left_behind = Spool(backend.spooler.spool.folder)
    sent = hits(4)
    left_behind.append(sent[:3])
    left_behind.close()
    backend.send(sent[3])
    wait_until(lambda: waiting(backend) == 0)
    assert keys_in_database() == keys(sent)


@pytest.mark.django_db(transaction=True)
def test_a_folder_that_others_can_write_to_is_not_read(backend):
    folder = backend.spooler.spool.folder
    left_behind = Spool(folder)
    left_behind.append(hits(1))
    left_behind.close()
    folder.chmod(0o777)
    backend.send(hits(1)[0])
    time.sleep(0.2)
    assert Beacon.objects.count() == 1


def test_it_is_seen_in_health(backend, database):
    database.error = AWAY
    backend.send_many(hits(3))
    report = health.report(backend)
    assert report.figures["waiting"] == 3
    assert report.figures["process"]["received"] == 3
    assert not report.problems

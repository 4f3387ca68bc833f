"""A process that records leaves its hits to a writer process, and writes without one."""

import os
import time

import pytest

from tests.support.buffered import QUICK, FakeTable
from tests.support.processes import wait_until
from tracking.backends import get_backend
from tracking.hits import Hit
from tracking.pipeline.spool import Spool, this_site
from tracking.pipeline.spool.writer_lock import WriterLock, is_any_present


def hits(number):
    return [Hit(kind="open", data={"n": n}) for n in range(number)]


@pytest.fixture
def table(monkeypatch):
    return FakeTable.instead_of_the_database(monkeypatch)


@pytest.fixture
def backend(settings, tmp_path):
    settings.TRACKING_SPOOL = str(tmp_path / "spool")
    settings.TRACKING_BACKEND = QUICK
    backend = get_backend()
    backend._watch.interval = 0.05
    yield backend
    backend.close()


@pytest.fixture
def lock(backend):
    with WriterLock.take(backend.spool.folder, this_site()) as lock:
        lock.describe()
        yield lock


def shared(backend):
    return list(backend.spool.folder.glob("*.shared.hits"))


def test_with_a_writer_hits_are_only_appended(backend, table, lock):
    backend.send(hits(1)[0])
    wait_until(lambda: backend.spool.shares)
    backend.send_many(hits(5))
    wait_until(lambda: backend.spool.waiting == 0)
    assert is_any_present(backend.spool.folder, this_site())
    time.sleep(0.3)
    assert table.calls == 0
    assert len(shared(backend)) == 1
    assert backend.counters.received == 6


def test_without_it_they_are_written_again(backend, table, lock, caplog):
    backend.send(hits(1)[0])
    wait_until(lambda: backend.spool.shares)
    sent = hits(20)
    backend.send_many(sent)
    lock.release()
    wait_until(lambda: len(table.rows) == 21)
    assert "this process writes its own hits" in caplog.text
    assert not is_any_present(backend.spool.folder, this_site()) or backend._watch is not None
    backend.send_many(hits(3))
    wait_until(lambda: len(table.rows) == 24)


@pytest.mark.real_clock
def test_a_silent_writer_is_like_none_until_it_goes_on(backend, table, lock):
    backend.send(hits(1)[0])
    wait_until(lambda: backend.spool.shares)
    os.utime(lock.path, (time.time() - 11,) * 2)
    backend.send_many(hits(2))
    wait_until(lambda: len(table.rows) >= 2)
    lock.beat()
    wait_until(lambda: backend.spool.shares)
    calls = table.calls
    backend.send_many(hits(2))
    time.sleep(0.3)
    assert table.calls == calls


def test_at_the_end_it_waits_until_the_writer_has_written(backend, table, lock):
    backend.send(hits(1)[0])
    wait_until(lambda: backend.spool.shares)
    backend.send_many(hits(4))
    writer = Spool(backend.spool.folder)
    writer.follow_others()
    writer.adopt_orphans()
    found = 0
    while batch := writer.take_batch(100):
        found += len(batch.items)
        writer.settle_batch(batch)
    assert found == 5
    started = time.monotonic()
    backend.close()
    assert time.monotonic() - started < 1
    assert shared(backend) == []
    writer.close()


def test_at_the_end_it_does_not_wait_for_ever(backend, table, lock):
    backend.exit_timeout = 0.4
    backend.send(hits(1)[0])
    wait_until(lambda: backend.spool.shares)
    backend.send_many(hits(4))
    backend.close()
    assert table.calls == 0
    assert len(shared(backend)) == 1


def test_the_reserve_writes_its_own_hits(settings, tmp_path):
    from tracking.backends.reserve import Reserve

    assert not Reserve.leaves_to_writer

"""The loop of the writer process, with the backend of the site."""

import threading
import time

import pytest

from tests.support.buffered import QuickBackend
from tests.support.processes import wait_until
from tracking.backends.writer_process import WriterProcess
from tracking.hits import Hit
from tracking.pipeline.spool import Spool, decode_hit, this_site
from tracking.pipeline.spool.writer_lock import Presence, WriterLock, read_writer
from tracking.pipeline.write_batch import BatchResult, Unavailable


class Sending(QuickBackend):
    """Sends batches elsewhere, as CeleryBackend does."""

    def __init__(self):
        super().__init__()
        self.sent = []
        self.error = None
        self.resent = 0

    def deliver_batch(self, items, *, suspect_hits):
        if self.error:
            raise self.error
        self.sent += [decode_hit(item.payload).data["n"] for item in items]
        return BatchResult(written=len(items))

    def resend_unacknowledged(self):
        self.resent += 1


@pytest.fixture
def backend(settings, tmp_path):
    settings.TRACKING_SPOOL = str(tmp_path)
    tmp_path.chmod(0o700)
    return Sending()


@pytest.fixture
def run(backend, tmp_path, monkeypatch):
    """Run a writer process in a thread, which gets no signals, and stop it in the end."""
    monkeypatch.setattr("tracking.backends.writer_process._SIGNALS", ())
    started = []

    def run(**options):
        lock = WriterLock.take(tmp_path, this_site())
        lock.describe()
        writer = WriterProcess(backend, lock, **options)
        writer.linger = 0.2
        thread = threading.Thread(target=writer.run)
        thread.start()
        started.append((writer, thread, lock))
        return writer, thread

    yield run
    for writer, thread, lock in started:
        writer.stop()
        thread.join()
        lock.release()


@pytest.fixture
def owner(tmp_path):
    spool = Spool(tmp_path)
    spool.hand_over()
    yield spool
    spool.close()


def hit(number):
    return Hit(kind="open", data={"n": number})


def test_it_delivers_as_the_backend_of_the_site_does(backend, run, owner):
    _, thread = run()
    for number in range(5):
        owner.append([hit(number)])
    wait_until(lambda: backend.sent == [0, 1, 2, 3, 4])
    assert backend.resent
    backend.send(hit(5))  # one that its own signals record
    wait_until(lambda: 5 in backend.sent)
    assert backend._thread is thread


def test_it_gives_signs_of_life_while_nothing_can_be_delivered(
    backend, run, owner, tmp_path, caplog
):
    backend.error = Unavailable("the broker is down")
    backend.max_retry_delay = backend.first_retry_delay = 30
    writer, _ = run()
    writer.beat_interval = 0.05
    owner.append([hit(1)])
    wait_until(lambda: backend.counters.failures)
    time.sleep(0.5)
    assert read_writer(tmp_path, this_site()).age < 0.4
    writer.stop()  # which need not wait for the next attempt


def test_what_arrives_last_is_written_before_it_ends(backend, run, owner):
    writer, thread = run()
    wait_until(lambda: backend.resent)
    owner.append([hit(1)])
    writer.stop()
    thread.join()
    assert backend.sent == [1]


def test_it_ends_when_no_process_records(backend, run, tmp_path):
    presence = Presence(tmp_path, this_site())
    _, thread = run(ends_unused=True)
    time.sleep(0.5)
    assert thread.is_alive()
    presence.close()
    thread.join(10)
    assert not thread.is_alive()


def test_it_ends_when_its_lock_is_deleted(backend, run, tmp_path, caplog):
    _, thread = run()
    for path in tmp_path.glob("writer.*.lock"):
        path.unlink()
    thread.join(10)
    assert not thread.is_alive()
    assert "this writer process ends" in caplog.text

"""Starting a writer process; ``tests/test_no_hit_is_lost_by_a_child.py`` does so with servers."""

import os
import sys
import time

import pytest

from tests.support.buffered import QUICK
from tests.support.processes import wait_until
from tracking.backends import get_backend, writer_child
from tracking.backends.writer_child import WriterChild
from tracking.hits import Hit
from tracking.pipeline.spool import this_site
from tracking.pipeline.spool.writer_lock import (
    WriterLock,
    WriterState,
    last_writer,
    lock_path,
    read_writer,
)

#: Holds the lock that it inherits until it is killed.
HOLD = "import time; time.sleep(60)"


@pytest.fixture
def child(tmp_path, monkeypatch):
    monkeypatch.setattr(writer_child, "_command", lambda: [sys.executable, "-c", HOLD])
    child = WriterChild(tmp_path)
    yield child
    for process in child._processes:
        process.kill()
        process.wait()


def test_the_child_has_the_lock_from_the_start(child, tmp_path):
    assert child.start_if_due()
    state = read_writer(tmp_path, this_site())
    assert (state.is_child, state.failed, state.is_silent) == (True, 1, False)
    assert not child.start_if_due()
    assert len(child._processes) == 1
    child._processes[0].kill()
    wait_until(lambda: read_writer(tmp_path, this_site()) is None)
    wait_until(lambda: child.reap() or not child._processes)


@pytest.mark.real_clock
def test_the_next_start_waits_the_longer_the_more_have_failed(child, tmp_path):
    with WriterLock.take(tmp_path, this_site()) as lock:
        lock.describe(failed=3)
        path = lock.path
    for seconds, is_due in ((10, False), (15, False), (17, True)):
        os.utime(path, (time.time() - seconds,) * 2)
        assert child.start_if_due() == is_due
    assert last_writer(tmp_path, this_site()).failed == 4


def test_a_very_bad_record_is_tried_every_five_minutes(child, tmp_path):
    with WriterLock.take(tmp_path, this_site()) as lock:
        lock.describe(failed=10_000)
        os.utime(lock.path, (time.time() - 301,) * 2)
    assert child.start_if_due()


@pytest.mark.real_clock
def test_a_writer_of_older_code_is_outdated(child, monkeypatch):
    now = time.time()
    monkeypatch.setattr(writer_child, "_LOADED_AT", now - 20)
    old = WriterState(1, "host", now - 60, is_child=True, release="old")
    assert child.is_outdated(old)
    assert not child.is_outdated(old._replace(release=child.release))
    assert not child.is_outdated(old._replace(is_child=False))  # a service, restarted by others
    assert not child.is_outdated(old._replace(since=now - 15))  # started after this process


def test_the_release_changes_with_the_code(monkeypatch, tmp_path):
    before = writer_child.release_digest()
    assert writer_child.release_digest() == before
    source = tmp_path / "settings.py"
    source.write_text("1")
    monkeypatch.setattr(writer_child, "_sources", lambda: [source, tmp_path / "missing.py"])
    first = writer_child.release_digest()
    source.write_text("12")
    assert writer_child.release_digest() not in {first, before}


@pytest.mark.parametrize(
    ("executable", "command"),
    [
        (sys.executable, sys.executable),
        ("/usr/bin/uwsgi", f"{sys.prefix}/bin/python3"),
        (None, f"{sys.prefix}/bin/python3"),
    ],
)
def test_an_embedded_python_is_found(monkeypatch, executable, command):
    monkeypatch.setattr(sys, "executable", executable)
    assert writer_child._command()[:3] == [command, "-m", "django"]


def test_without_a_python_nothing_is_started(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(sys, "executable", "")
    monkeypatch.setattr(sys, "prefix", "/nowhere")
    assert not WriterChild(tmp_path).start_if_due()
    assert "No writer process can be started" in caplog.text
    assert not lock_path(tmp_path, this_site()).exists()


def test_a_lock_of_other_settings_is_refused(tmp_path):
    with WriterLock.take(tmp_path, this_site()) as lock:
        descriptor = os.dup(lock.fileno())
        try:
            assert WriterLock.inherit(tmp_path, this_site(), descriptor).path == lock.path
            other = this_site()._replace(address=b"another.")
            WriterLock.take(tmp_path, other).release()
            with pytest.raises(OSError, match="is not"):
                WriterLock.inherit(tmp_path, other, descriptor)
        finally:
            os.close(descriptor)


def test_nothing_is_started_in_the_tests_of_a_site(settings, tmp_path):
    settings.TRACKING_SPOOL = str(tmp_path)
    settings.TRACKING_BACKEND, settings.TRACKING_START_WRITER = QUICK, True
    backend = get_backend()
    backend.send(Hit(kind="open"))
    wait_until(lambda: backend._watch._look_at)
    time.sleep(0.2)
    assert not lock_path(tmp_path, this_site()).exists()
    backend.close()

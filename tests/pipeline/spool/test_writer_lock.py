"""The lock of the writer process."""

import os
import signal
import time

import pytest

from tests.support.forks import exit_code, forked
from tracking.pipeline.spool.site_identity import SiteIdentity
from tracking.pipeline.spool.writer_lock import (
    IsTaken,
    Presence,
    WriterLock,
    is_any_present,
    read_writer,
)

SITE = SiteIdentity(b"address.", (b"name of.",))
SAME_WITH_NEW_SECRET = SiteIdentity(b"address.", (b"new name", b"name of."))
OTHER = SiteIdentity(b"another.", (b"of other",))


def test_one_process_of_a_site_has_it(tmp_path):
    assert read_writer(tmp_path, SITE) is None
    with WriterLock.take(tmp_path, SITE) as lock:
        lock.describe(release="1")
        state = read_writer(tmp_path, SAME_WITH_NEW_SECRET)
        assert (state.pid, state.release, state.is_child) == (os.getpid(), "1", False)
        assert not state.is_silent
        with pytest.raises(IsTaken) as taken:
            WriterLock.take(tmp_path, SAME_WITH_NEW_SECRET)
        assert taken.value.state.pid == os.getpid()
        WriterLock.take(tmp_path, OTHER).release()
    assert read_writer(tmp_path, SITE) is None


def test_a_shorter_description_replaces_a_longer_one(tmp_path):
    with WriterLock.take(tmp_path, SITE) as lock:
        lock.describe(release="x" * 100)
        lock.describe(release="y")
        assert read_writer(tmp_path, SITE).release == "y"


def test_it_ends_with_its_process(tmp_path):
    def hold():
        WriterLock.take(tmp_path, SITE).describe()
        time.sleep(60)

    pid = forked(hold)
    deadline = time.monotonic() + 10
    while (state := read_writer(tmp_path, SITE)) is None or state.pid != pid:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    assert exit_code(pid) == -signal.SIGKILL
    assert read_writer(tmp_path, SITE) is None
    WriterLock.take(tmp_path, SITE).release()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": 1, "more": 2}', b"\xff\x00"])
def test_a_damaged_description_is_that_of_somebody(tmp_path, content):
    with WriterLock.take(tmp_path, SITE) as lock:
        lock.path.write_bytes(content)
        state = read_writer(tmp_path, SITE)
        assert (state.pid, state.host) == (0, "")
        with pytest.raises(IsTaken):
            WriterLock.take(tmp_path, SITE)


@pytest.mark.real_clock
def test_silence_is_measured_and_a_beat_ends_it(tmp_path):
    with WriterLock.take(tmp_path, SITE) as lock:
        for offset in (-11, 3_600):  # also after the clock was set back
            os.utime(lock.path, (time.time() + offset,) * 2)
            assert read_writer(tmp_path, SITE).is_silent
            lock.beat()
            assert read_writer(tmp_path, SITE).age < 5


def test_a_deleted_file_ends_it(tmp_path):
    with WriterLock.take(tmp_path, SITE) as lock:
        assert not lock.is_lost
        lock.path.unlink()
        assert lock.is_lost
        assert read_writer(tmp_path, SITE) is None
        with WriterLock.take(tmp_path, SITE) as new:
            assert not new.is_lost


def test_presence(tmp_path):
    assert not is_any_present(tmp_path, SITE)
    first, second = Presence(tmp_path, SITE), Presence(tmp_path, SITE)
    assert is_any_present(tmp_path, SITE)
    assert not is_any_present(tmp_path, OTHER)
    first.close()
    first.close()
    assert is_any_present(tmp_path, SITE)
    second.close()
    assert not is_any_present(tmp_path, SITE)


def test_a_folder_that_is_a_file_is_an_error(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OSError, match="file"):
        WriterLock.take(file, SITE)
    assert read_writer(file, SITE) is None
    assert read_writer(tmp_path / "missing", SITE) is None

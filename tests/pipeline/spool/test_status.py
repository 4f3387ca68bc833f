"""What waits in the folder of the spool, counted within bounds."""

import os
import time
from unittest import mock

import pytest

from tests.support.spooled_files import hit, save_hits
from tracking.pipeline.spool import folder_status, save_rejected
from tracking.pipeline.spool.folder import MAX_FILES, segment_paths
from tracking.pipeline.spool.header import HEADER_SIZE
from tracking.pipeline.spool.rejected import Rejected
from tracking.pipeline.spool.status import MAX_BYTES_COUNTED


@pytest.fixture
def opened(monkeypatch):
    """Count what is opened and read."""
    counted = {"files": 0, "bytes": 0}

    def count(name, result):
        counted[name] += result
        return result

    opening, reading = os.open, os.pread
    monkeypatch.setattr(os, "open", lambda *a, **k: (count("files", 1), opening(*a, **k))[1])

    def pread(*arguments):
        data = reading(*arguments)
        count("bytes", len(data))
        return data

    monkeypatch.setattr(os, "pread", pread)
    return counted


def test_a_large_file_is_not_read_to_its_end(tmp_path, opened):
    path = save_hits(tmp_path, [hit(n, user_agent="x" * 200) for n in range(1_000)])
    content = path.read_bytes()
    with path.open("ab") as file:
        for _ in range(40):
            file.write(content[HEADER_SIZE:])
    opened["bytes"] = 0
    state = folder_status(tmp_path)
    assert state.waiting == pytest.approx(41_000, rel=0.01)
    assert state.size == path.stat().st_size - HEADER_SIZE > 3 * MAX_BYTES_COUNTED
    assert state.is_complete
    assert opened["bytes"] <= MAX_BYTES_COUNTED + 10_000


def test_of_very_many_files_some_are_looked_at(tmp_path, opened):
    content = save_hits(tmp_path, [hit(1), hit(2)]).read_bytes()
    for number in range(MAX_FILES + 500):
        (tmp_path / f"{number}.hits").write_bytes(content)
    opened["files"] = 0
    state = folder_status(tmp_path)
    assert not state.is_complete
    assert MAX_FILES - 1 <= state.files <= MAX_FILES
    assert state.waiting == 2 * state.files
    assert opened["files"] <= 2 * MAX_FILES


def test_very_many_files_are_taken_over_in_the_end(tmp_path):
    """The first ones may be files that cannot be taken over."""
    for number in range(MAX_FILES + 500):
        (tmp_path / f"{number}.hits").write_bytes(b"")
    seen = set()
    for _ in range(100):
        found = segment_paths(tmp_path)
        assert len(found) == MAX_FILES
        seen.update(found)
        if len(seen) == MAX_FILES + 500:
            return
    pytest.fail("some files are never looked at")


def test_other_files_in_the_folder_count_for_the_bound(tmp_path):
    tmp_path.joinpath("sub").mkdir()
    with mock.patch.object(os, "scandir", wraps=os.scandir) as scandir:
        for number in range(MAX_FILES + 1):
            (tmp_path / f"{number}.txt").touch()
        assert not folder_status(tmp_path).is_complete
        assert scandir.call_count == 3  # hits, rejected, sent


def test_a_large_file_of_rejected_hits_is_estimated(tmp_path):
    save_rejected(tmp_path, [Rejected(b"x" * 1_000, "too odd")] * 8_000)
    assert folder_status(tmp_path).rejected == pytest.approx(8_000, rel=0.01)


def test_the_lag_is_that_of_the_first_record(tmp_path):
    save_hits(tmp_path, [hit(1)])
    time.sleep(0.05)
    assert 0.04 < folder_status(tmp_path).lag < 5


def test_a_damaged_first_record_does_not_make_a_lag_of_years(tmp_path):
    path = save_hits(tmp_path, [hit(1)])
    content = bytearray(path.read_bytes())
    content[HEADER_SIZE + 12 : HEADER_SIZE + 20] = bytes(8)
    path.write_bytes(content)
    assert 0 <= folder_status(tmp_path).lag < 60

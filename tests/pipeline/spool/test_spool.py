"""The spool: append, drain, take over files of dead processes."""

import os
import resource
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress

import pytest

from tests.support import documents
from tracking.hits import Hit
from tracking.pipeline.spool import Spool, decode_hit, encode_hit, folder_status
from tracking.pipeline.spool.header import HEADER_SIZE
from tracking.pipeline.spool.records import MARKER, DamagedBytes, Record, frame_record
from tracking.pipeline.spool.segments import READ_SIZE


def hit(number=0, **values):
    return Hit(kind="open", **{"data": {"n": number}, **values})


def numbers(items):
    return [decode_hit(item.payload).data["n"] for item in items if isinstance(item, Record)]


def everything(spool, limit=1_000):
    items = []
    while batch := spool.take_batch(limit):
        items += batch.items
        spool.settle_batch(batch)
    return items


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / "spool")
    yield spool
    spool.close()


def test_a_hit_that_is_too_long_is_refused(spool):
    with pytest.raises(ValueError, match="bytes; the limit is"):
        spool.append([hit(url="x" * 5_000_000)])
    assert spool.take_batch(1) is None


def test_hits_come_back_in_order_and_the_file_is_emptied(spool):
    spool.append([hit(n) for n in range(5)])
    spool.append([hit(5)])
    assert spool.waiting == 6
    first = spool.take_batch(4)
    assert numbers(first.items) == [0, 1, 2, 3]
    assert numbers(spool.take_batch(4).items) == [0, 1, 2, 3]  # nothing was settled yet
    spool.settle_batch(first)
    assert spool.waiting == 2
    assert numbers(everything(spool)) == [4, 5]
    [path] = spool.folder.iterdir()
    assert path.stat().st_size == HEADER_SIZE  # addresses do not stay on disk
    spool.close()
    assert not list(spool.folder.iterdir())


def test_segments_follow_each_other_and_leave(tmp_path):
    spool = Spool(tmp_path, segment_size=1_000)
    for n in range(50):
        spool.append([hit(n)])
    assert len(list(tmp_path.iterdir())) > 5
    assert folder_status(tmp_path).waiting == 50
    assert numbers(everything(spool, 7)) == list(range(50))
    assert len(list(tmp_path.iterdir())) == 1
    spool.close()


def test_without_a_free_file_descriptor_the_open_file_takes_further_hits(tmp_path):
    spool = Spool(tmp_path, segment_size=500)
    spool.append([hit(0)])
    with no_free_descriptors():
        for n in range(1, 20):
            spool.append([hit(n)])
    assert len(list(tmp_path.iterdir())) == 1
    spool.append([hit(20)])
    assert len(list(tmp_path.iterdir())) == 2
    assert numbers(everything(spool)) == list(range(21))
    spool.close()


@contextmanager
def no_free_descriptors():
    """Let this process open no further files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        with suppress(OSError):
            while True:
                opened.append(os.dup(0))
        yield
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_one_long_hit_is_read_though_it_is_longer_than_a_piece(spool):
    spool.append([hit(1), hit(2, url="x" * (READ_SIZE + 10)), hit(3)])
    assert numbers(everything(spool)) == [1, 2, 3]


def test_what_a_living_process_has_is_left_to_it(spool):
    spool.append([hit()])
    other = Spool(spool.folder)
    assert other.adopt_orphans() == 0
    state = folder_status(spool.folder)
    assert (state.waiting, state.left_behind, state.files) == (1, 0, 1)
    assert 0 <= state.lag < 5


def test_what_was_left_behind_is_taken_over_by_one_and_from_where_it_was(spool):
    spool.append([hit(n) for n in range(6)])
    spool.settle_batch(spool.take_batch(2))
    spool.close()
    assert folder_status(spool.folder).left_behind == 1
    first, second = Spool(spool.folder), Spool(spool.folder)
    assert (first.adopt_orphans(), second.adopt_orphans()) == (1, 0)
    assert numbers(everything(first)) == [2, 3, 4, 5]
    assert not list(spool.folder.iterdir())


def test_a_torn_end_and_a_damaged_byte_are_told_from_the_rest(spool):
    spool.append([hit(n) for n in range(4)])
    spool.close()
    [path] = spool.folder.iterdir()
    content = bytearray(path.read_bytes())
    content[content.index(MARKER, HEADER_SIZE + 1) + 30] ^= 1  # in the second record
    path.write_bytes(content + MARKER + b"torn")
    later = Spool(spool.folder)
    later.adopt_orphans()
    items = everything(later)
    assert numbers(items) == [0, 2, 3]
    assert [type(item) for item in items].count(DamagedBytes) == 2
    assert not list(spool.folder.iterdir())


def test_a_file_that_was_emptied_when_the_process_died_has_nothing_in_it(spool):
    spool.append([hit()])
    segment = spool.take_batch(1).segment
    segment.mark_written(segment.end)
    os.truncate(segment.path, HEADER_SIZE)
    spool.close()
    later = Spool(spool.folder)
    later.adopt_orphans()
    assert later.take_batch(1) is None


def test_a_deleted_file_is_noticed_and_followed_by_another(spool):
    spool.append([hit(1)])
    assert not spool.replace_deleted_file()
    [path] = spool.folder.iterdir()
    path.unlink()
    spool.folder.rmdir()
    assert spool.replace_deleted_file()
    spool.append([hit(2)])
    assert numbers(everything(spool)) == [1, 2]


def test_a_failed_append_leaves_the_file_as_it_was(spool, monkeypatch):
    spool.append([hit(1)])
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, data[: len(data) // 2], at))
    with pytest.raises(OSError, match="only some"):
        spool.append([hit(2)])
    monkeypatch.undo()
    spool.append([hit(3)])
    assert numbers(everything(spool)) == [1, 3]


def test_threads_append_side_by_side(tmp_path):
    spool = Spool(tmp_path, segment_size=20_000)

    def work(start):
        for n in range(start, start + 250):
            spool.append([hit(n)])

    threads = [threading.Thread(target=work, args=(n * 250,)) for n in range(8)]
    for thread in threads:
        thread.start()
    found = []
    while any(thread.is_alive() for thread in threads):
        found += everything(spool, 50)
    found += everything(spool)
    assert sorted(numbers(found)) == list(range(2_000))
    spool.close()


def test_a_hit_that_comes_while_a_drained_file_is_put_away_is_kept(tmp_path, monkeypatch):
    spool = Spool(tmp_path, segment_size=2 * len(frame_record(encode_hit(hit(1)))) + 20)
    spool.append([hit(1)])
    real = spool._clear_or_remove

    def late(segment):
        monkeypatch.undo()
        spool.append([hit(2)])  # another thread, at the worst moment: behind the first,
        spool.append([hit(3)])  # and into the next file
        real(segment)

    monkeypatch.setattr(spool, "_clear_or_remove", late)
    spool.settle_batch(spool.take_batch(1))
    assert len(list(tmp_path.iterdir())) == 2
    assert numbers(everything(spool)) == [2, 3]
    spool.close()


APPENDER = """
import django, os, signal, sys
django.setup()
from pathlib import Path
from tracking.hits import Hit
from tracking.pipeline.spool import Spool
spool = Spool(Path(sys.argv[1]))
for n in range(300):
    spool.append([Hit(kind="open", data={"n": n})])
    print(n, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_two_processes_that_are_killed_lose_nothing(tmp_path):
    environment = {
        **os.environ,
        "PYTHONPATH": str(documents.ROOT),
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", APPENDER, str(tmp_path)], stdout=subprocess.PIPE, env=environment
        )
        for _ in range(2)
    ]
    outputs = [process.communicate()[0].split() for process in processes]
    assert [len(output) for output in outputs] == [300, 300]
    assert folder_status(tmp_path).left_behind == 2
    spool = Spool(tmp_path, from_any_site=True)  # the database of the tests has another name
    assert spool.adopt_orphans() == 2
    assert sorted(numbers(everything(spool))) == sorted([*range(300)] * 2)


def test_a_child_leaves_the_files_to_its_parent(spool):
    spool.append([hit(1)])
    if (child := os.fork()) == 0:
        try:
            spool.reset()
            spool.append([hit(2)])
            os._exit(0 if spool.waiting == 1 and numbers(spool.take_batch(9).items) == [2] else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert spool.adopt_orphans() == 1  # what the child has left
    assert sorted(numbers(everything(spool))) == [1, 2]

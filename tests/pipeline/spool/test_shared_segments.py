"""Files to which one process appends while others write their hits."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tracking.hits import Hit
from tracking.pipeline.spool import Spool, decode_hit, folder_status, shared_segments
from tracking.pipeline.spool.shared_segments import SHARED, FollowedSegment, positions_locked
from tracking.pipeline.spool.site_identity import SiteIdentity

SITE = SiteIdentity(b"address.", (b"name of.",))
OTHER = SiteIdentity(b"another.", (b"of other",))


def hit(number):
    return Hit(kind="open", data={"n": number})


def numbers(batch):
    return [decode_hit(item.payload).data["n"] for item in batch.items]


def owner_in(folder, **options):
    spool = Spool(folder, site=SITE, **options)
    spool.hand_over()
    return spool


def writer_in(folder):
    spool = Spool(folder, site=SITE)
    spool.follow_others()
    spool.adopt_orphans()
    return spool


def all_of(spool, limit=100):
    found = []
    while batch := spool.take_batch(limit):
        found += numbers(batch)
        spool.settle_batch(batch)
    return found


def names(folder):
    return sorted(path.name for path in folder.glob("*.hits"))


def test_the_writer_reads_what_a_living_process_appends(tmp_path):
    owner, writer = owner_in(tmp_path), writer_in(tmp_path)
    assert names(tmp_path) == []
    for number in range(5):
        owner.append([hit(number)])
        writer.adopt_orphans()
        assert all_of(writer) == [number]
    [name] = names(tmp_path)
    assert name.endswith(SHARED)
    assert folder_status(tmp_path).waiting == 0
    # Nobody else takes it over, as long as its process lives.
    assert Spool(tmp_path, site=SITE).adopt_orphans() == 0
    owner.close()
    writer.adopt_orphans()
    assert names(tmp_path) == []
    writer.close()


def test_an_incomplete_record_waits_until_it_is_whole(tmp_path):
    owner, writer = owner_in(tmp_path), writer_in(tmp_path)
    owner.append([hit(1)])
    owner.append([hit(2)])
    [path] = tmp_path.glob("*.hits")
    whole = path.read_bytes()
    for cut in (1, 5, 30):
        os.truncate(path, len(whole) - cut)
        writer.adopt_orphans()
        assert all_of(writer) == ([1] if cut == 1 else [])
    with path.open("r+b") as file:
        file.seek(len(whole) - 40)
        file.write(whole[-40:])
    writer.adopt_orphans()
    assert all_of(writer) == [2]
    owner.close()
    writer.close()


def test_what_is_incomplete_when_its_process_dies_is_damaged(tmp_path):
    owner, writer = owner_in(tmp_path), writer_in(tmp_path)
    owner.append([hit(1)])
    owner.append([hit(2)])
    [path] = tmp_path.glob("*.hits")
    os.truncate(path, path.stat().st_size - 3)
    owner.reset()  # closes, as a death does
    writer.adopt_orphans()
    batch = writer.take_batch(9)
    assert [type(item).__name__ for item in batch.items] == ["Record", "DamagedBytes"]
    writer.settle_batch(batch)
    assert names(tmp_path) == []
    writer.close()


def test_a_stopped_writer_that_wakes_changes_nothing(tmp_path):
    owner, writer = owner_in(tmp_path), writer_in(tmp_path)
    for number in range(10):
        owner.append([hit(number)])
    writer.adopt_orphans()
    stopped = writer.take_batch(4)
    # The owner writes instead: first the batch that was begun, whatever its limit.
    batches = []
    while batch := owner.take_batch(3):
        batches.append(numbers(batch))
        owner.settle_batch(batch)
    assert batches == [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]
    writer.settle_batch(stopped)
    writer.adopt_orphans()
    assert writer.take_batch(4) is None
    owner.append([hit(10)])
    assert all_of(writer) == [10]
    owner.close()
    writer.close()


def test_a_file_that_rests_is_deleted_soon_and_hits_go_to_a_new_one(tmp_path):
    owner, writer = owner_in(tmp_path), writer_in(tmp_path)
    owner.append([hit(1)])
    assert owner.hand_over()
    assert len(names(tmp_path)) == 1  # not idle for a whole turn yet
    assert not owner.hand_over()
    writer.adopt_orphans()
    assert all_of(writer) == [1]
    assert names(tmp_path) == []
    owner.append([hit(2)])
    writer.adopt_orphans()
    assert all_of(writer) == [2]
    owner.hand_over()
    assert not owner.hand_over()
    assert names(tmp_path) == []
    owner.close()
    writer.close()


def test_files_from_before_are_left_to_the_writer(tmp_path):
    spool = Spool(tmp_path, site=SITE)
    spool.append([hit(1)])
    [private] = names(tmp_path)
    assert not private.endswith(SHARED)
    writer = writer_in(tmp_path)
    assert writer.take_batch(9) is None  # it may be one of a process that knows no writer
    spool.hand_over()
    assert spool.waiting == 0
    spool.append([hit(2)])
    writer.adopt_orphans()
    assert sorted(all_of(writer)) == [1, 2]
    assert private not in names(tmp_path)
    spool.close()
    writer.close()


def test_a_large_file_is_followed_by_another(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_segments.SharedSegment, "max_size", 400)
    owner, writer = owner_in(tmp_path), writer_in(tmp_path)
    for number in range(20):
        owner.append([hit(number)])
    assert len(names(tmp_path)) > 5
    owner.hand_over()
    writer.adopt_orphans()
    assert sorted(all_of(writer, 1)) == list(range(20))
    assert len(names(tmp_path)) == 1
    owner.close()
    writer.close()


def test_no_file_has_to_wait_for_a_busy_one(tmp_path):
    busy, quiet, writer = owner_in(tmp_path), owner_in(tmp_path), writer_in(tmp_path)
    for number in range(10):
        busy.append([hit(number)])
    quiet.append([hit(99)])
    writer.adopt_orphans()
    found = []
    for number in range(100, 103):  # what is appended during a round
        batch = writer.take_batch(2)
        found += numbers(batch)
        busy.append([hit(number)])
        writer.settle_batch(batch)
    assert 99 in found
    found += all_of(writer, 2)
    writer.adopt_orphans()  # the next round
    assert sorted(found + all_of(writer, 2)) == [*range(10), 99, 100, 101, 102]
    for spool in (busy, quiet, writer):
        spool.close()


def test_files_of_another_site_are_left_alone(tmp_path, caplog):
    other = Spool(tmp_path, site=OTHER)
    other.hand_over()
    other.append([hit(1)])
    writer = writer_in(tmp_path)
    assert writer.take_batch(9) is None
    assert "holds hits of another site" in caplog.text
    other.close()
    writer.close()


def test_a_damaged_header_is_repaired_by_the_next_position(tmp_path):
    owner, writer = owner_in(tmp_path), writer_in(tmp_path)
    owner.append([hit(1)])
    writer.adopt_orphans()
    [path] = tmp_path.glob("*.hits")
    with path.open("r+b") as file:
        file.write(b"\xff" * 96)
    assert all_of(writer) == [1]
    assert folder_status(tmp_path).unreadable == 0
    assert owner.is_all_written
    owner.close()
    writer.close()


def test_a_header_that_nobody_can_read_is_kept_when_its_process_has_died(tmp_path):
    owner = owner_in(tmp_path)
    owner.append([hit(1)])
    [path] = tmp_path.glob("*.hits")
    with path.open("r+b") as file:
        file.write(b"\xff" * 96)
    writer = writer_in(tmp_path)
    assert path.exists()
    owner.reset()
    writer.adopt_orphans()
    assert [one.name for one in tmp_path.glob("*.unknown")] == [f"{path.name}.unknown"]
    writer.close()


def test_a_disk_that_refuses_takes_no_whole_record_back(tmp_path, monkeypatch):
    owner, writer = owner_in(tmp_path), writer_in(tmp_path)
    owner.append([hit(0)])
    real = os.pwrite
    calls = []

    def full_after_one(descriptor, data, position):
        calls.append(position)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(descriptor, data, position)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full_after_one)
        with pytest.raises(OSError, match="No space"):
            owner.append([hit(1), hit(2)])
    writer.adopt_orphans()
    assert all_of(writer) == [0, 1]
    owner.append([hit(3)])
    writer.adopt_orphans()
    assert all_of(writer) == [3]
    owner.close()
    writer.close()


def test_the_lock_of_positions_is_not_waited_for_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_segments, "_PATIENCE", 0.05)
    with positions_locked(tmp_path):
        with pytest.raises(BlockingIOError):
            with positions_locked(tmp_path):
                pass
    with positions_locked(tmp_path):
        pass


def test_a_followed_file_is_not_kept_locked(tmp_path):
    owner = owner_in(tmp_path)
    owner.append([hit(1)])
    [path] = tmp_path.glob("*.hits")
    followed = FollowedSegment.follow(path, SITE)
    followed.check_owner()
    assert followed.is_growing
    owner.reset()
    followed.check_owner()
    assert not followed.is_growing
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    followed.close()


class TwoWriters(RuleBasedStateMachine):
    """A process that appends and may write, and a writer process that may stop at any moment."""

    def __init__(self):
        super().__init__()
        self.appended = 0
        self.batches = {}
        self.begun = {"owner": None, "writer": None}
        self.spools = {}

    @initialize()
    def start(self):
        self.folder = Path(tempfile.mkdtemp())
        self.spools = {"owner": owner_in(self.folder), "writer": writer_in(self.folder)}

    @rule(number=st.integers(1, 5))
    def append(self, number):
        for _ in range(number):
            self.spools["owner"].append([hit(self.appended)])
            self.appended += 1

    @rule(who=st.sampled_from(["owner", "writer"]), limit=st.integers(1, 4))
    def take(self, who, limit):
        if who == "writer":
            self.spools[who].adopt_orphans()
        batch = self.spools[who].take_batch(limit)
        if batch is not None:
            self.begun[who] = batch
            self.write(numbers(batch))

    def write(self, found):
        """Write a batch; one whose first hit is known must be the same, for its receipt."""
        assert self.batches.setdefault(found[0], found) == found

    @rule(who=st.sampled_from(["owner", "writer"]))
    def settle(self, who):
        if self.begun[who] is not None:
            self.spools[who].settle_batch(self.begun[who])
            self.begun[who] = None

    @rule()
    def hand_over(self):
        if self.begun["owner"] is None:
            self.spools["owner"].hand_over()

    @rule()
    def stop_sharing(self):
        self.spools["owner"].shares = False

    @invariant()
    def no_hit_is_in_two_batches(self):
        found = [number for batch in self.batches.values() for number in batch]
        assert len(found) == len(set(found))

    def teardown(self):
        if not self.spools:
            return
        if self.begun["owner"] is None:
            self.spools["owner"].hand_over()
        for who in ("owner", "writer"):
            self.settle(who)
        self.spools["owner"].close()
        writer = self.spools["writer"]
        writer.adopt_orphans()
        while batch := writer.take_batch(3):
            self.write(numbers(batch))
            writer.settle_batch(batch)
            writer.adopt_orphans()
        assert sorted(n for batch in self.batches.values() for n in batch) == list(
            range(self.appended)
        )
        assert names(self.folder) == []
        writer.close()
        shutil.rmtree(self.folder)


TestTwoWriters = TwoWriters.TestCase

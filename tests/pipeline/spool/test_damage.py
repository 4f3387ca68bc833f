"""Damaged and cut files: what is whole in them is written, and nothing is deleted unread."""

import logging
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.buffered import FakeTable
from tests.support.spooled_files import (
    as_version_2,
    hit,
    make_old,
    save_hits,
    set_aside,
    spans,
    write_all,
)
from tracking.pipeline.drain import drain, replay
from tracking.pipeline.spool import Spool, folder_status, this_site
from tracking.pipeline.spool.header import HEADER_SIZE
from tracking.pipeline.spool.records import MARKER
from tracking.pipeline.spool.segments import SUFFIX, UNKNOWN


@pytest.fixture
def table(monkeypatch):
    return FakeTable.instead_of_the_database(monkeypatch)


@pytest.fixture
def spoiled(tmp_path):
    """Let a file of ten hits, two of which are written, take another content."""
    sent = [hit(number) for number in range(10)]
    path = save_hits(tmp_path, sent, written=2, batch=3)

    def spoil(change):
        path.write_bytes(change(path.read_bytes()))
        make_old(path)
        return sent

    spoil.path, spoil.hits = path, sent
    return spoil


def numbers(hits):
    return sorted({one.data["n"] for one in hits})


def flip(content, bit):
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def all_bytes(folder):
    """Return what the files of a folder hold, and what was set aside as records."""
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return b"".join([*files, *set_aside(folder)])


some_hits = st.lists(
    st.builds(
        hit,
        st.integers(0, 99),
        url=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
        user_agent=st.sampled_from(["", "\xc1HIT", "Mozilla/5.0", "TRKSPOL3"]),
    ),
    min_size=1,
    max_size=6,
)


@given(some_hits, st.data())
def test_one_flipped_bit_costs_at_most_the_hit_it_is_in(sent, data):
    with tempfile.TemporaryDirectory() as name:
        written = data.draw(st.integers(0, len(sent)))
        path = save_hits(Path(name), sent, written, data.draw(st.integers(0, len(sent))))
        if not path.exists():  # all were written
            return
        content = path.read_bytes()
        bit = data.draw(st.integers(0, len(content) * 8 - 1) | st.integers(0, HEADER_SIZE * 8 - 1))
        path.write_bytes(flip(content, bit))
        hurt = [n for n, span in enumerate(spans(content, sent)) if bit // 8 in span]
        found = [one.id for one in write_all(Path(name))]
        intact = [one.id for n, one in enumerate(sent) if n not in hurt]
        # Those written before are written again if the position after them is doubtful.
        assert found in (
            intact,
            [key for key in intact if key not in {o.id for o in sent[:written]}],
        )
        for span in (spans(content, sent)[n] for n in hurt if n >= written):
            assert flip(content, bit)[span.start : span.stop] in all_bytes(Path(name))


@given(some_hits, st.data())
def test_a_cut_costs_the_hits_that_it_touches(sent, data):
    with tempfile.TemporaryDirectory() as name:
        written = data.draw(st.integers(0, len(sent)))
        path = save_hits(Path(name), sent, written, data.draw(st.integers(0, len(sent))))
        if not path.exists():
            return
        content = path.read_bytes()
        if data.draw(st.booleans()):
            content = as_version_2(content)
        length = data.draw(st.integers(0, len(content) - 1))
        path.write_bytes(content[:length])
        make_old(path)
        start = 24 if content[5:6] == b"\0" else HEADER_SIZE
        ends = [span.stop - HEADER_SIZE + start for span in spans(save_content(sent), sent)]
        found = write_all(Path(name))
        intact = {one.id for n, one in enumerate(sent) if n >= written and ends[n] <= length}
        assert intact <= {one.id for one in found}
        assert len(found) == len({one.id for one in found})
        torn = content[max([start, *(end for end in ends if end <= length)]) : length]
        assert torn in all_bytes(Path(name))


def save_content(sent):
    with tempfile.TemporaryDirectory() as name:
        return save_hits(Path(name), sent).read_bytes()


def test_each_flipped_bit_of_the_header(spoiled, tmp_path):
    whole = spoiled.path.read_bytes()
    for bit in range(HEADER_SIZE * 8):
        spoiled.path.write_bytes(flip(whole, bit))
        assert numbers(write_all(tmp_path)) == list(range(2, 10))


def test_each_flipped_bit_of_the_header_of_version_2(spoiled, tmp_path, table):
    """It has no checksum. What it begins with decides whether a person has to look at it."""
    whole = as_version_2(spoiled.path.read_bytes())
    for bit in range(24 * 8):
        spoiled.path.write_bytes(flip(whole, bit))
        make_old(spoiled.path)
        table.rows = {}
        drain(tmp_path)
        assert folder_status(tmp_path).unreadable == (bit < 64)
        replay(tmp_path)
        assert set(range(2, 10)) <= set(table.numbers), bit
        assert folder_status(tmp_path)[:1] == (0,)


@pytest.mark.parametrize("change", [-30, 30])
def test_bytes_that_were_inserted_or_deleted_shift_no_hit_out_of_sight(spoiled, tmp_path, change):
    """The positions in the header point into records then."""
    at = HEADER_SIZE + 50  # in the first hit
    spoiled(lambda content: content[:at] + bytes(max(change, 0)) + content[at + max(-change, 0) :])
    assert numbers(write_all(tmp_path)) == list(range(1, 10))


def test_a_file_of_version_2_is_read_from_where_it_was(spoiled, tmp_path):
    spoiled(as_version_2)
    state = folder_status(tmp_path, this_site())
    assert (state.waiting, state.left_behind, state.unreadable, state.other_sites) == (8, 1, 0, 0)
    assert [one.data["n"] for one in write_all(tmp_path)] == list(range(2, 10))
    assert not spoiled.path.exists()


def test_a_batch_of_version_2_is_the_same_batch(spoiled, tmp_path):
    spoiled(as_version_2)
    spool = Spool(tmp_path)
    spool.adopt_orphans()
    assert len(spool.take_batch(1_000).items) == 3
    spool.close()
    spool = Spool(tmp_path)  # what the first has saved, the next can read
    spool.adopt_orphans()
    assert len(spool.take_batch(1_000).items) == 3
    spool.close()


def test_what_an_earlier_version_has_renamed_is_read(spoiled, tmp_path):
    """During a deployment, processes of the earlier version take our files for unknown ones."""
    spoiled.path.rename(spoiled.path.with_name(spoiled.path.name + UNKNOWN))
    assert folder_status(tmp_path).waiting == 8
    assert numbers(write_all(tmp_path)) == list(range(2, 10))
    assert folder_status(tmp_path).unreadable == 0


def test_a_cut_file_is_reported_and_what_is_left_of_it_is_written(spoiled, tmp_path, caplog):
    spoiled(lambda content: content[: spans(content, spoiled.hits)[0].stop + 5])
    # The first hit was written before. To write it again does no harm.
    assert numbers(write_all(tmp_path)) == [0]
    assert "bytes are missing at the end of" in caplog.text
    assert folder_status(tmp_path).rejected == 2  # the note, and the torn record
    assert sorted(record[:4] for record in set_aside(tmp_path)) == [b"", MARKER]
    caplog.clear()
    assert write_all(tmp_path) == []
    assert not caplog.text


def test_a_file_that_was_cut_to_its_header_while_it_was_emptied_is_not_damaged(spoiled, tmp_path):
    spoiled(lambda content: content[:HEADER_SIZE])
    assert write_all(tmp_path) == []
    assert not list(tmp_path.glob(f"*{SUFFIX}*"))
    assert folder_status(tmp_path).rejected == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"",
        lambda content: content[:1],
        lambda content: content[: HEADER_SIZE - 1],
        lambda content: bytes(HEADER_SIZE) + content[HEADER_SIZE:],
        lambda content: b"something else altogether" * 9,
        lambda content: content.replace(b"TRKSPOL3", b"TRKSPOL4"),
        lambda content: as_version_2(content)[:23],
    ],
)
def test_a_file_that_cannot_be_read_is_kept_and_logged_once(spoiled, tmp_path, caplog, change):
    spoiled(change)
    content = spoiled.path.read_bytes()
    for _ in range(3):
        assert write_all(tmp_path) == []
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    [path] = tmp_path.glob("*.hits*")
    assert path.name == spoiled.path.name + UNKNOWN
    assert path.read_bytes() == content
    assert folder_status(tmp_path).unreadable == 1


def test_an_empty_file_may_be_one_whose_header_is_not_written_yet(spoiled, tmp_path, caplog):
    spoiled.path.write_bytes(b"")
    assert write_all(tmp_path) == []
    assert spoiled.path.exists()
    assert folder_status(tmp_path).unreadable == 0
    assert not caplog.text


def test_a_file_that_cannot_be_opened_holds_up_no_other(tmp_path, caplog):
    (tmp_path / "loop.hits").symlink_to(tmp_path / "loop.hits")
    (tmp_path / "folder.hits").mkdir()
    os.mkfifo(tmp_path / "pipe.hits")
    save_hits(tmp_path, [hit(7)])
    assert folder_status(tmp_path).waiting == 1
    assert numbers(write_all(tmp_path)) == [7]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_a_file_of_another_user_is_reported_and_holds_up_no_other(caplog):
    with tempfile.TemporaryDirectory() as name:  # pytest's own is closed to other users
        Path(name).chmod(0o711)
        spool = Path(name) / "spool"
        save_hits(spool, [hit(1)])
        os.chown(spool, 65534, 65534)
        os.seteuid(65534)
        try:
            save_hits(spool, [hit(2)])
            assert [numbers(write_all(spool)) for _ in range(2)] == [[2], []]
            assert folder_status(spool).unreadable == 1
        finally:
            os.seteuid(0)
    assert caplog.text.count("Permission denied") == 2  # once in each process


def test_zeros_that_a_crash_of_the_machine_has_left_are_reported_and_not_stored(
    spoiled, tmp_path, caplog
):
    spoiled(lambda content: content + bytes(10_000))
    assert numbers(write_all(tmp_path)) == list(range(2, 10))
    assert "10000 bytes of" in caplog.text
    assert set_aside(tmp_path) == []


def test_drafts_of_processes_that_died_are_deleted(tmp_path):
    fresh, stale = tmp_path / "a.draft", tmp_path / "b.draft"
    for path in (fresh, stale):
        path.write_bytes(b"")
    os.utime(stale, (1, 1))
    assert write_all(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["a.draft"]

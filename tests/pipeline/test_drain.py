"""Writing by hand what was set aside, and what cannot be read."""

import json

import pytest

from tests.support.buffered import FakeTable
from tests.support.spooled_files import hit, save_hits, set_aside
from tracking.pipeline.drain import drain, replay
from tracking.pipeline.spool import (
    Rejected,
    SiteIdentity,
    encode_hit,
    folder_status,
    save_rejected,
)
from tracking.pipeline.spool.header import HEADER_SIZE
from tracking.pipeline.spool.segments import UNKNOWN

OTHER = SiteIdentity.of("postgresql", {"NAME": "blog"}, ["x"])


@pytest.fixture
def table(monkeypatch):
    return FakeTable.instead_of_the_database(monkeypatch)


def spoil_header(path):
    path.write_bytes(bytes(HEADER_SIZE) + path.read_bytes()[HEADER_SIZE:])


def test_hits_in_a_file_that_cannot_be_read_are_replayed(tmp_path, table):
    path = save_hits(tmp_path, [hit(n) for n in range(5)])
    spoil_header(path)
    assert drain(tmp_path).written == 0
    content = path.with_name(path.name + UNKNOWN).read_bytes()
    result = replay(tmp_path)
    assert (result.files, result.written, result.unreadable) == (1, 5, 0)
    assert table.numbers == list(range(5))
    state = folder_status(tmp_path)
    assert (state.waiting, state.unreadable, state.rejected) == (0, 0, 0)
    [kept] = (tmp_path / "rejected").iterdir()  # until somebody deletes it
    assert kept.read_bytes() == content
    assert replay(tmp_path).files == 0


def test_a_file_that_no_process_has_looked_at_yet_is_replayed_too(tmp_path, table):
    spoil_header(save_hits(tmp_path, [hit(1)]))
    assert replay(tmp_path).written == 1


def test_a_file_without_hits_stays(tmp_path, table):
    (tmp_path / "a.hits").write_bytes(b"something else altogether" * 100_000)
    result = replay(tmp_path)
    assert (result.files, result.unreadable) == (0, 1)
    assert (tmp_path / "a.hits").exists()


def test_a_file_of_a_later_version_is_left_to_it(tmp_path, table):
    path = save_hits(tmp_path, [hit(1)])
    path.write_bytes(path.read_bytes().replace(b"TRKSPOL3", b"TRKSPOL4"))
    result = replay(tmp_path)
    assert (result.written, result.unreadable) == (0, 1)
    assert path.exists()


def test_a_file_in_use_is_not_replayed(tmp_path, table):
    save_hits(tmp_path, [hit(1)])
    assert replay(tmp_path).files == 0  # for drain
    assert drain(tmp_path).written == 1


def test_a_damaged_line_of_rejected_hits_costs_only_itself(tmp_path, table):
    save_rejected(tmp_path, [Rejected(encode_hit(hit(n)), "too odd") for n in range(4)])
    [path] = (tmp_path / "rejected").iterdir()
    lines = path.read_bytes().splitlines()
    changed = json.loads(lines[1])
    middle = len(changed["record"]) // 2
    letter = "B" if changed["record"][middle] == "A" else "A"
    changed["record"] = changed["record"][:middle] + letter + changed["record"][middle + 1 :]
    damaged = [b"{" + lines[0], json.dumps(changed).encode(), b"7"]
    path.write_bytes(b"\n".join([*damaged, *lines[2:]]))
    assert replay(tmp_path).written == 2
    assert table.numbers == [2, 3]
    assert set_aside(tmp_path) == [line + b"\n" for line in damaged]


def test_hits_of_another_site_are_written_when_asked_for(tmp_path, table):
    save_hits(tmp_path, [hit(1)], site=OTHER)
    assert drain(tmp_path).written == replay(tmp_path).written == 0
    assert drain(tmp_path, from_any_site=True).written == 1

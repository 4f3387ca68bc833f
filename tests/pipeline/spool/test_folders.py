"""Folders of the spool."""

import json

import pytest

from tracking.hits import Hit
from tracking.pipeline.spool import (
    Spool,
    decode_hit,
    encode_hit,
    folder_status,
    make_folder,
    save_rejected,
)
from tracking.pipeline.spool.rejected import Rejected, open_rejected


def hit(number=0, **values):
    return Hit(kind="open", **{"data": {"n": number}, **values})


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / "spool")
    yield spool
    spool.close()


def test_the_folder_is_for_nobody_else(spool):
    spool.append([hit()])
    assert spool.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in spool.folder.iterdir()} == {0o600}


def test_what_is_set_aside_has_its_reason_and_can_be_read(tmp_path):
    assert folder_status(tmp_path).rejected == 0
    save_rejected(tmp_path, [])
    save_rejected(tmp_path, [Rejected(encode_hit(hit(7)), "too odd"), Rejected(b"\xff", "damaged")])
    [path] = (tmp_path / "rejected").iterdir()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["reason"] for line in lines] == ["too odd", "damaged"]
    assert lines[0]["hit"]["data"] == {"n": 7}
    assert lines[1]["hit"] is None
    assert folder_status(tmp_path).rejected == 2
    with open_rejected(tmp_path) as files, open_rejected(tmp_path) as others:
        [(found, refused)] = [next(files)]
        assert list(others) == []  # each file is looked at by one
        assert found == path
        assert decode_hit(refused[0].raw) == decode_hit(encode_hit(decode_hit(refused[0].raw)))


def test_a_folder_that_others_may_have_made_is_not_trusted(tmp_path, settings):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file")
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(PermissionError, match="all users"):
        make_folder(open_to_all)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="link"):
        make_folder(link)
    settings.TRACKING_SPOOL = str(link)
    make_folder(link)

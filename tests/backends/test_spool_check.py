"""The system check of the folder of the spool."""

import os
import tempfile
from pathlib import Path

import pytest
from django.core.checks import run_checks

from tests.support.disks import small_disk
from tests.support.spooled_files import hit, save_hits
from tracking.pipeline.spool import SiteIdentity, make_folder

BACKENDS = [
    "tracking.backends.buffered.BufferedBackend",
    "tracking.backends.immediate.ImmediateBackend",
]

pytestmark = pytest.mark.django_db  # some of the checks that Django brings look at it


@pytest.fixture(params=BACKENDS)
def check(request, settings):
    """Return the problems of a folder, whatever the backend is."""
    settings.TRACKING_BACKEND = request.param

    def check(folder):
        settings.TRACKING_SPOOL = str(folder)
        return [(one.id, one.msg) for one in run_checks() if "tracking" in str(one.id)]

    return check


@pytest.fixture
def other_user():
    """Become another user, with a folder that both may enter."""
    if os.geteuid() != 0:
        pytest.skip("needs another user")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        try:
            yield Path(name)
        finally:
            os.seteuid(0)


def test_a_folder_is_fine_before_and_after_it_is_made(check, tmp_path):
    folder = tmp_path / "a" / "b"
    assert check(folder) == []
    assert not list(tmp_path.iterdir())
    make_folder(folder)
    assert check(folder) == []
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("file", "is not a folder"),
        ("file/sub", "cannot be made: Not a directory"),
        ("open", "can be written by all users"),
        ("loop", "cannot be written to: Too many levels of symbolic links"),
        ("/proc/self/x", "cannot be made: No such file or directory"),
    ],
)
def test_a_folder_that_cannot_be_used(check, tmp_path, place, reason):
    (tmp_path / "file").touch()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    [(number, message)] = check(tmp_path / place)
    assert number == "tracking.E017"
    assert message.endswith(f"{reason}.")


def test_a_relative_folder(check):
    [(number, message)] = check("spool")
    assert (number, message) == ("tracking.E017", "TRACKING_SPOOL: spool is not an absolute path.")


@pytest.mark.parametrize("place", ["", "sub"])
def test_a_disk_that_is_full(check, tmp_path, place):
    with small_disk(tmp_path / "disk"):
        with (tmp_path / "disk/filler").open("wb", buffering=0) as filler:
            while True:
                try:
                    filler.write(b"x" * 4_096)
                except OSError:
                    break
        [(number, message)] = check(tmp_path / "disk" / place)
        assert (number, "No space left on device" in message) == ("tracking.E017", True)


def test_a_disk_without_room_for_another_file(check, tmp_path):
    with small_disk(tmp_path / "disk", "size=64k,mode=0700,nr_inodes=2"):
        (tmp_path / "disk/filler").touch()
        [(number, message)] = check(tmp_path / "disk")
        assert (number, "No space left on device" in message) == ("tracking.E017", True)


@pytest.mark.parametrize("place", ["", "sub"])
def test_a_disk_that_is_read_only(check, tmp_path, place):
    with small_disk(tmp_path / "disk", "size=64k,mode=0700,ro"):
        [(number, message)] = check(tmp_path / "disk" / place)
        assert (number, "Read-only file system" in message) == ("tracking.E017", True)


@pytest.mark.parametrize(
    ("mode", "owner", "reason"),
    [
        (0o700, 0, "cannot be written to: Permission denied"),
        (0o755, 0, "cannot be written to: Permission denied"),
        (0o770, 65533, "belongs to another user"),
        (0o500, 65534, "cannot be written to: Permission denied"),
        (0o600, 65534, "cannot be written to: Permission denied"),
    ],
)
def test_a_folder_of_another_user(check, other_user, mode, owner, reason):
    folder = other_user / "spool"
    folder.mkdir()
    os.chown(folder, owner, 65534)
    folder.chmod(mode)
    os.seteuid(65534)
    [(number, message)] = check(folder)
    assert number == "tracking.E017"
    assert reason in message


def test_a_folder_with_hits_of_another_site(check, tmp_path):
    save_hits(tmp_path, [hit(1)], site=SiteIdentity.of("postgresql", {"NAME": "blog"}, ["x"]))
    [(number, message)] = check(tmp_path)
    assert number == "tracking.W016"
    assert str(tmp_path) in message

"""Where the folder of the spool is."""

import hmac
import os
from hashlib import sha256
from pathlib import Path

import pytest
from django.db import connection

from tests.support.spooled_files import hit, save_hits
from tracking.pipeline.spool import Spool, location
from tracking.pipeline.spool.location import (
    folders_of_other_users,
    former_folders,
    spool_folder,
    spool_location,
    vanishing_file_system,
)


@pytest.fixture(autouse=True)
def in_memory(settings, monkeypatch, tmp_path):
    """A site without a folder of its own, and temporary files that no other process has."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setattr(location, "_VAR_TMP", tmp_path / "var-tmp")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    for name in ("var-tmp", "tmp"):
        (tmp_path / name).mkdir()
    settings.TRACKING_SPOOL = ""
    return tmp_path


@pytest.fixture
def sqlite_file(monkeypatch, tmp_path):
    monkeypatch.setattr(connection, "vendor", "sqlite")
    monkeypatch.setattr(connection, "is_in_memory_db", lambda: False, raising=False)
    (tmp_path / "shared").mkdir()
    (tmp_path / "release").symlink_to(tmp_path / "shared")
    monkeypatch.setitem(connection.settings_dict, "NAME", str(tmp_path / "release/db.sqlite3"))
    return tmp_path / "shared/db.sqlite3"


def test_the_setting_decides(settings, monkeypatch, sqlite_file):
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/shop")
    settings.TRACKING_SPOOL = "/var/spool/site"
    assert spool_location() == (Path("/var/spool/site"), "by TRACKING_SPOOL", False)
    assert former_folders() == []


def test_then_the_state_directory_of_the_service(monkeypatch, sqlite_file):
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/shop:/var/lib/other")
    folder, reason, is_temporary = spool_location()
    assert (folder, is_temporary) == (Path("/var/lib/shop/tracking-spool"), False)
    assert reason == "in $STATE_DIRECTORY"


def test_then_a_folder_beside_the_database(sqlite_file):
    """In the folder of the file, not in that of a release which links to it."""
    folder, reason, is_temporary = spool_location()
    assert folder == sqlite_file.with_name("db.sqlite3-spool")
    assert (reason, is_temporary) == ("beside the SQLite database", False)


def test_then_a_folder_for_this_site_and_user_that_survives_a_start(settings, tmp_path):
    default = spool_folder()
    assert default.parent == tmp_path / "var-tmp"
    assert default.name.startswith(f"tracking-spool-{os.geteuid()}-")
    assert spool_location().is_temporary
    settings.SECRET_KEY = "another site"
    assert spool_folder() != default


def test_a_system_without_var_tmp_has_another_folder(monkeypatch, tmp_path):
    (tmp_path / "var-tmp").rmdir()
    assert spool_folder().parent == tmp_path / "tmp"


def test_the_default_folder_keeps_its_name(settings):
    """Another name would leave the hits of an earlier version where nobody writes them."""
    settings.SECRET_KEY = "a secret"
    database = settings.DATABASES["default"]
    names = "\0".join(str(database.get(key, "")) for key in ("ENGINE", "HOST", "PORT", "NAME"))
    key = sha256(b"tracking.spoola secret").digest()
    digest = hmac.new(key, names.encode(), "sha256")
    assert spool_folder().name.endswith("-" + digest.hexdigest()[:12])


def test_hits_in_former_folders_are_written(settings, tmp_path, monkeypatch):
    """Among temporary files, by an earlier version; under the secret before; before a service."""
    found = [tmp_path / "tmp" / spool_folder().name]
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY, ""]
    settings.SECRET_KEY = "a new secret"
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    found.append(tmp_path / "var-tmp" / found[0].name)
    assert former_folders() == []
    for number, folder in enumerate(found):
        save_hits(folder, [hit(number)])
    assert sorted(former_folders()) == sorted(found)
    spool = Spool(spool_folder(), find_former=former_folders)
    assert spool.adopt_orphans() == 2
    spool.close()


def test_a_former_folder_that_others_can_write_to_is_not_trusted(tmp_path):
    folder = tmp_path / "tmp" / spool_folder().name
    save_hits(folder, [hit(1)])
    folder.chmod(0o777)
    spool = Spool(spool_folder(), find_former=former_folders)
    assert spool.adopt_orphans() == 0


def test_a_file_system_that_vanishes_is_known(monkeypatch, tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "1 0 0:1 / / rw shared:1 - overlay overlay rw\n"
        "2 1 8:1 /lib /var/lib rw - ext4 /dev/sda1 rw\n"
        "3 1 8:1 /tmp/systemd-private-1-shop.service-x/tmp /var/tmp rw - ext4 /dev/sda1 rw\n"
        "4 1 0:2 / /tmp rw,nosuid shared:3 master:2 - tmpfs tmpfs rw,size=9k\n"
    )
    monkeypatch.setattr(location, "_MOUNTS", mounts)
    expected = {
        "/srv/spool": "overlay",
        "/var/lib/shop/spool": "",
        "/tmp/spool": "tmpfs",
        "/var/library": "overlay",
        "/var/tmp/x": "PrivateTmp",
    }
    assert {place: vanishing_file_system(Path(place)) for place in expected} == expected
    mounts.unlink()
    assert vanishing_file_system(Path("/tmp")) == ""


def test_spools_of_other_users_are_found(settings):
    own = spool_folder()
    other = own.with_name(own.name.replace(f"-{os.geteuid()}-", "-33-"))
    assert other != own
    for folder in (own, other, own.with_name("tracking-spool-33-0123456789ab")):
        folder.mkdir()
    assert folders_of_other_users() == [other]
    settings.TRACKING_SPOOL = str(own)
    assert folders_of_other_users() == []

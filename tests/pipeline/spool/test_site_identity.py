"""Which site a file of the spool belongs to."""

import uuid

import pytest

from tests.support.spooled_files import hit, save_hits, write_all
from tracking.pipeline.spool import SiteIdentity, folder_status, save_rejected, this_site
from tracking.pipeline.spool.in_flight import count_sent, save_copy, sent_batches
from tracking.pipeline.spool.rejected import Rejected, open_rejected

DATABASE = {"NAME": "shop", "HOST": "10.0.0.1", "PORT": 5432}


def site(*keys, vendor="postgresql", **changed):
    return SiteIdentity.of(vendor, {**DATABASE, **changed}, keys or ["a secret"])


def owns_each_other(one, other):
    assert one.owns(other.stamp) == other.owns(one.stamp)
    return one.owns(other.stamp)


@pytest.mark.parametrize(
    "other",
    [
        site(),
        site(PORT="5432"),
        site("another secret"),  # rotated without a fallback
        site(HOST="pooler", PORT=6432),
        site("new", "a secret", HOST="after a failover"),
        site(NAME="shop", OPTIONS={"options": "-c statement_timeout=5000"}),
    ],
)
def test_releases_and_processes_of_one_site_agree(other):
    ours = site()
    assert other.owns(ours.stamp)


@pytest.mark.parametrize(
    "other",
    [
        site(NAME="blog"),  # with the same secret, as copied settings have
        site("another secret", HOST="10.0.0.2"),
        site("another secret", PORT=5433),
        site(vendor="mysql"),
        site(OPTIONS={"options": "-c search_path=blog"}),
    ],
)
def test_sites_that_write_elsewhere_are_others(other):
    assert not owns_each_other(site(), other)


def test_an_old_release_leaves_files_of_a_new_secret_alone_and_the_new_one_takes_all():
    old, new = site("a", HOST="1"), site("b", "a", HOST="2")
    assert new.owns(old.stamp)
    assert not old.owns(new.stamp)


def test_a_link_to_the_database_is_the_database(tmp_path, monkeypatch):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/db.sqlite3").write_bytes(b"")
    for release in ("1", "2"):
        (tmp_path / release).mkdir()
        (tmp_path / release / "db.sqlite3").symlink_to(tmp_path / "shared/db.sqlite3")
    monkeypatch.chdir(tmp_path / "2")
    stamps = {
        SiteIdentity.of("sqlite", {"NAME": name}, ["x"]).stamp
        for name in (tmp_path / "1/db.sqlite3", str(tmp_path / "2/db.sqlite3"), "db.sqlite3")
    }
    assert len(stamps) == 1


def test_a_database_may_be_named_by_a_service():
    names = [
        SiteIdentity.of("postgresql", {"OPTIONS": {"service": service}}, ["x"]).names
        for service in ("a", "b")
    ]
    assert names[0] != names[1]


def test_the_running_site_is_recognised_by_database_and_secret(settings):
    before = this_site()
    settings.SECRET_KEY = "another secret"
    settings.SECRET_KEY_FALLBACKS = []
    after = this_site()
    assert (before.address == after.address, before.names == after.names) == (True, False)
    settings.SECRET_KEY_FALLBACKS = ["", "a secret that only the tests have"]
    assert before.names[0] in this_site().names


def test_two_sites_that_share_a_folder_take_their_own_hits(tmp_path, caplog):
    shop, blog = site(NAME="shop"), site(NAME="blog")
    for number in range(3):
        save_hits(tmp_path, [hit(number)], site=shop)
        save_hits(tmp_path, [hit(number + 10)], site=blog)
    state = folder_status(tmp_path, shop)
    assert (state.waiting, state.other_sites) == (3, 3)
    assert sorted(one.data["n"] for one in write_all(tmp_path, site=shop)) == [0, 1, 2]
    assert caplog.text.count("holds hits of another site") == 1
    assert folder_status(tmp_path, blog).waiting == 3
    assert sorted(one.data["n"] for one in write_all(tmp_path, from_any_site=True)) == [10, 11, 12]


def test_rejected_and_sent_hits_stay_with_their_site_too(tmp_path, settings):
    save_rejected(tmp_path, [Rejected(b"x", "too odd")])
    copy = save_copy(tmp_path, uuid.uuid4(), "message")
    ours, other = this_site(), site(NAME="blog")
    assert count_sent(tmp_path, ours).number == folder_status(tmp_path, ours).rejected == 1
    assert count_sent(tmp_path, other).number == folder_status(tmp_path, other).rejected == 0
    assert sent_batches(tmp_path, other) == []
    assert [one.path for one in sent_batches(tmp_path, ours)] == [copy.path]
    with open_rejected(tmp_path, other) as theirs, open_rejected(tmp_path, ours) as files:
        assert (len(list(theirs)), len(list(files))) == (0, 1)


def test_what_an_earlier_version_sent_or_rejected_is_everybody_s(tmp_path):
    (tmp_path / "sent").mkdir()
    (tmp_path / "rejected").mkdir()
    (tmp_path / f"sent/{7:015}.{1:032x}.1.sent").write_text("message")
    (tmp_path / "rejected/20260101T000000Z-0123456789abcdef.jsonl").write_text("{}\n")
    state = folder_status(tmp_path, site())
    assert (state.sent, state.rejected) == (1, 1)
    assert sent_batches(tmp_path, site())[0].sends == 1

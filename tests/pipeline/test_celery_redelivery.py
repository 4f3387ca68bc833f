"""Batches that were sent to workers are resent until they are written."""

import os
import time
import uuid

import pytest
from django.core.management import call_command
from django.db import OperationalError

from tracking.backends import get_backend
from tracking.health import report
from tracking.hits import Hit
from tracking.models import Beacon
from tracking.pipeline import celery_consumer, celery_messages
from tracking.pipeline.celery_redelivery import RedeliveryDelays, redeliver
from tracking.pipeline.spool import (
    Record,
    SiteIdentity,
    encode_hit,
    folder_status,
    in_flight,
    this_site,
)
from tracking.pipeline.spool.folder import delete_stale_drafts
from tracking.pipeline.write_batch import Unavailable
from tracking.recording import written_batches

pytestmark = pytest.mark.django_db

PATIENCE = RedeliveryDelays(overtaken=60, queued=3_600, max_sends=3)


class Post:
    """A folder of what was sent, and a broker that notes what it is given."""

    def __init__(self, folder):
        self.folder = folder
        self.published = []

    def send(self, ago, number=1, size=2):
        """Send a batch, so many seconds ago, for the so-manieth time."""
        items = [Record(encode_hit(Hit(kind="open")), 1.0) for _ in range(size)]
        message = celery_messages.encode_message(items)
        copy = in_flight.save_copy(self.folder, celery_messages.batch_key(items), message)
        moment = int((time.time() - ago) * 1_000)
        path = copy.path.with_name(f"{moment:015}.{copy.key.hex}.{number}.sent")
        copy.path.rename(path)
        return message

    def round(self, every=0):
        """Look around, and return what was sent again."""
        self.published.clear()
        redeliver(self.folder, self.published.append, PATIENCE, every)
        return list(self.published)

    @property
    def waiting(self):
        return [
            (sending.read_message(), sending.sends)
            for sending in in_flight.sent_batches(self.folder)
        ]


@pytest.fixture
def post(settings, tmp_path):
    settings.TRACKING_SPOOL = str(tmp_path / "spool")
    return Post(tmp_path / "spool")


def test_nothing_that_was_sent_is_nothing_to_do(post, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert post.round() == []
        assert not post.folder.exists()
        post.send(ago=0)
        post.folder.joinpath("sent").rename(post.folder / "moved")
        post.folder.joinpath("sent").mkdir()
        assert post.round() == []


def test_what_has_arrived_is_forgotten_by_one_query(post, django_assert_num_queries):
    messages = [post.send(ago=1) for _ in range(20)]
    for message in messages[:15]:
        celery_consumer.write_message(message)
    assert folder_status(post.folder).sent == 20
    with django_assert_num_queries(1):
        assert post.round() == []
    assert sorted(message for message, _ in post.waiting) == sorted(messages[15:])
    assert folder_status(post.folder).sent == 5


def test_what_was_overtaken_is_sent_again_and_what_may_be_queued_is_not(post):
    lost, later, queued = post.send(ago=70), post.send(ago=65), post.send(ago=61)
    assert post.round() == []  # the queue may be long
    celery_consumer.write_message(later)
    assert post.round() == [lost]
    assert sorted(post.waiting) == sorted([(lost, 2), (queued, 1)])
    assert post.round() == []


def test_who_was_overtaken_is_remembered_by_the_next_round(post):
    lost, later = post.send(ago=30), post.send(ago=29)
    celery_consumer.write_message(later)
    assert post.round() == []  # overtaken, and not for long enough
    [sending] = in_flight.sent_batches(post.folder)
    sending.path.rename(sending.path.with_name(f"{1:015}.{sending.key.hex}.1.sent"))
    assert post.round() == [lost]


def test_what_is_in_the_queue_for_very_long_is_sent_again(post):
    post.send(ago=3_500)
    old = post.send(ago=3_700)
    assert post.round() == [old]


@pytest.mark.parametrize(("ago", "number", "due"), [(100, 2, False), (130, 2, True), (70, 1, True)])
def test_each_further_sending_waits_twice_as_long(post, ago, number, due):
    message = post.send(ago=ago, number=number)
    celery_consumer.write_message(post.send(ago=1))
    assert post.round() == ([message] if due else [])


def test_one_that_was_sent_again_overtakes_nothing(post):
    again = post.send(ago=10, number=2)
    post.send(ago=70)
    celery_consumer.write_message(again)  # it may be the first sending of it that has arrived
    assert post.round() == []


def test_what_a_disk_has_damaged_stands_in_nobodys_way(post):
    post.send(ago=10**6)
    good = post.send(ago=10**6 - 5)
    damaged = in_flight.sent_batches(post.folder)[0]
    damaged.path.write_bytes(b"\xff\x00" * 10)
    assert good in post.round()
    while post.waiting:  # it comes to its end like any other
        for sending in in_flight.sent_batches(post.folder):
            name = f"{1:015}.{sending.key.hex}.{sending.sends}.sent"
            sending.path.rename(sending.path.with_name(name))
        post.round()
    assert folder_status(post.folder).rejected == 1
    assert Beacon.objects.count() == 2


@pytest.mark.parametrize("noted", [b"\0" * 32, b"nan", b"\xff", b"1e999"])
def test_a_note_of_the_latest_arrival_that_is_damaged_is_none(post, noted):
    message = post.send(ago=10**6)
    (post.folder / "sent" / "round").write_bytes(noted)
    assert post.round() == [message]


def test_a_round_says_in_one_line_what_is_sent_again(post, caplog):
    for _ in range(3):
        post.send(ago=10**6)
    post.send(ago=1)
    assert len(post.round()) == 3
    [record] = caplog.records
    assert "3 of 4" in record.getMessage()


def test_in_the_end_a_batch_is_written_without_a_worker(post):
    post.send(ago=10**6, number=3, size=4)
    assert post.round() == []
    assert Beacon.objects.count() == 4
    assert post.waiting == []


def test_a_database_that_cannot_say_changes_nothing(post, monkeypatch):
    def gone(keys):
        raise OperationalError("gone")

    post.send(ago=10**6)
    before = post.waiting
    monkeypatch.setattr(written_batches, "find_written", gone)
    with pytest.raises(OperationalError):
        post.round()
    assert post.waiting == before


def test_a_broker_that_is_away_changes_nothing(post):
    def away(message):
        raise Unavailable("the broker")

    post.send(ago=10**6)
    before = post.waiting
    with pytest.raises(Unavailable):
        redeliver(post.folder, away, PATIENCE, 0)
    assert post.waiting == before


def test_one_process_at_a_time_looks_around(post):
    post.send(ago=10**6)
    with in_flight.claim_round(post.folder, 0) as turn:
        assert turn is not None
        assert post.round() == []
    assert len(post.round()) == 1
    post.send(ago=10**6)
    assert post.round(every=60) == []  # somebody has just looked
    [round_file] = (post.folder / "sent").glob("round.*")
    os.utime(round_file, (time.time() + 900,) * 2)  # by a wrong clock
    assert len(post.round(every=60)) == 1


def test_a_batch_of_another_site_is_left_to_it(post):
    """Its workers write to another database than those of this site's broker."""
    other = SiteIdentity.of("postgresql", {"NAME": "blog"}, ["x"])
    post.send(ago=10**6)
    [path] = (post.folder / "sent").glob("*.sent")
    foreign = path.rename(path.with_suffix(f".{other.stamp.hex()}.sent"))
    assert post.round() == []
    call_command("tracking_drain", folder=post.folder)
    assert foreign.exists()
    foreign.rename(path.with_suffix(f".{this_site().stamp.hex()}.sent"))
    assert len(post.round()) == 1


def test_what_is_half_written_or_another_s_is_left_alone(post):
    post.send(ago=0)
    (post.folder / "sent" / "x.sent").write_text("?")
    (post.folder / "sent" / "ab.draft").write_text("half")
    assert len(post.waiting) == 1
    delete_stale_drafts(post.folder / "sent")
    assert (post.folder / "sent" / "ab.draft").exists()
    delete_stale_drafts(post.folder / "sent", older_than=-1)
    assert not (post.folder / "sent" / "ab.draft").exists()


def test_a_copy_is_for_nobody_else_and_what_the_disk_refuses_is_not_kept(post, monkeypatch):
    post.send(ago=0)
    [path] = (post.folder / "sent").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700

    def full(*arguments):
        raise OSError("No space left on device")

    monkeypatch.setattr("pathlib.Path.rename", full)
    with pytest.raises(OSError, match="space"):
        in_flight.save_copy(post.folder, uuid.uuid4(), "x")
    assert list((post.folder / "sent").iterdir()) == [path]


def test_draining_by_hand_writes_what_has_not_arrived(post, capsys):
    celery_consumer.write_message(post.send(ago=1, size=3))
    late = post.send(ago=1, size=4)
    call_command("tracking_drain")
    assert Beacon.objects.count() == 7
    assert post.waiting == []
    assert "hits written" in capsys.readouterr().out
    celery_consumer.write_or_give_up(late, 0)  # the worker gets it after all
    assert Beacon.objects.count() == 7


def test_batches_that_no_worker_writes_make_the_health_check_fail(post, settings):
    settings.TRACKING_BACKEND = "tracking.backends.celery.CeleryBackend"
    post.send(ago=30)
    post.send(ago=50, number=2)
    assert report(get_backend()).problems == []
    post.send(ago=90)
    found = report(get_backend())
    assert found.problems == ["no worker has written the batches that were sent"]
    assert 90 <= found.figures["sent_lag"] < 95

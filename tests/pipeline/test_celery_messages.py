"""Batches as Celery's messages."""

import base64
import zlib
from datetime import date

import pytest
from django.db import OperationalError

from tracking.hits import Hit
from tracking.models import Beacon
from tracking.pipeline import celery_consumer, celery_messages, write_batch
from tracking.pipeline.spool import DamagedBytes, Record, decode_hit, encode_hit, folder_status
from tracking.pipeline.write_batch import Unavailable

pytestmark = pytest.mark.usefixtures("celery")


@pytest.fixture
def spool(settings, tmp_path):
    settings.TRACKING_SPOOL = str(tmp_path / "spool")
    return tmp_path / "spool"


def hits(number):
    return [Hit(kind="open", data={"n": n, "born": date(2001, 2, 3)}) for n in range(number)]


def message(*sent):
    return celery_messages.encode_message(Record(encode_hit(hit), 1.0) for hit in sent)


def test_a_batch_comes_back_and_is_small():
    sent = hits(500)
    packed = message(*sent)
    assert [decode_hit(item.payload) for item in celery_messages.decode_message(packed)] == sent
    assert len(packed) < sum(len(encode_hit(hit)) for hit in sent) / 2
    assert packed.isascii()


def test_what_was_damaged_on_disk_goes_along():
    packed = celery_messages.encode_message(
        [DamagedBytes(b"torn"), Record(encode_hit(hits(1)[0]), 1.0)]
    )
    assert [type(item) for item in celery_messages.decode_message(packed)] == [DamagedBytes, Record]


@pytest.mark.django_db
def test_damage_is_set_aside_each_time(spool):
    for raw in (b"one", b"two"):
        celery_consumer.write_message(celery_messages.encode_message([DamagedBytes(raw)]))
    assert folder_status(spool).rejected == 2


@pytest.mark.django_db
def test_a_batch_is_written_once(spool):
    packed = message(*hits(3))
    celery_consumer.write_or_give_up(packed, 0)
    celery_consumer.write_or_give_up(packed, 1)
    assert Beacon.objects.count() == 3
    assert not spool.exists()


@pytest.mark.parametrize("text", ["?", "AAAA", base64.b64encode(zlib.compress(b"x")[:-1]).decode()])
def test_a_message_that_is_no_batch_is_set_aside(spool, text):
    celery_consumer.write_or_give_up(text, 0)
    assert folder_status(spool).rejected == 1


@pytest.mark.django_db
def test_a_database_that_is_away_is_tried_again_and_given_up_in_the_end(spool, monkeypatch):
    def gone(hits, receipt):
        raise OperationalError("gone")

    monkeypatch.setattr(write_batch.recording, "write_permitted", gone)
    packed = message(*hits(3))
    for attempt in range(celery_consumer.MAX_RETRIES):
        with pytest.raises(Unavailable):
            celery_consumer.write_or_give_up(packed, attempt)
    celery_consumer.write_or_give_up(packed, celery_consumer.MAX_RETRIES)
    assert folder_status(spool).rejected == 3
    spool.rename(spool.with_name("before"))
    spool.write_text("nothing can be set aside")
    with pytest.raises(Unavailable):
        celery_consumer.write_or_give_up(packed, celery_consumer.MAX_RETRIES)

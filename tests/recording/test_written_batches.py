"""Receipts: a batch that is delivered twice is written once."""

import uuid
from datetime import timedelta

import pytest
from django.db import DataError, IntegrityError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.support.concurrency import together
from tests.support.processes import Site
from tracking import recording
from tracking.hits import Hit, PageHit
from tracking.models import Beacon, Visit, Visitor, WrittenBatch
from tracking.pipeline import celery_consumer, celery_messages, write_batch
from tracking.pipeline.spool import DamagedBytes, Record, Spool, encode_hit, folder_status
from tracking.recording import written_batches

pytestmark = pytest.mark.django_db


def hits(number):
    return [Hit(kind="open", data={"n": n}) for n in range(number)]


def pages(number, visitor="v" * 32):
    return [
        PageHit(visitor=visitor, url=f"/{n}/", time=timezone.now() + timedelta(seconds=n))
        for n in range(number)
    ]


def records(sent):
    return [Record(encode_hit(hit), 1.0) for hit in sent]


@pytest.fixture
def spool(settings, tmp_path):
    settings.TRACKING_SPOOL = str(tmp_path / "spool")
    return tmp_path / "spool"


def test_every_database_takes_the_key_of_every_batch():
    keys = [written_batches.batch_key([b"%d" % n]) for n in range(1_000)]
    WrittenBatch.objects.bulk_create([WrittenBatch(id=key) for key in keys])
    assert written_batches.find_written(keys) == set(keys)


def test_a_batch_is_known_by_its_hits_in_their_order():
    payloads = [encode_hit(hit) for hit in hits(3)]
    assert written_batches.batch_key(payloads) == written_batches.batch_key(iter(payloads))
    others = [payloads[:2], payloads[::-1], [encode_hit(hit) for hit in hits(3)], []]
    keys = {written_batches.batch_key(other) for other in [payloads, *others]}
    assert len(keys) == 5
    assert {(key.version, key.variant) for key in keys} == {(4, uuid.RFC_4122)}


@pytest.mark.parametrize("sent", [hits(1), hits(3), pages(3), [*hits(2), *pages(2)]])
def test_rows_and_receipt_are_one_transaction(sent, monkeypatch):
    key = uuid.uuid4()
    recording.write(sent, key)
    assert written_batches.find_written([key, uuid.uuid4()]) == {key}
    counts = Beacon.objects.count(), Visit.objects.count()
    recording.write(sent, key)
    assert (Beacon.objects.count(), Visit.objects.count()) == counts
    assert WrittenBatch.objects.count() == 1


@pytest.mark.parametrize("sent", [[Hit(kind="k" * 300), Hit(kind="open")], pages(2)])
def test_a_batch_that_is_refused_has_no_receipt(sent, monkeypatch):
    def refuse(*arguments, **options):
        raise DataError("no")

    monkeypatch.setattr("tracking.recording.beacons.insert", refuse)
    monkeypatch.setattr("tracking.recording.visits._save_histories", refuse)
    with pytest.raises(DataError):
        recording.write(sent, uuid.uuid4())
    assert not WrittenBatch.objects.exists()


def test_a_batch_whose_rows_are_there_gets_its_receipt():
    sent, key = [*hits(3), *pages(2)], uuid.uuid4()
    recording.write(sent)
    recording.write(sent[:3], key)
    recording.write(sent, other := uuid.uuid4())
    assert written_batches.find_written([key, other]) == {key, other}
    assert Beacon.objects.count() == 3
    assert Visit.objects.get().page_views == 2


def test_a_receipt_costs_one_statement(django_assert_num_queries):
    with CaptureQueriesContext(connection) as without:
        recording.write(hits(3))
    with django_assert_num_queries(len(without) + 1):
        recording.write(hits(3), uuid.uuid4())


def test_a_row_that_is_refused_for_itself_is_not_taken_for_written(monkeypatch):
    def refuse(*arguments, **options):
        raise IntegrityError("a column that must not be null")

    monkeypatch.setattr("tracking.recording.beacons.insert", refuse)
    with pytest.raises(IntegrityError):
        recording.write(hits(2), uuid.uuid4())


# Pages that leave no row.


def test_pages_without_rows_are_counted_once_however_often_they_are_delivered(settings):
    settings.TRACKING_PAGE_VIEWS = False
    found = records([*hits(2), *pages(5)])
    write_batch.write_records(found)
    write_batch.write_records(found)
    assert Visitor.objects.get().page_views == Visit.objects.get().page_views == 5
    assert Beacon.objects.count() == 2
    assert WrittenBatch.objects.count() == 1


def test_no_receipt_where_rows_show_what_was_written(settings):
    write_batch.write_records(records([*hits(2), *pages(2)]))
    settings.TRACKING_PAGE_VIEWS = False
    write_batch.write_records(records(hits(2)))
    assert not WrittenBatch.objects.exists()


@pytest.mark.skipif(connection.vendor == "sqlite", reason="an in-memory database has one writer")
@pytest.mark.django_db(transaction=True)
def test_pages_without_rows_are_counted_once_by_workers_at_the_same_moment(settings):
    settings.TRACKING_PAGE_VIEWS = False
    found = records(pages(5))
    assert together(4, lambda: write_batch.write_records(found)) == []
    assert Visitor.objects.get().page_views == Visit.objects.get().page_views == 5


def test_who_comes_after_a_dead_process_delivers_the_same_batch(settings, spool):
    """Though more has come in since, and though its limit is another one."""
    settings.TRACKING_PAGE_VIEWS = False
    dead = Spool(spool)
    dead.append(pages(3))
    write_batch.write_records(dead.take_batch(100).items)
    dead.append(pages(4))
    dead.close()  # as the kernel does for who is killed before it could settle
    later = Spool(spool)
    assert later.adopt_orphans() == 1
    sizes = []
    while batch := later.take_batch(2):
        sizes.append(len(batch.items))
        write_batch.write_records(batch.items)
        later.settle_batch(batch)
    assert sizes == [3, 2, 2]
    assert Visitor.objects.get().page_views == 7


#: Dies where it hurts most: the rows are there, and the file does not know.
DYING = """
import django, os, signal
django.setup()
from tracking.backends import get_backend
from tracking.hits import PageHit
backend = get_backend()
backend.spool.settle_batch = lambda batch: os.kill(os.getpid(), signal.SIGKILL)
backend.send_many([PageHit(visitor="v" * 32, url="/") for _ in range(9)])
backend.flush()
"""


@pytest.mark.slow
def test_a_process_that_dies_between_its_rows_and_its_file_counts_pages_once(tmp_path):
    site = Site(tmp_path, "TRACKING_PAGE_VIEWS = False\n")
    process = site.start("-c", DYING)
    assert process.wait(20) == -9
    assert folder_status(site.spool).waiting == 9
    count = (
        "from tracking.models import Visit; print(sum(v.page_views for v in Visit.objects.all()))"
    )
    command = ("-c", f"import django; django.setup(); {count}")
    assert site.run(*command) == "9\n"
    site.run("-m", "django", "tracking_drain")
    assert site.run(*command) == "9\n"
    assert folder_status(site.spool).waiting == 0


# Messages.


def test_a_message_that_arrives_twice_is_written_once_and_asks_one_thing(spool):
    message = celery_messages.encode_message(records(hits(30)))
    assert celery_consumer.write_message(message).duplicate == 0
    with CaptureQueriesContext(connection) as queries:
        outcome = celery_consumer.write_message(message)
    assert (outcome.written, outcome.duplicate) == (30, 30)
    assert len(queries) == 1
    assert Beacon.objects.count() == 30


def test_what_is_refused_of_a_message_is_set_aside_once(spool):
    items = [*records(hits(3)), DamagedBytes(b"torn"), Record(b"?", 1.0)]
    message = celery_messages.encode_message(items)
    for _ in range(2):
        celery_consumer.write_or_give_up(message, 0)
    assert Beacon.objects.count() == 3
    assert folder_status(spool).rejected == 2
    assert written_batches.find_written([celery_messages.batch_key(items)])


def test_a_message_of_nothing_but_damage_gets_its_receipt(spool):
    items = [DamagedBytes(b"torn")]
    for _ in range(2):
        celery_consumer.write_or_give_up(celery_messages.encode_message(items), 0)
    assert folder_status(spool).rejected == 1


def test_a_database_that_cannot_say_keeps_the_message(spool, monkeypatch):
    def gone(*arguments, **options):
        raise RuntimeError("gone")

    message = celery_messages.encode_message([*records(hits(1)), DamagedBytes(b"torn")])
    for name in ("find_written", "ensure_marked"):
        with monkeypatch.context() as patch:
            patch.setattr(written_batches, name, gone)
            with pytest.raises(write_batch.Unavailable):
                celery_consumer.write_or_give_up(message, 0)

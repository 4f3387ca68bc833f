"""Batches through Celery: real brokers, real workers, and what is killed on the way."""

import base64
import logging
import os
import random
import signal
import time
import zlib
from contextlib import contextmanager
from datetime import date

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError

from tests.support import stops
from tests.support.brokers import BROKERS
from tests.support.processes import Site, wait_until
from tests.support.services import missing
from tests.support.workers import APP, kill, log_of, worker
from tracking.hits import Hit
from tracking.models import Beacon
from tracking.pipeline import celery_messages, write_batch
from tracking.pipeline.spool import Damage, Record, Spool, decode, encode, in_flight, look
from tracking.pipeline.write_batch import Unavailable


@pytest.fixture(autouse=True)
def celery():
    """Celery, or no test. (With its fixup for Django the first app would stay everybody's.)"""
    try:
        import celery
    except ImportError:
        missing("Celery")
    return celery


@pytest.fixture
def spool(settings, tmp_path):
    settings.TRACKING_SPOOL = str(tmp_path / "spool")
    return tmp_path / "spool"


def hits(number):
    return [Hit(kind="open", data={"n": n, "born": date(2001, 2, 3)}) for n in range(number)]


def message(*sent):
    return celery_messages.packed(Record(encode(hit), 1.0) for hit in sent)


# Messages.


def test_a_batch_comes_back_and_is_small():
    sent = hits(500)
    packed = message(*sent)
    assert [decode(item.payload) for item in celery_messages.unpacked(packed)] == sent
    assert len(packed) < sum(len(encode(hit)) for hit in sent) / 2
    assert packed.isascii()


def test_what_was_damaged_on_disk_goes_along():
    packed = celery_messages.packed([Damage(b"torn"), Record(encode(hits(1)[0]), 1.0)])
    assert [type(item) for item in celery_messages.unpacked(packed)] == [Damage, Record]


@pytest.mark.django_db
def test_damage_is_set_aside_each_time(spool):
    for raw in (b"one", b"two"):
        celery_messages.write(celery_messages.packed([Damage(raw)]))
    assert look(spool).rejected == 2


@pytest.mark.django_db
def test_a_batch_is_written_once(spool):
    packed = message(*hits(3))
    celery_messages.record(packed, 0)
    celery_messages.record(packed, 1)
    assert Beacon.objects.count() == 3
    assert not spool.exists()


@pytest.mark.parametrize("text", ["?", "AAAA", base64.b64encode(zlib.compress(b"x")[:-1]).decode()])
def test_a_message_that_is_no_batch_is_set_aside(spool, text):
    celery_messages.record(text, 0)
    assert look(spool).rejected == 1


@pytest.mark.django_db
def test_a_database_that_is_away_is_tried_again_and_given_up_in_the_end(spool, monkeypatch):
    def gone(hits, receipt):
        raise OperationalError("gone")

    monkeypatch.setattr(write_batch.recording, "write", gone)
    packed = message(*hits(3))
    for attempt in range(celery_messages.RETRIES):
        with pytest.raises(Unavailable):
            celery_messages.record(packed, attempt)
    celery_messages.record(packed, celery_messages.RETRIES)
    assert look(spool).rejected == 3
    spool.rename(spool.with_name("before"))
    spool.write_text("nothing can be set aside")
    with pytest.raises(Unavailable):
        celery_messages.record(packed, celery_messages.RETRIES)


# The backend.


@pytest.fixture
def app(celery, monkeypatch):
    """An app whose broker is a port where nobody listens."""
    from tracking.tasks import record

    app = celery.Celery("tests", set_as_current=False, broker="redis://127.0.0.1:1/0", fixups=[])
    monkeypatch.setattr(type(record), "app", app, raising=False)
    task = app.tasks["tracking.record"]
    monkeypatch.setattr("tracking.tasks.record", task)
    return app


@pytest.fixture
def backend(spool):
    from tracking.backends.celery import CeleryBackend

    backend = CeleryBackend()
    backend.interval = backend.first_pause = 0.02
    yield backend
    backend.close()


def test_a_broker_that_is_away_delays_no_request_and_loses_nothing(backend, app, caplog):
    slowest = 0.0
    for hit in hits(200):
        started = time.perf_counter()
        backend.send(hit)
        slowest = max(slowest, time.perf_counter() - started)
    assert slowest < 0.2
    wait_until(lambda: backend.counters.failures > 1)
    assert backend.spool.waiting == 200
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len([e for e in errors if e.name.startswith("tracking")]) == 1


@pytest.fixture
def published(backend, app, monkeypatch):
    """What a broker has taken over for which nobody works."""
    messages = []
    monkeypatch.setattr(backend, "_publish", messages.append)
    return messages


@pytest.mark.django_db(transaction=True)
def test_a_copy_stays_until_the_batch_is_known_to_be_written(backend, published):
    backend.look_around = 0
    for batch in (hits(3), hits(2)):
        backend.send_many(batch)
        assert backend.flush()
    assert len(published) == look(backend.spool.folder).sent == 2
    assert look(backend.spool.folder).waiting == 0
    celery_messages.record(published[0], 0)

    def on_their_way():
        backend.follow_up()  # if it is not the thread that does it
        return [sending.read() for sending in in_flight.on_their_way(backend.spool.folder)]

    wait_until(lambda: on_their_way() == published[1:])


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_does_not_confirm_leaves_no_copy(backend, app):
    backend.send_many(hits(3))
    assert not backend.flush(0.2)
    backend.close()  # the thread tries again and again, each time with a copy
    assert look(backend.spool.folder).sent == 0
    assert look(backend.spool.folder).waiting == 3


@pytest.mark.django_db(transaction=True)
def test_where_no_worker_takes_anything_hits_wait_on_disk(backend, published):
    backend.most_sent = 2
    for _ in range(4):
        backend.send_many(hits(5))
        backend.flush(0.1)
    assert len(published) == look(backend.spool.folder).sent == 2
    assert look(backend.spool.folder).waiting == 10
    for sending in in_flight.on_their_way(backend.spool.folder):
        sending.forget()  # as if they had arrived
    assert backend.flush()
    assert look(backend.spool.folder).waiting == 0


@pytest.mark.django_db(transaction=True)
def test_what_has_arrived_makes_room_although_hits_wait(backend, published):
    backend.most_sent, backend.look_around, backend.longest_pause = 2, 0.02, 0.05
    for _ in range(4):
        backend.send_many(hits(5))
        backend.flush(0.1)
    assert look(backend.spool.folder)[:1] == (10,)
    for message in list(published):
        celery_messages.record(message, 0)
    wait_until(lambda: backend.spool.waiting == 0)
    assert look(backend.spool.folder).sent <= 2


@pytest.mark.django_db(transaction=True)
def test_where_the_disk_takes_no_copy_a_batch_is_written_at_once(backend, published):
    backend.spool.folder.mkdir()
    (backend.spool.folder / "sent").write_text("a file where the folder should be")
    backend.send_many(hits(5))
    assert backend.flush()
    backend.close()
    assert Beacon.objects.count() == 5
    assert published == []


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_does_not_hold_up_what_is_new(backend, published, monkeypatch):
    def gone(keys):
        raise OperationalError("gone")

    monkeypatch.setattr("tracking.recording.written_batches.known", gone)
    backend.look_around = 0.02
    for _ in range(3):
        backend.send_many(hits(1))
        wait_until(lambda: backend.spool.waiting == 0)
    assert len(published) == 3
    assert backend.counters.failures == 0


@pytest.mark.django_db(transaction=True)
def test_an_eager_celery_writes_at_once(backend, app):
    app.conf.task_always_eager = True
    backend.send_many(hits(5))
    assert backend.flush()
    assert Beacon.objects.count() == 5
    assert backend.counters.written == 5
    assert look(backend.spool.folder).sent == 0


def test_a_backend_without_celery_says_so(spool, monkeypatch):
    from tracking.backends.celery import CeleryBackend

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImproperlyConfigured, match="pip install"):
        CeleryBackend()


@pytest.mark.django_db  # which checks of Django look at
def test_a_celery_that_takes_no_json_is_told_of(celery, settings, spool, monkeypatch):
    app = celery.Celery("tests", set_as_current=False, broker="memory://", fixups=[])
    app.conf.accept_content = ["pickle"]
    monkeypatch.setattr(celery, "current_app", app)
    settings.TRACKING_BACKEND = "tracking.backends.celery.CeleryBackend"
    assert "tracking.W013" in {message.id for message in run_checks()}
    monkeypatch.setattr(
        celery, "current_app", celery.Celery("default", set_as_current=False, fixups=[])
    )
    assert "tracking.E019" in {message.id for message in run_checks()}


# Brokers and workers.

SETTINGS = """
INSTALLED_APPS += ["celery_site"]
TRACKING_BACKEND = "tracking.backends.celery.CeleryBackend"
CELERY_BROKER_URL = %r
CELERY_TASK_DEFAULT_QUEUE = %r
CELERY_BROKER_TRANSPORT_OPTIONS = %r
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
"""

#: A worker that dies while it takes its third batch off a list of Redis: that is gone
#: there, and noted nowhere yet.
GAP = """
if os.environ.get("DIES_IN_THE_GAP"):
    import signal
    from kombu.transport import redis

    taken = []

    def die(self, message, delivery_tag, append=redis.QoS.append):
        taken.append(delivery_tag)
        if len(taken) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        append(self, message, delivery_tag)

    redis.QoS.append = die
"""

SENDER = """
import celery_site, django, sys
django.setup()
from tracking.backends import get_backend
from tracking.hits import Hit
backend = get_backend()
backend.batch_size = 100
for _ in range(int(sys.argv[1])):
    hit = Hit(kind="open")
    backend.send(hit)
    print(hit.id.hex)
assert backend.flush(20)
"""

#: Sends for so many seconds, and stays until all is written; what does not arrive is soon
#: sent again.
FAITHFUL = """
import celery_site, django, sys, time
django.setup()
from tracking.backends import get_backend
from tracking.pipeline.redelivery import Patience
from tracking.hits import Hit
from tracking.pipeline.spool import look
backend = get_backend()
backend.batch_size, backend.interval, backend.look_around = 50, 0.02, 0.2
backend.patience = Patience(overtaken=1.0, queued=8.0, sendings=20)
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    hit = Hit(kind="open")
    backend.send(hit)
    print(hit.id.hex)
    time.sleep(0.001)
print("all", flush=True)
while any((state := look(backend.spool.folder))[:3]) or state.sent:
    time.sleep(0.1)
"""


@pytest.fixture(params=BROKERS)
def broker(request):
    with BROKERS[request.param]() as broker:
        yield broker


@pytest.fixture
def site(tmp_path, broker):
    return site_of(tmp_path, broker)


def site_of(folder, broker):
    (folder / "celery_site.py").write_text(APP + GAP)
    return Site(folder, SETTINGS % (broker.url, broker.queue, broker.options))


@contextmanager
def faithful_sender(site, seconds):
    """A process that sends, and the file of the keys that it has taken over."""
    output = site.folder / "sent.txt"
    with output.open("w") as file:
        process = site.start("-c", FAITHFUL, str(seconds), stdout=file)
    try:
        yield process, output
    finally:
        process.kill()
        process.wait()


def check_that_all_arrives(site, sender, output):
    wait_until(lambda: sender.poll() is not None, 90, lambda: str(look(site.spool)))
    assert sender.returncode == 0
    acknowledged = output.read_text().split()
    assert acknowledged.pop() == "all"
    keys = site.keys()
    assert len(keys) == len(set(keys)) == len(acknowledged)
    assert set(keys) == set(acknowledged)
    assert look(site.spool).rejected == 0
    return len(keys)


@pytest.mark.slow
def test_a_batch_that_redis_has_forgotten_is_sent_again(tmp_path):
    """The worker is killed between the two steps in which it takes a batch."""
    with BROKERS["redis"]() as broker:
        site = site_of(tmp_path, broker)
        with faithful_sender(site, 3) as (sender, output):
            site.environment["DIES_IN_THE_GAP"] = "yes"
            with worker(site) as first:
                wait_until(lambda: first.poll() is not None, 30, lambda: log_of(site, "one"))
                assert first.returncode == -signal.SIGKILL
                kill_group(first)
            del site.environment["DIES_IN_THE_GAP"]
            with worker(site, "two"):
                assert check_that_all_arrives(site, sender, output) > 500


@pytest.mark.slow
def test_workers_are_killed_at_any_moment(site, broker):
    """With all of their children, and with no regard to what they are about."""
    kills = stops.kills(2)
    with faithful_sender(site, 3 * kills) as (sender, output):
        for number in range(kills):
            with worker(site, f"number{number}", slowly=0.03) as process:
                before = len(site.keys())
                wait_until(
                    lambda before=before: len(site.keys()) > before,
                    40,
                    lambda number=number: log_of(site, f"number{number}"),
                )
                time.sleep(random.uniform(0, 0.5))
                kill(process, signal.SIGKILL)
        with worker(site, "last"):
            assert check_that_all_arrives(site, sender, output) > 500


def kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.mark.slow
def test_a_dead_sender_s_hits_are_sent_by_the_next(site):
    left = Spool(site.spool)
    left.append(hits(7))
    left.close()
    with worker(site):
        site.run(
            "-c",
            SENDER.replace("assert backend", "import time; time.sleep(1); assert backend"),
            "1",
        )
        wait_until(lambda: len(site.keys()) == 8, 20, lambda: log_of(site, "one"))

"""The backend for Celery, with a broker that cannot be reached or that the test replaces."""

import logging
import time
from datetime import date

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError

from tests.support.processes import wait_until
from tracking.hits import Hit
from tracking.models import Beacon
from tracking.pipeline import celery_consumer
from tracking.pipeline.spool import folder_status, in_flight

pytestmark = pytest.mark.usefixtures("celery")


@pytest.fixture
def spool(settings, tmp_path):
    settings.TRACKING_SPOOL = str(tmp_path / "spool")
    return tmp_path / "spool"


def hits(number):
    return [Hit(kind="open", data={"n": n, "born": date(2001, 2, 3)}) for n in range(number)]


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
    backend.interval = backend.first_retry_delay = 0.02
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
    backend.folder_check_interval = 0
    for batch in (hits(3), hits(2)):
        backend.send_many(batch)
        assert backend.flush()
    assert len(published) == folder_status(backend.spool.folder).sent == 2
    assert folder_status(backend.spool.folder).waiting == 0
    celery_consumer.write_or_give_up(published[0], 0)

    def on_their_way():
        backend.resend_unacknowledged()  # if it is not the thread that does it
        return [sending.read_message() for sending in in_flight.sent_batches(backend.spool.folder)]

    wait_until(lambda: on_their_way() == published[1:])


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_does_not_confirm_leaves_no_copy(backend, app):
    backend.send_many(hits(3))
    assert not backend.flush(0.2)
    backend.close()  # the thread tries again and again, each time with a copy
    assert folder_status(backend.spool.folder).sent == 0
    assert folder_status(backend.spool.folder).waiting == 3


@pytest.mark.django_db(transaction=True)
def test_where_no_worker_takes_anything_hits_wait_on_disk(backend, published):
    backend.max_in_flight = 2
    for _ in range(4):
        backend.send_many(hits(5))
        backend.flush(0.1)
    assert len(published) == folder_status(backend.spool.folder).sent == 2
    assert folder_status(backend.spool.folder).waiting == 10
    for sending in in_flight.sent_batches(backend.spool.folder):
        sending.delete()  # as if they had arrived
    assert backend.flush()
    assert folder_status(backend.spool.folder).waiting == 0


@pytest.mark.django_db(transaction=True)
def test_what_has_arrived_makes_room_although_hits_wait(backend, published):
    backend.max_in_flight, backend.folder_check_interval, backend.max_retry_delay = 2, 0.02, 0.05
    for _ in range(4):
        backend.send_many(hits(5))
        backend.flush(0.1)
    assert folder_status(backend.spool.folder)[:1] == (10,)
    for message in list(published):
        celery_consumer.write_or_give_up(message, 0)
    wait_until(lambda: backend.spool.waiting == 0)
    assert folder_status(backend.spool.folder).sent <= 2


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

    monkeypatch.setattr("tracking.recording.written_batches.find_written", gone)
    backend.folder_check_interval = 0.02
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
    assert folder_status(backend.spool.folder).sent == 0


def test_a_backend_without_celery_says_so(spool, monkeypatch):
    from tracking.backends.celery import CeleryBackend

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImproperlyConfigured, match="pip install"):
        CeleryBackend()


@pytest.mark.django_db  # which checks of Django look at
def test_a_celery_that_takes_no_json_fails_a_check(celery, settings, spool, monkeypatch):
    app = celery.Celery("tests", set_as_current=False, broker="memory://", fixups=[])
    app.conf.accept_content = ["pickle"]
    monkeypatch.setattr(celery, "current_app", app)
    settings.TRACKING_BACKEND = "tracking.backends.celery.CeleryBackend"
    assert "tracking.W013" in {message.id for message in run_checks()}
    monkeypatch.setattr(
        celery, "current_app", celery.Celery("default", set_as_current=False, fixups=[])
    )
    assert "tracking.E019" in {message.id for message in run_checks()}


@pytest.mark.django_db  # likewise
def test_a_celery_without_a_broker_fails_one_check(celery, settings, spool, monkeypatch):
    """Celery would try RabbitMQ on this host, and hits would wait on disk."""
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
    settings.TRACKING_BACKEND = "tracking.backends.celery.CeleryBackend"
    for broker, expected in ((None, ["tracking.W019"]), ("memory://", [])):
        app = celery.Celery("shop", set_as_current=False, broker=broker, fixups=[])
        monkeypatch.setattr(celery, "current_app", app)
        numbers = [message.id for message in run_checks()]
        assert [number for number in numbers if str(number).startswith("tracking.")] == expected

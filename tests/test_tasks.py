"""The Celery tasks, called at once and through a worker."""

import os
import sqlite3
import subprocess
import sys
import time
import uuid
from contextlib import closing
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from tests.support import documents
from tests.support.services import missing
from tracking import retention
from tracking.models import Visitor

pytestmark = pytest.mark.usefixtures("celery")


#: Numbered, so that nobody else's keys are there.
BROKER = os.environ.get("TRACKING_TEST_REDIS", "redis://127.0.0.1:6379/9")

SETTINGS = """
from tests.settings import *

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite3"}}
CELERY_BROKER_URL = %r
CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": %r}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = False
"""

#: What Celery's documents have every Django project do.
CELERY = """
from celery import Celery

app = Celery("celery_site")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
"""

#: The site: it has an old visitor and a young one, and wants to be cleaned up.
SITE = """
import celery_site, django
django.setup()
from datetime import timedelta
from django.core.management import call_command
from django.utils import timezone
from tracking.models import Visitor

call_command("migrate", verbosity=0)
Visitor.objects.create(key="young")
Visitor.objects.create(key="old", last_update=timezone.now() - timedelta(days=2))
from tracking.tasks import clean_up
clean_up.delay()
"""


@pytest.fixture
def prefix():
    """What the keys in Redis begin with, and nobody else's; they are gone afterwards."""
    redis = pytest.importorskip("redis")
    name = f"tracking-test-{uuid.uuid4().hex}:"
    with closing(redis.Redis.from_url(BROKER, socket_connect_timeout=2)) as connection:
        try:
            connection.ping()
        except redis.ConnectionError:
            missing("Redis")
        yield name
        for key in connection.scan_iter(f"{name}*"):
            connection.delete(key)


@pytest.mark.django_db
def test_the_task_runs_at_once_where_celery_is_eager(celery):
    app = celery.Celery("eager", set_as_current=False, broker="memory://", fixups=[])
    app.conf.task_always_eager = True
    app.autodiscover_tasks(["tracking"], force=True)
    Visitor.objects.create(last_update=timezone.now() - timedelta(days=2))
    young = Visitor.objects.create()
    assert app.tasks["tracking.clean_up"].delay().successful()
    assert Visitor.objects.get() == young


def test_the_task_has_the_name_that_the_schedule_of_the_documents_gives():
    from tracking.tasks import clean_up

    schedule: dict = {}
    for block in documents.blocks(documents.ROOT / "docs/clean-up.rst"):
        if "CELERY_BEAT_SCHEDULE" in block.text:
            exec(block.text, schedule)
    [entry] = schedule["CELERY_BEAT_SCHEDULE"].values()
    assert entry["task"] == clean_up.name == "tracking.clean_up"
    assert clean_up.ignore_result


@pytest.mark.django_db
def test_the_task_and_the_command_are_one_function(monkeypatch):
    from tracking.tasks import clean_up

    calls = []
    monkeypatch.setattr(retention, "clean_up", lambda **options: calls.append(options) or {})
    clean_up()
    call_command("tracking_cleanup", verbosity=0)
    assert len(calls) == 2


def visitors(folder):
    with closing(sqlite3.connect(folder / "site.sqlite3", timeout=10)) as database:
        return {key for (key,) in database.execute("SELECT key FROM tracking_visitor")}


@pytest.mark.slow
def test_the_task_runs_through_a_broker_and_a_worker(tmp_path, prefix):
    (tmp_path / "celery_settings.py").write_text(SETTINGS % (BROKER, prefix))
    (tmp_path / "celery_site.py").write_text(CELERY)
    (tmp_path / "site_script.py").write_text(SITE)
    options = {
        "cwd": tmp_path,
        "env": {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{documents.ROOT}",
            "DJANGO_SETTINGS_MODULE": "celery_settings",
        },
    }
    subprocess.run([sys.executable, "site_script.py"], check=True, **options)
    assert visitors(tmp_path) == {"old", "young"}
    command = [sys.executable, "-m", "celery", "--app=celery_site", "worker", "--pool=solo"]
    log = tmp_path / "worker.log"
    with log.open("w") as output:
        worker = subprocess.Popen(
            [*command, "--without-gossip", "--without-mingle", "--loglevel=INFO"],
            stdout=output,
            stderr=subprocess.STDOUT,
            **options,
        )
        try:
            deadline = time.monotonic() + 60
            while visitors(tmp_path) != {"young"} or "succeeded" not in log.read_text():
                assert worker.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        finally:
            worker.terminate()
            worker.wait(30)
    assert "Traceback" not in log.read_text()
    assert "tracking.clean_up" in log.read_text()

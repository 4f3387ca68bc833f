"""The backend for Celery with a real broker and workers that are killed."""

import os
import random
import signal
import time
from contextlib import contextmanager
from datetime import date

import pytest

from tests.support import outages
from tests.support.brokers import BROKERS
from tests.support.celery_workers import APP, kill, log_of, worker
from tests.support.processes import Site, wait_until
from tracking.hits import Hit
from tracking.pipeline.spool import Spool, folder_status

pytestmark = pytest.mark.usefixtures("celery")


def hits(number):
    return [Hit(kind="open", data={"n": n, "born": date(2001, 2, 3)}) for n in range(number)]


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
from tracking.pipeline.celery_redelivery import RedeliveryDelays
from tracking.hits import Hit
from tracking.pipeline.spool import folder_status
backend = get_backend()
backend.batch_size, backend.interval, backend.folder_check_interval = 50, 0.02, 0.2
backend.redelivery_delays = RedeliveryDelays(overtaken=1.0, queued=8.0, max_sends=20)
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    hit = Hit(kind="open")
    backend.send(hit)
    print(hit.id.hex)
    time.sleep(0.001)
print("all", flush=True)
while any((state := folder_status(backend.spool.folder))[:3]) or state.sent:
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
    wait_until(lambda: sender.poll() is not None, 90, lambda: str(folder_status(site.spool)))
    assert sender.returncode == 0
    acknowledged = output.read_text().split()
    assert acknowledged.pop() == "all"
    keys = site.keys()
    assert len(keys) == len(set(keys)) == len(acknowledged)
    assert set(keys) == set(acknowledged)
    assert folder_status(site.spool).rejected == 0
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
    kills = outages.kills(2)
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
    left = Spool(site.spool, site=site.identity)
    left.append(hits(7))
    left.close()
    with worker(site):
        site.run(
            "-c",
            SENDER.replace("assert backend", "import time; time.sleep(1); assert backend"),
            "1",
        )
        wait_until(lambda: len(site.keys()) == 8, 20, lambda: log_of(site, "one"))

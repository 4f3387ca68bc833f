"""Processes of a site with a database on disk: one is killed, two deliver at once."""

import signal
import time

import pytest

from tests.support import webhook_receiver
from tests.support.processes import Site, wait_until
from tests.support.webhook_receiver import SECRET

pytestmark = pytest.mark.slow

SETTINGS = """
TRACKING_WEBHOOK_NETWORKS = ["127.0.0.1"]
TRACKING_WEBHOOK_HTTP = True
TRACKING_WEBHOOK_TIMEOUT = 1
TRACKING_WEBHOOK_THREAD = False
"""

#: Adds an endpoint, and records hits for it. Each batch is a message that is not merged.
RECORD = """
import django, sys
django.setup()
from django.utils import timezone
from tracking.hits import Hit, Kind
from tracking.models import WebhookEndpoint, WebhookMessage
from tracking.recording import write
from tracking.webhooks import add_endpoint, endpoints
for url in sys.argv[3:]:
    add_endpoint(url, types=["beacon.open"])
WebhookEndpoint.objects.update(secret=sys.argv[1])
endpoints.active()
for _ in range(int(sys.argv[2])):
    write([Hit(kind=Kind.OPEN) for _ in range(10)])
WebhookMessage.objects.update(tried_at=timezone.now())
"""

#: Delivers, with claims that end soon after their process.
DELIVER = """
import django
django.setup()
from tracking.webhooks import claims, delivery
claims._MARGIN = 1
delivery.deliver_waiting()
"""

#: Prints what the database still has.
LEFT = """
import django
django.setup()
from tracking.models import Beacon, WebhookMessage
print(WebhookMessage.objects.count(), Beacon.objects.count())
"""


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path, SETTINGS)


@pytest.fixture
def receiver(tmp_path):
    with webhook_receiver.running(tmp_path) as receiver:
        yield receiver


def left(site):
    return [int(number) for number in site.run("-c", LEFT).split()]


def test_a_sender_that_is_killed_loses_nothing(site, receiver):
    site.run("-c", RECORD, SECRET, "40", receiver.url("slow"))
    for _ in range(3):
        before = len(receiver.received())
        process = site.start("-c", DELIVER)
        wait_until(lambda before=before: len(receiver.received()) >= before + 4)
        time.sleep(0.1)  # in the middle of an answer
        process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(2.5)  # until its claim ends
    site.run("-c", DELIVER)
    assert left(site) == [0, 400]
    got = receiver.received()
    bodies = {one["id"]: one["body"] for one in got}
    assert len(bodies) == 40
    assert all(bodies[one["id"]] == one["body"] for one in got)
    assert all(one["library"] for one in got)
    assert 40 <= len(got) <= 43  # what was on its way when the process was killed came again
    events = [event["data"]["id"] for body in bodies.values() for event in body["data"]]
    assert len(set(events)) == len(events) == 400


def test_processes_at_once_send_nothing_twice(site, receiver):
    site.run("-c", RECORD, SECRET, "100", receiver.url("ok"), receiver.url("ok?2"))
    processes = [site.start("-c", DELIVER) for _ in range(3)]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    site.run("-c", DELIVER)
    assert left(site) == [0, 1_000]
    ids = [one["id"] for one in receiver.received()]
    assert len(ids) == len(set(ids)) == 200


#: A server: it records, and its threads write and deliver.
SERVE = """
import django, time, sys
django.setup()
from tracking.backends.handler import get_server_backend
from tracking.hits import Hit, Kind
from tracking.webhooks import sender_thread
backend = get_server_backend()
for number in range(int(sys.argv[1])):
    backend.send(Hit(kind=Kind.OPEN))
    time.sleep(0.002)
print("recorded", flush=True)
time.sleep(60)
"""


def test_a_server_that_is_killed_loses_nothing(site, receiver):
    """From the spool to the receiver: the next process writes and delivers what was left."""
    with (site.folder / "site_settings.py").open("a") as settings:
        settings.write("\nTRACKING_WEBHOOK_THREAD = True\n")
    site.run("-c", RECORD, SECRET, "0", receiver.url("slow"))
    for _ in range(2):
        process = site.start("-c", SERVE, "1000")
        before = len(receiver.received())
        wait_until(lambda before=before: len(receiver.received()) > before)
        process.send_signal(signal.SIGKILL)
        process.wait()
    last = site.start("-c", SERVE, "10")
    try:
        # The claim of the dead process ends, and what it has left in the spool is written.
        wait_until(lambda: left(site)[0] == 0 and len(set(receiver.events())) >= left(site)[1], 90)
    finally:
        last.kill()
        last.wait()
    _, beacons = left(site)
    events = receiver.events()
    assert len(events) == len(set(events)) == beacons
    assert beacons > 20

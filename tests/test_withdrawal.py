"""Recipients withdraw while their mails are read: a second later nothing of them is stored.

``TRACKING_TEST_WITHDRAWALS=10000`` runs it with so many recipients.
"""

import http.client
import json
import logging
import os
import random
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager
from subprocess import PIPE

import pytest

from tests.support import brokers, celery_workers
from tests.support.load import PAUSE, SERVERS, WSGI
from tests.support.processes import Site, free_port, wait_until
from tracking import tokens
from tracking.hits import Reference
from tracking.pipeline.spool import folder_status
from tracking.views import GIF

logger = logging.getLogger(__name__)

pytestmark = [pytest.mark.slow, pytest.mark.real_clock]

RECIPIENTS = int(os.environ.get("TRACKING_TEST_WITHDRAWALS", "300"))
#: Seconds. One is enough on a machine that does nothing else.
LIMIT = 3
SHOP = "https://shop.example/"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

EDGE = WSGI + "\nfrom tracking.edge import EdgeWSGI\napplication = EdgeWSGI(application)\n"

#: Notes when each row is inserted: SQLite knows the time of day to a millisecond.
NOTE_INSERTS = """
CREATE TABLE inserted (id TEXT, at REAL);
CREATE TRIGGER note_inserted AFTER INSERT ON tracking_beacon BEGIN
INSERT INTO inserted VALUES (new.id, (julianday('now') - 2440587.5) * 86400.0); END;
"""

#: Another process: four of five recipients withdraw one by one.
WITHDRAW = """
import django, json, sys, time
django.setup()
from tracking import recipient_consent
from tracking.hits import Reference
for number in range(int(sys.argv[1])):
    if number % 5:
        recipient_consent.withdraw(Reference("site.subscriber", str(number)))
        print(json.dumps([number, time.time()]), flush=True)
"""


def urls(number):
    entity = Reference("site.subscriber", str(number))
    pixel = tokens.dumps((), {}, salt=tokens.PIXEL, entity=entity)
    link = tokens.dumps((), {}, salt=tokens.REDIRECT, url=SHOP, entity=entity)
    return f"/t/{pixel}.gif", f"/t/{link}"


class Readers:
    """Threads that open and click the mails of all recipients, at random.

    Attributes:
        answered: how many hits of each recipient were answered as they should be.
        wrong: other answers.
    """

    def __init__(self, port, threads=4):
        self.answered = Counter()
        self.wrong = []
        self._port = port
        self._urls = [urls(number) for number in range(RECIPIENTS)]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._read) for _ in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _read(self):
        choose = random.Random()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        answered = Counter()
        while not self._stop.wait(PAUSE):
            number = choose.randrange(RECIPIENTS)
            kind = choose.randrange(2)
            connection.request("GET", self._urls[number][kind], headers={"User-Agent": BROWSER})
            response = connection.getresponse()
            body = response.read()
            right = response.headers["Location"] == SHOP if kind else body == GIF
            if right:
                answered[number] += 1
            else:
                self.wrong.append((response.status, body[:100]))
        self.answered.update(answered)
        connection.close()


@contextmanager
def served(site, application):
    port = free_port()
    (site.folder / "site_wsgi.py").write_text(application)
    arguments = [part.format(port=port) for part in SERVERS["gunicorn, threads, preloaded"]]
    with (site.folder / "server.log").open("w") as log:
        server = site.start(*arguments, stdout=log, stderr=log)
        try:
            wait_until(lambda: is_up(port))
            yield port
        finally:
            server.terminate()
            server.wait(30)


def is_up(port):
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/t/x.gif")
            return connection.getresponse().status == 200
    except OSError:
        return False


def query(site, sql):
    with closing(sqlite3.connect(site.database, timeout=20)) as database:
        return database.execute(sql).fetchall()


def withdraw_under_load(site, port):
    """Let recipients withdraw, and return when each of them did, and the readers."""
    withdrew = {}
    with Readers(port) as readers:
        time.sleep(2)
        with site.start("-c", WITHDRAW, str(RECIPIENTS), stdout=PIPE) as process:
            for line in process.stdout:
                number, moment = json.loads(line)
                withdrew[number] = moment
        assert process.returncode == 0
        time.sleep(3)
    return withdrew, readers


def check(site, withdrew, readers):
    """Check what is stored, and return figures for people."""
    rows = query(
        site,
        "SELECT entity_id, at FROM tracking_beacon b JOIN inserted ON inserted.id = b.id",
    )
    assert len(withdrew) == RECIPIENTS - len(range(0, RECIPIENTS, 5))
    stored = Counter(int(number) for number, _at in rows)
    late = [at - withdrew[int(number)] for number, at in rows if int(number) in withdrew]
    latest = max(late)
    kept = [number for number in readers.answered if number not in withdrew]
    answered = sum(readers.answered.values())
    figures = (
        f"{answered} hits answered, {len(rows)} stored, {len(withdrew)} withdrew, "
        f"{sum(one > 0 for one in late)} hits stored after the withdrawal, the last after "
        f"{latest:.3f} s"
    )
    logger.warning(figures)
    assert readers.wrong == []
    assert latest < LIMIT, figures
    assert {number: stored[number] for number in kept} == {
        number: readers.answered[number] for number in kept
    }, "hits of those who agree are lost or doubled"
    dropped = sum(readers.answered[number] - stored[number] for number in withdrew)
    assert dropped > len(withdrew) / 2, figures


def make_site(folder, more_settings=""):
    site = Site(folder, more_settings)
    with closing(sqlite3.connect(site.database)) as database:
        database.executescript(NOTE_INSERTS)
    return site


@pytest.mark.parametrize("application", [WSGI, EDGE], ids=["Django", "edge"])
def test_a_second_after_a_withdrawal_nothing_is_stored(tmp_path, application):
    site = make_site(tmp_path)
    with served(site, application) as port:
        withdrew, readers = withdraw_under_load(site, port)
        wait_until(lambda: not folder_status(site.spool, site.identity).waiting)
    check(site, withdrew, readers)


CELERY = """
INSTALLED_APPS += ["celery_site"]
TRACKING_BACKEND = "tracking.backends.celery.CeleryBackend"
CELERY_BROKER_URL = %r
CELERY_TASK_DEFAULT_QUEUE = %r
CELERY_BROKER_TRANSPORT_OPTIONS = %r
"""


@pytest.mark.usefixtures("celery")
def test_what_waits_in_a_broker_is_not_written(tmp_path):
    """The worker is slow: hits wait in the broker while their recipients withdraw."""
    with brokers.redis() as broker:
        (tmp_path / "celery_site.py").write_text(celery_workers.APP)
        values = (broker.url, broker.queue, broker.options)
        site = make_site(tmp_path, CELERY % values)
        application = "import celery_site\n" + WSGI
        with celery_workers.worker(site, slowly=0.2), served(site, application) as port:
            withdrew, readers = withdraw_under_load(site, port)
            wait_until(lambda: not any(waiting(site)), 120, lambda: (waiting(site),))
        check(site, withdrew, readers)


def waiting(site):
    status = folder_status(site.spool, site.identity)
    return status.waiting, status.sent


def test_what_waits_on_disk_is_not_written(tmp_path):
    """A web process has left hits on disk, and dies; the next one finds the withdrawals."""
    site = make_site(tmp_path)
    site.run("-c", LEAVE_ON_DISK)
    assert folder_status(site.spool, site.identity).waiting == 20
    site.run("-c", WITHDRAW, "10")
    site.run("-m", "django", "tracking_drain")
    assert folder_status(site.spool, site.identity).waiting == 0
    rows = query(site, "SELECT entity_id FROM tracking_beacon ORDER BY entity_id")
    assert [number for (number,) in rows] == ["0", "0", "5", "5"]


LEAVE_ON_DISK = """
import django, os
django.setup()
from tracking.backends import get_backend
from tracking.hits import Hit, Reference
backend = get_backend()
backend._start_thread = lambda: None
for number in range(20):
    backend.send(Hit(kind="open", entity=Reference("site.subscriber", str(number % 10))))
os._exit(0)
"""

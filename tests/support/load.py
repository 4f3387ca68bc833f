"""Readers in several threads, whose answers are compared with the rows of the site."""

import http.client
import itertools
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager

from tests.support.processes import free_port, wait_until
from tracking import links
from tracking.pipeline.spool import folder_status
from tracking.views import GIF

WSGI = """
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
"""

ASGI = """
from django.core.asgi import get_asgi_application
application = get_asgi_application()
"""

SERVERS = {
    "gunicorn": ("-m", "gunicorn", "--workers=2", "--bind=127.0.0.1:{port}", "site_wsgi"),
    "gunicorn, threads, preloaded": (
        *("-m", "gunicorn", "--workers=2", "--threads=4", "--preload"),
        *("--bind=127.0.0.1:{port}", "site_wsgi"),
    ),
    "uvicorn": (
        *("-m", "uvicorn", "--workers=2", "--host=127.0.0.1", "--port={port}"),
        *("--log-level=warning", "site_asgi:application"),
    ),
}

#: Names of the file with the output of the server.
LOG = "server.log"

#: No two requests of these tests have the same one.
NUMBERS = itertools.count()


#: Seconds between the answer to a reader and the next question. Readers that ask as fast as they
#: are answered take all of a small machine, and nothing else happens in time.
PAUSE = 0.01


class Load:
    """Readers, each with a pixel, a link or a page of its own, many times a second.

    Attributes:
        first: the first number of this load.
        answered: the numbers that got the right answer.
        cut_off: the numbers whose connection broke.
        wrong: other answers.
        slowest: seconds until the latest answer.
    """

    def __init__(self, port, threads=4, *, pages=False):
        self._port = port
        self._pages = pages
        self.first = next(NUMBERS)
        self._stop = threading.Event()
        self._threads = []
        self._readers = threads
        self.answered = []
        self.cut_off = []
        self.wrong = []
        self.slowest = 0.0

    def __enter__(self):
        self.add_readers(self._readers)
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def add_readers(self, number):
        """Let more readers come."""
        for _ in range(number):
            self._threads.append(threading.Thread(target=self._read))
            self._threads[-1].start()

    def _read(self):
        while not self._stop.wait(PAUSE):
            number = next(NUMBERS)
            started = time.monotonic()
            try:
                is_right = self._is_right(number)
            except (OSError, http.client.HTTPException):
                self.cut_off.append(number)
                continue
            self.slowest = max(self.slowest, time.monotonic() - started)
            if is_right:
                self.answered.append(number)

    def _is_right(self, number):
        if self._pages and number % 3 == 0:
            path, right = f"/page/{number}", (200, None)
        elif number % 2:
            path = links.link_url("https://shop.example/", kwargs={"n": number})
            right = (302, b"")
        else:
            path, right = links.pixel_url(kwargs={"n": number}), (200, GIF)
        status, body = self._ask(path)
        if status == right[0] and right[1] in {None, body}:
            return True
        self.wrong.append((status, body))
        return False

    def _ask(self, path):
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)) as connection:
            connection.request("GET", path, headers={"User-Agent": "Mozilla/5.0 (X11)"})
            response = connection.getresponse()
            return response.status, response.read()


def write_applications(folder) -> None:
    """Write the modules that the servers import into the folder of a site."""
    (folder / "site_wsgi.py").write_text(WSGI)
    (folder / "site_asgi.py").write_text(ASGI)


def answers(port):
    """Return whether the site is healthy."""
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/t/health")
            return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def listens(port):
    """Return whether there is a server, which may still load the site."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


@contextmanager
def served(site, server, is_ready=answers) -> Iterator[tuple]:
    """Serve the site, and give the process and the port; in the end it is asked to stop."""
    port = free_port()
    log = site.folder / LOG
    with log.open("w") as output:
        process = site.start(
            *(part.format(port=port) for part in SERVERS[server]),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            wait_until(lambda: is_ready(port), 20, log.read_text)
            yield process, port
            process.terminate()
            process.wait(20)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def check(site, database, load):
    """All that was answered is a row, and no row is there twice."""
    site.run("-m", "django", "tracking_drain")
    check_rows(site, database, load)


def check_rows(site, database, load):
    """The same, where all has arrived by itself."""
    rows = Counter(number for number in database.numbers(site) if number >= load.first)
    assert not load.wrong
    assert load.answered
    assert set(load.answered) <= set(rows), "an answer was lost"
    assert max(rows.values()) == 1, "a row is there twice"
    assert set(rows) <= {*load.answered, *load.cut_off}
    state = folder_status(site.spool)
    assert (state.waiting, state.sent, state.rejected) == (0, 0, 0)
    print(  # noqa: T201 - the long form is run for it
        f"\n  {len(load.answered):,} answers and {len(load.cut_off)} connections cut off, "
        f"{rows.total():,} rows, {rows.total() - len(rows)} twice, {len(load.wrong)} other "
        f"answers; the slowest took {load.slowest:.2f} s"
    )

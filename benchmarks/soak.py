"""Two million requests: do memory, open files or threads of the server process grow?

A load generator requests pixels and pages over persistent connections from a real server with one
worker, ``BufferedBackend`` and PostgreSQL. Memory, open files and threads are sampled. At the end
there must be one row for each answer. ``TRACKING_BENCHMARK_REQUESTS`` sets the number of requests,
``TRACKING_BENCHMARK_SERVER`` the server. Ctrl-C ends the load early and prints the results so far.
"""

import http.client
import json
import os
import statistics
import tempfile
import time as clock
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any, NamedTuple

from django.db import connections

from benchmarks.databases import temporary_database
from benchmarks.measuring import print_row
from tests.support.processes import Site, free_port, wait_until, workers_of
from tracking import links
from tracking.models import Beacon, PageView, Visit, Visitor
from tracking.pipeline.spool import folder_status

REQUESTS = int(os.environ.get("TRACKING_BENCHMARK_REQUESTS", "2_000_000"))
SERVER = os.environ.get("TRACKING_BENCHMARK_SERVER", "gunicorn")

#: One of this many requests is for a page, the others for pixels.
PAGES = 5
VISITORS = 200
CONNECTIONS = 4

#: Seconds between two samples, and lines of the printed table.
EVERY, LINES = 1.0, 20

SETTINGS = """
DATABASES = {"default": %r}
ROOT_URLCONF = "site_urls"
INSTALLED_APPS.remove("tests.site")  # its callbacks store their arguments
MIDDLEWARE += ["tracking.middleware.VisitorTrackingMiddleware"]
"""

URLS = """
from django.http import HttpResponse
from django.urls import include, path

urlpatterns = [
    path("t/", include("tracking.urls")),
    path("page/<int:number>/", lambda request, number: HttpResponse("<p>A page.</p>")),
]
"""

WSGI = "from django.core.wsgi import get_wsgi_application as made; application = made()"
ASGI = "from django.core.asgi import get_asgi_application as made; application = made()"

SERVERS = {
    "gunicorn": (
        *("-m", "gunicorn", "--workers=1", "--threads=4", "--keep-alive=60"),
        *("--bind=127.0.0.1:{port}", "site_wsgi"),
    ),
    "uvicorn": (
        *("-m", "uvicorn", "--host=127.0.0.1", "--port={port}"),
        *("--log-level=warning", "--no-access-log", "site_asgi:application"),
    ),
}

#: Sends requests over a few connections and counts the answers. It uses plain sockets, to leave
#: most of the machine to the server.
LOAD = """
import collections, json, signal, socket, sys, threading
port, total, connections = (int(argument) for argument in sys.argv[1:4])
pixels, pages = ([text.encode() for text in texts] for texts in json.load(sys.stdin))
answers, lock, stop = collections.Counter(), threading.Lock(), threading.Event()
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, lambda *_: stop.set())

def more(connection):
    if not (received := connection.recv(65536)):
        stop.set()
        raise ConnectionError("cut off")
    return received

def ask(connection, request):
    connection.sendall(request)
    answer = more(connection)
    while b"\\r\\n\\r\\n" not in answer:
        answer += more(connection)
    head, _, body = answer.partition(b"\\r\\n\\r\\n")
    length = int(head.lower().partition(b"content-length:")[2].split(None, 1)[0])
    while len(body) < length:
        body += more(connection)
    return head[9:12].decode()

def work(number):
    mine = collections.Counter()
    connection = socket.create_connection(("127.0.0.1", port))
    for turn in range(number, total, connections):
        if stop.is_set():
            break
        kind = "page" if turn % %(pages)d == 0 else "pixel"
        requests = pages if kind == "page" else pixels
        mine[kind, ask(connection, requests[turn %% len(requests)])] += 1
    with lock:
        answers.update(mine)

threads = [threading.Thread(target=work, args=[number]) for number in range(connections)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps([[*key, count] for key, count in answers.items()]))
""".replace("%(pages)d", str(PAGES)).replace("%%", "%")


class Sample(NamedTuple):
    """A sample of the server process.

    Attributes:
        seconds: since the load began.
        memory: resident, in kB.
        files: open file descriptors.
        threads: threads.
    """

    seconds: float
    memory: int
    files: int
    threads: int


def main() -> None:
    """Measure and print."""
    print(f"{REQUESTS:,} requests, one in {PAGES} for a page; {SERVER}, one worker, PostgreSQL.")
    with temporary_database("postgresql") as using, tempfile.TemporaryDirectory() as name:
        if using is None:
            return
        site = _site(Path(name), using)
        with _served(site) as (server, port):
            pages = _pages(port)
            # The first requests fill the caches.
            first = _answers(_load(site, port, 5_000, pages))
            samples, answers = _watched(site, server, port, pages)
        _print(samples, sum(answers.values()))
        _check(site, {kind: first[kind] + answers[kind] for kind in answers})


def _site(folder: Path, using: str) -> Site:
    (folder / "site_urls.py").write_text(URLS)
    (folder / "site_wsgi.py").write_text(WSGI)
    (folder / "site_asgi.py").write_text(ASGI)
    known = connections[using].settings_dict
    names = ("ENGINE", "HOST", "PORT", "USER", "PASSWORD", "NAME")
    return Site(folder, SETTINGS % {name: known[name] for name in names})


@contextmanager
def _served(site: Site) -> Iterator[tuple[Any, int]]:
    port = free_port()
    with (site.folder / "server.log").open("w") as log:
        arguments = (part.format(port=port) for part in SERVERS[SERVER])
        process = site.start(*arguments, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_until(lambda: _answers_at(port), 20)
            yield process, port
        finally:
            process.terminate()
            process.wait(30)


def _answers_at(port: int) -> bool:
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/t/health")
            return connection.getresponse().reason == "OK"
    except OSError:
        return False


def _pages(port: int) -> list[str]:
    """Return requests for pages, of visitors who have their cookies already."""
    requests = []
    for number in range(VISITORS):
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/page/0/", headers={"User-Agent": _browser(number)})
            cookie = (connection.getresponse().getheader("Set-Cookie") or "").partition(";")[0]
        assert cookie, "no cookie"
        requests.append(_request(f"/page/{number}/", number, f"Cookie: {cookie}\r\n"))
    return requests


def _request(path: str, number: int, further: str = "") -> str:
    agent = f"User-Agent: {_browser(number)}\r\n"
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{agent}{further}\r\n"


def _browser(number: int) -> str:
    version = 90 + number % 50
    agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0"
    return agent.format(version)


def _load(site: Site, port: int, number: int, pages: list[str]) -> Popen[str]:
    pixels = [
        _request(links.pixel_url(kwargs={"campaign": "spring", "user": number}), number)
        for number in range(1_000)
    ]
    arguments = ("-c", LOAD, str(port), str(number), str(CONNECTIONS))
    process = site.start(*arguments, stdin=-1, stdout=-1)
    assert process.stdin is not None
    with process.stdin as target:
        json.dump([pixels, pages], target)
    return process


def _answers(load: Popen[str]) -> dict[str, int]:
    """Return how many were answered with 200, by kind; there may be no other."""
    assert load.stdout is not None
    with load.stdout as output:
        found = json.load(output)
    load.wait()
    assert {status for _, status, _ in found} == {"200"}, found
    return {kind: count for kind, _, count in found}


def _watched(
    site: Site, server: Any, port: int, pages: list[str]
) -> tuple[list[Sample], dict[str, int]]:
    [process] = workers_of(server) if SERVER == "gunicorn" else [server.pid]
    samples: list[Sample] = []
    begun = clock.monotonic()
    load = _load(site, port, REQUESTS, pages)
    while load.poll() is None:
        try:
            samples.append(_sample(process, begun))
            clock.sleep(EVERY)
        except KeyboardInterrupt:
            load.terminate()
    samples.append(_sample(process, begun))
    return samples, _answers(load)


def _sample(process: int, begun: float) -> Sample:
    folder = Path(f"/proc/{process}")
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    return Sample(
        seconds=clock.monotonic() - begun,
        memory=int(status["VmRSS"].split()[0]),
        files=len(os.listdir(folder / "fd")),
        threads=int(status["Threads"]),
    )


def _print(samples: list[Sample], requests: int) -> None:
    print(f"  {'time':>8}{'share':>8}{'memory, kB':>14}{'open files':>14}{'threads':>10}")
    for line in range(LINES + 1):
        sample = samples[round(line * (len(samples) - 1) / LINES)]
        print(
            f"  {sample.seconds:>6,.0f} s{line / LINES:>8.0%}{sample.memory:>14,}"
            f"{sample.files:>14}{sample.threads:>10}"
        )
    seconds = samples[-1].seconds
    print_row("requests", f"{requests:,}", f"{REQUESTS:,}")
    print_row("rate", f"{requests / seconds:,.0f} requests/s", "")
    for title, part in (("all", samples), ("the second half", samples[len(samples) // 2 :])):
        per_second = statistics.linear_regression(
            [sample.seconds for sample in part], [float(sample.memory) for sample in part]
        ).slope
        slope = per_second * seconds / requests * 1e6
        print_row(f"memory, {title}", f"{slope:+,.0f} kB in a million requests", "flat")
    for name in ("files", "threads"):
        found = [getattr(sample, name) for sample in samples]
        print_row(name, f"{min(found)} to {max(found)}", "flat")


def _check(site: Site, answers: dict[str, int]) -> None:
    site.run("-m", "django", "tracking_drain")  # what is still in the spool
    rows = {
        "pixel": Beacon.objects.count(),
        "page": PageView.objects.count() - VISITORS,  # the first pages, before the load
    }
    for kind, number in answers.items():
        print_row(f"answers to a {kind}", f"{number:,}", f"{rows[kind]:,} rows")
    visits = sum(Visit.objects.values_list("page_views", flat=True))
    print_row("visitors, and pages in visits", f"{Visitor.objects.count():,}; {visits:,}", "")
    assert rows == answers
    assert visits == rows["page"] + VISITORS
    assert folder_status(site.spool).rejected == 0

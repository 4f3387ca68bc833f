"""Simulate the visitors of :mod:`shop.scenario` with real requests over real sockets.

    with own_server() as address:
        simulate_day(address, 300)              # 24 hours, in some seconds
        with background_visitors(address):      # then in real time
            ...

The shop cannot run at another time. So the requests of a day are sent quickly, and the rows that
they create are then backdated over the last 24 hours (:mod:`shop.backdating`).
"""

import heapq
import http.client
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from http.cookies import SimpleCookie
from itertools import count
from random import Random
from typing import NamedTuple

from django.conf import settings
from django.core.servers.basehttp import (
    ThreadedWSGIServer,
    WSGIRequestHandler,
    get_internal_wsgi_application,
)
from django.utils import timezone

from shop.backdating import Simulated, backdate
from shop.log_filter import SIMULATED
from shop.scenario import Client, Request, Scenario, Session
from tracking import health
from tracking.backends import get_backend

#: Host and port of a server.
Address = tuple[str, int]

#: Number of redirects that a visitor follows.
REDIRECTS = 3

#: Average seconds between visitors in real time; and the number of first visitors who come one
#: second apart, so that the shop is not empty for long.
PAUSE, SOON = 12.0, 8


# --- A server for the visitors -----------------------------------------------------------


class _Handler(WSGIRequestHandler):
    #: Otherwise each answer waits 40 ms until the visitor has acknowledged the headers.
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        """Log nothing: simulated requests would bury those of the person trying the shop."""


class _Server(ThreadedWSGIServer):
    def process_request_thread(self, request: object, client_address: object) -> None:
        threading.current_thread().name = SIMULATED
        super().process_request_thread(request, client_address)


@contextmanager
def own_server() -> Iterator[Address]:
    """Serve the shop on a port of its own, in this process, until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler, ipv6=False)
    server.set_app(get_internal_wsgi_application())
    thread = threading.Thread(target=server.serve_forever, args=[0.1], daemon=True)
    thread.start()
    try:
        yield server.server_address
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# --- One visitor -------------------------------------------------------------------------


class ShopFailedError(Exception):
    """The shop answered with a server error."""


class Browser:
    """Sends the requests of a client. Keeps cookies and follows redirects."""

    def __init__(self, address: Address, client: Client) -> None:
        self._client = client
        self._connection = http.client.HTTPConnection(*address, timeout=30)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def send(self, request: Request) -> None:
        """Send a request and follow redirects.

        Raises:
            ShopFailedError: the answer is a 5xx.
        """
        path = request.path
        for _ in range(1 + REDIRECTS):
            answer = self._get(path, request.referrer)
            if answer.status >= http.client.INTERNAL_SERVER_ERROR:
                raise ShopFailedError(f"{path} returned status {answer.status}.")
            location = answer.headers["Location"]
            if location is None:
                return
            path = location.removeprefix(settings.TRACKING_BASE_URL)

    def _get(self, path: str, referrer: str) -> http.client.HTTPResponse:
        self._connection.request("GET", path, headers=self._headers(referrer))
        response = self._connection.getresponse()
        response.read()
        for header in response.headers.get_all("Set-Cookie", ()):
            for name, morsel in SimpleCookie(header).items():
                self._client.cookies[name] = morsel.coded_value
        return response

    def _headers(self, referrer: str) -> dict[str, str]:
        client = self._client
        headers = {
            # As a proxy would write it. The shop's settings trust this machine.
            "X-Forwarded-For": client.address,
            "User-Agent": client.user_agent,
            "Accept": "text/html,*/*;q=0.8",
            "Accept-Language": "en",
            "Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items()),
            "Referer": referrer,
            "DNT": "1" if client.opts_out else "",
        }
        return {name: value for name, value in headers.items() if value}


# --- A day -------------------------------------------------------------------------------


class Summary(NamedTuple):
    """The number of requests, without redirects, and the seconds they took."""

    requests: int
    seconds: float


class _Planned(NamedTuple):
    begins: datetime
    session: Session


def simulate_day(
    address: Address,
    visitors: int,
    seed: int = 1,
    progress: Callable[[float], None] = lambda _share: None,
) -> Summary:
    """Simulate the last 24 hours.

    Args:
        address: the server to visit.
        visitors: the number of people and machines.
        seed: the seed of the random numbers.
        progress: called after each session with the share that is done.

    Returns:
        The number of requests, and the seconds they took.

    Raises:
        shop.scenario.NoMailError: no campaign was sent.
        ShopFailedError: the shop answered with a server error.
    """
    began, now = time.monotonic(), timezone.now()
    scenario = Scenario(Random(seed))
    rounds = _rounds(scenario, visitors, now)
    total, done = sum(map(len, rounds)), count(1)
    for planned in rounds:
        simulated: list[Simulated] = []
        try:
            for begins, session in planned:
                simulated.extend(_run_session(address, begins, session))
                progress(next(done) / total)
        finally:
            # Before the next round: for a returning visitor the first visit must be hours ago.
            _wait_until_written()
            backdate(simulated)
    requests = sum(len(session.requests) for planned in rounds for _begins, session in planned)
    return Summary(requests, time.monotonic() - began)


def _rounds(scenario: Scenario, visitors: int, end: datetime) -> list[list[_Planned]]:
    """Return the first sessions of all visitors, then the second ones, and so on."""
    rounds: defaultdict[int, list[_Planned]] = defaultdict(list)
    for arrival in scenario.arrivals(visitors):
        begins = scenario.moment(arrival, end)
        over = arrival.until((end - begins).total_seconds())
        for number, session in enumerate(over):
            planned = _Planned(begins + timedelta(seconds=session.after), session)
            rounds[number].append(planned)
    return [rounds[number] for number in sorted(rounds)]


def _wait_until_written(seconds: float = 30.0) -> None:
    """Wait until the hits of this site that wait on disk are rows."""
    end = time.monotonic() + seconds
    while health.report(get_backend()).figures.get("waiting") and time.monotonic() < end:
        time.sleep(0.05)


def _run_session(address: Address, begins: datetime, session: Session) -> Iterator[Simulated]:
    """Send the requests of a session without pauses; yield each with the time to move it to."""
    client, _after, requests = session
    with closing(Browser(address, client)) as browser:
        for request in requests:
            began = timezone.now()
            browser.send(request)
            to = begins + timedelta(seconds=request.after)
            yield Simulated(client.address, began, timezone.now(), to)


# --- Real time -----------------------------------------------------------------------------


@contextmanager
def background_visitors(address: Address) -> Iterator[None]:
    """Simulate visitors in a thread until the block ends.

    Args:
        address: the server to visit.

    Raises:
        shop.scenario.NoMailError: no campaign was sent.
    """
    stop = threading.Event()
    thread = threading.Thread(
        target=simulate_live, args=[address, Scenario(Random()), stop], daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def simulate_live(
    address: Address, scenario: Scenario, stop: threading.Event, seconds: float = math.inf
) -> None:
    """Simulate visitors in real time, a few in a minute, one request after the other.

    Args:
        address: the server to visit.
        scenario: invents the visitors.
        stop: ends the simulation when it is set.
        seconds: the duration.
    """
    end = time.monotonic() + seconds
    for due, client, request in _requests(scenario):
        if stop.wait(max(min(due, end) - time.monotonic(), 0)) or due > end:
            return
        # Errors are in the log of the shop; the simulation goes on.
        with (
            suppress(OSError, http.client.HTTPException, ShopFailedError),
            closing(Browser(address, client)) as browser,
        ):
            browser.send(request)


def _requests(scenario: Scenario) -> Iterator[tuple[float, Client, Request]]:
    """Yield each request with its client and its time on the monotonic clock, endlessly."""
    chance, number = Random(), count()
    waiting: list[tuple[float, int, Client, Request]] = []
    now = time.monotonic()
    for index, arrival in enumerate(scenario.arrivals()):
        for client, after, requests in arrival.sessions:
            for request in requests:
                due = now + after + request.after
                heapq.heappush(waiting, (due, next(number), client, request))
        now += 1 if index < SOON else chance.expovariate(1 / PAUSE)
        while waiting and waiting[0][0] < now:
            due, _number, client, request = heapq.heappop(waiting)
            yield due, client, request

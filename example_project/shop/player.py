"""Plays the visitors of :mod:`shop.day`: real requests, over real sockets.

    with front_door() as address:
        play_day(address, 300)              # 24 hours, in some seconds
        with living(address):               # and on, as time goes by
            ...

The shop cannot be told that it is another time. So a day is played fast, and then what was
recorded of it is spread over the 24 hours before now (:mod:`shop.spread`).
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

from django.core.servers.basehttp import (
    ThreadedWSGIServer,
    WSGIRequestHandler,
    get_internal_wsgi_application,
)
from django.utils import timezone

from shop.day import Cast, Client, Sitting, Step
from shop.quiet import PLAYED
from shop.spread import Move, spread

#: Host and port of a server.
Address = tuple[str, int]

#: Redirects that a visitor follows.
REDIRECTS = 3

#: Seconds from one visitor to the next while the shop is living, on average; and for how many
#: it is one second, so that the shop is not empty for long.
PAUSE, SOON = 12.0, 8


# --- A server for the visitors -----------------------------------------------------------


class _Handler(WSGIRequestHandler):
    #: Else each answer waits 40 ms for the visitor to confirm that its headers have arrived.
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        """Say nothing: they would bury the requests of whoever tries the shop."""


class _Server(ThreadedWSGIServer):
    def process_request_thread(self, request: object, client_address: object) -> None:
        threading.current_thread().name = PLAYED
        super().process_request_thread(request, client_address)


@contextmanager
def front_door() -> Iterator[Address]:
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
    """The shop has answered with an error of its own."""


class Caller:
    """A client at the shop: keeps its cookies, and follows redirects."""

    def __init__(self, address: Address, client: Client) -> None:
        self._client = client
        self._connection = http.client.HTTPConnection(*address, timeout=30)

    def close(self) -> None:
        self._connection.close()

    def take(self, step: Step) -> None:
        """Ask for what the step says.

        Raises:
            ShopFailedError: the answer is a 5xx.
        """
        path = step.path
        for _ in range(1 + REDIRECTS):
            answer = self._ask(path, step.referrer)
            if answer.status >= http.client.INTERNAL_SERVER_ERROR:
                raise ShopFailedError(f"{path} is answered with {answer.status}.")
            path = answer.headers["Location"]
            if path is None:
                return

    def _ask(self, path: str, referrer: str) -> http.client.HTTPResponse:
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
            # What a proxy would write; the settings of the shop trust this machine.
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


class Figures(NamedTuple):
    """What was played: requests, without those of redirects, and the seconds it took."""

    requests: int
    seconds: float


class _Planned(NamedTuple):
    begins: datetime
    sitting: Sitting


def play_day(
    address: Address,
    visitors: int,
    seed: int = 1,
    progress: Callable[[float], None] = lambda _share: None,
) -> Figures:
    """Play the 24 hours before now.

    Args:
        address: the server that is visited.
        visitors: how many people and machines come.
        seed: what chance begins with.
        progress: is called after each sitting, with the share that is done.

    Raises:
        shop.day.NoLettersError: no campaign was sent.
        ShopFailedError: the shop did not stand it.
    """
    began, now = time.monotonic(), timezone.now()
    cast = Cast(Random(seed))
    rounds = _rounds(cast, visitors, now)
    total, done = sum(map(len, rounds)), count(1)
    for planned in rounds:
        moves: list[Move] = []
        try:
            for begins, sitting in planned:
                moves.extend(_sit(address, begins, sitting))
                progress(next(done) / total)
        finally:
            # Before the next round: who comes again must find the first visit hours ago.
            spread(moves)
    requests = sum(len(sitting.steps) for planned in rounds for _begins, sitting in planned)
    return Figures(requests, time.monotonic() - began)


def _rounds(cast: Cast, visitors: int, end: datetime) -> list[list[_Planned]]:
    """Return everybody's first sitting, everybody's second, and so on."""
    rounds: defaultdict[int, list[_Planned]] = defaultdict(list)
    for arrival in cast.arrivals(visitors):
        begins = cast.moment(arrival, end)
        over = arrival.until((end - begins).total_seconds())
        for number, sitting in enumerate(over):
            planned = _Planned(begins + timedelta(seconds=sitting.after), sitting)
            rounds[number].append(planned)
    return [rounds[number] for number in sorted(rounds)]


def _sit(address: Address, begins: datetime, sitting: Sitting) -> Iterator[Move]:
    """Play a sitting without its pauses; yield after each request what is to be moved where."""
    client, _after, steps = sitting
    with closing(Caller(address, client)) as caller:
        for step in steps:
            began = timezone.now()
            caller.take(step)
            to = begins + timedelta(seconds=step.after)
            yield Move(client.address, began, timezone.now(), to)


# --- And now -----------------------------------------------------------------------------


@contextmanager
def living(address: Address) -> Iterator[None]:
    """Let visitors come and go, in a thread, until the block ends.

    Args:
        address: the server that is visited.

    Raises:
        shop.day.NoLettersError: no campaign was sent.
    """
    over = threading.Event()
    thread = threading.Thread(target=live, args=[address, Cast(Random()), over], daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def live(address: Address, cast: Cast, over: threading.Event, seconds: float = math.inf) -> None:
    """Let visitors come and go, one request after the other, and a few of them in a minute.

    Args:
        address: the server that is visited.
        cast: who comes.
        over: ends it when it is set.
        seconds: how long it takes.
    """
    end = time.monotonic() + seconds
    for due, client, step in _steps(cast):
        if over.wait(max(min(due, end) - time.monotonic(), 0)) or due > end:
            return
        # A visitor does not mind what is wrong with the shop; its log tells.
        with (
            suppress(OSError, http.client.HTTPException, ShopFailedError),
            closing(Caller(address, client)) as caller,
        ):
            caller.take(step)


def _steps(cast: Cast) -> Iterator[tuple[float, Client, Step]]:
    """Yield what is asked for by whom, and when by the monotonic clock, for ever."""
    chance, number = Random(), count()
    waiting: list[tuple[float, int, Client, Step]] = []
    now = time.monotonic()
    for come, arrival in enumerate(cast.arrivals()):
        for client, after, steps in arrival.sittings:
            for step in steps:
                due = now + after + step.after
                heapq.heappush(waiting, (due, next(number), client, step))
        now += 1 if come < SOON else chance.expovariate(1 / PAUSE)
        while waiting and waiting[0][0] < now:
            due, _number, client, step = heapq.heappop(waiting)
            yield due, client, step

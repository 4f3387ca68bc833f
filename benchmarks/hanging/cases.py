"""Sites behind servers, each with a database behind a proxy."""

import asyncio
import json
import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from benchmarks.databases import temporary_database
from benchmarks.hanging.load import Answer, Times, send
from benchmarks.servers import requests, sites, variants
from benchmarks.servers.load import wire_requests
from benchmarks.servers.serving import SERVERS
from tests.settings import SERVERS as DATABASE_SERVERS
from tests.support.processes import free_port, wait_until
from tests.support.tcp_proxy import TcpProxy

#: Milliseconds in which 99 of 100 requests are to be answered.
TARGET = 50.0
#: Seconds after a cold start in which requests may wait, and for how many seconds: 2 for the bans,
#: and until those have their answers who have waited before.
START, START_WAIT = 4.0, 3.5
#: Seconds of load before the database of a warm server hangs.
WARM_UP = 4.0
#: Seconds in which all answers become rows once the database answers again.
WRITTEN_WITHIN = 60.0

_MIDDLEWARE = [
    "tracking.middleware.BannedIPMiddleware",
    "tracking.middleware.VisitorTrackingMiddleware",
]


class Case(NamedTuple):
    """What is measured.

    Attributes:
        server: one of ``benchmarks.servers.serving.SERVERS``.
        edge: whether ``tracking.edge`` is in front of Django.
        backend: a dotted path.
        is_cold: whether the database hangs already when the server starts.
        delay: seconds that each message takes; ``None`` if none is passed on.
    """

    server: str
    edge: bool
    backend: str
    is_cold: bool
    delay: float | None

    def __str__(self) -> str:
        return f"{self.server}{', edge' if self.edge else ''}"


class Figures(NamedTuple):
    """What was measured.

    Attributes:
        case: the case.
        first: those who met a server that had just started.
        pixels, pages: the times of all others.
        faults: answers that were wrong or missing.
        unwritten: how many answers have become no row.
    """

    case: Case
    first: Times
    pixels: Times
    pages: Times
    faults: Counter[str]
    unwritten: int

    @property
    def is_reached(self) -> bool:
        """Whether all is as it should be."""
        return (
            max(self.pixels.p99, self.pages.p99) < TARGET
            and self.first.longest < START_WAIT * 1_000
            and not self.faults
            and self.unwritten == 0
        )

    def __str__(self) -> str:
        start = f"start, max {self.first.longest:7.1f}  " if self.case.is_cold else ""
        return (
            f"{self.case!s:<24}{start}pixel {self.pixels}  page {self.pages}  "
            f"faults {dict(self.faults) or 0}, lost {self.unwritten}"
            f"{'' if self.is_reached else '  MISSED'}"
        )


class Databases:
    """Makes databases of PostgreSQL with our tables, quickly."""

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        using = self._stack.enter_context(temporary_database("postgresql"))
        if using is None:
            raise SystemExit("There is no PostgreSQL.")
        from django.db import connections

        self._template = connections[using].settings_dict["NAME"]
        connections[using].close()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def copy(self) -> Iterator[str]:
        """Make a database, give its name, and remove it."""
        name = f"{self._template}_{uuid.uuid4().hex[:8]}"
        with sites._postgresql("postgres") as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{self._template}"')
        try:
            yield name
        finally:
            with sites._postgresql("postgres") as connection:
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def measure(
    cases: Sequence[Case], databases: Databases, folder: Path, rate: float, seconds: float
) -> list[Figures]:
    """Measure cases at the same time, and return their figures."""
    requests.write(folder)
    with ExitStack() as stack:
        running = [
            stack.enter_context(_running(case, stack.enter_context(databases.copy()), folder))
            for case in cases
        ]
        for one in running:
            one.wait_until_loaded()
        return asyncio.run(_measure(running, folder, rate, seconds))


class _Running(NamedTuple):
    """A site with its server."""

    case: Case
    database: str
    proxy: TcpProxy
    port: int
    folder: Path
    process: "subprocess.Popen[bytes]"

    def wait_until_loaded(self) -> None:
        log = self.folder / "log"
        wait_until((self.folder / "loaded").exists, 60, log.read_text)

    def hang(self) -> None:
        if self.case.delay is None:
            self.proxy.hold()
        else:
            self.proxy.delay = self.case.delay

    def heal(self) -> None:
        self.proxy.delay = 0.0
        self.proxy.release()

    def rows(self) -> int:
        with sites._postgresql(self.database) as connection:
            queries = (variants._BEACONS, variants._PAGE_VIEWS)
            return sum(connection.execute(query).fetchone()[0] for query in queries)


@contextmanager
def _running(case: Case, database: str, folder: Path) -> Iterator[_Running]:
    server, port = SERVERS[case.server], free_port()
    place = folder / str(case).replace(", ", "-")
    place.mkdir()
    known = DATABASE_SERVERS["postgresql"]
    proxy = TcpProxy(known["HOST"], int(known.get("PORT") or 5432))
    proxy.open()
    settings = {
        **variants._ours(case.backend, BENCHMARK_EDGE=case.edge, MIDDLEWARE=_MIDDLEWARE),
        "BENCHMARK_URLS": ["ours", "page"],
        "DATABASES": {"default": {**known, "PORT": str(proxy.port), "NAME": database}},
        "TRACKING_SPOOL": str(place / "spool"),
    }
    (place / "settings.json").write_text(json.dumps(settings))
    application = f"benchmarks.hanging.{server.interface}:application"
    arguments = [part.format(port=port, application=application) for part in server.arguments]
    environment = {
        **os.environ,
        "PYTHONPATH": str(sites.ROOT),
        "DJANGO_SETTINGS_MODULE": "benchmarks.servers.site.settings",
        "BENCHMARK_SETTINGS": str(place / "settings.json"),
    }
    if case.is_cold:
        _Running(case, database, proxy, port, place, None).hang()  # type: ignore[arg-type]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=place,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        yield _Running(case, database, proxy, port, place, process)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        proxy.close()


async def _measure(
    running: Sequence[_Running], folder: Path, rate: float, seconds: float
) -> list[Figures]:
    async def load(some: Sequence[_Running], seconds: float) -> list[list[Answer]]:
        # Their requests are spread over time, as those of strangers are.
        async def later(number: int, one: _Running) -> list[Answer]:
            await asyncio.sleep(number / rate / len(some))
            return await send(one.port, _requests(folder, one.port), rate, seconds)

        return await asyncio.gather(*(later(*pair) for pair in enumerate(some)))

    warm = [one for one in running if not one.case.is_cold]
    earlier = dict(zip(warm, await load(warm, WARM_UP), strict=True)) if warm else {}
    for one in running:
        one.hang()
    loaded = asyncio.create_task(load(running, seconds))
    await asyncio.sleep(seconds)
    for one in running:
        one.heal()
    answers = await loaded
    return [
        _figures(one, earlier.get(one, []), found)
        for one, found in zip(running, answers, strict=True)
    ]


def _requests(folder: Path, port: int) -> list[tuple[str, bytes]]:
    kinds = {
        kind: wire_requests(str(folder / f"{kind}.json"), port)[:500] for kind in ("pixel", "page")
    }
    return [
        (kind, request[:-2] + b"Connection: close\r\n\r\n")
        for pair in zip(*kinds.values(), strict=True)
        for kind, request in zip(kinds, pair, strict=True)
    ]


def _figures(one: _Running, earlier: list[Answer], answers: list[Answer]) -> Figures:
    first = [a for a in answers if one.case.is_cold and a.sent_at < START]
    others = [a for a in answers if a not in set(first)]
    expected = sum(not answer.fault for answer in (*earlier, *answers))
    deadline = time.monotonic() + WRITTEN_WITHIN
    while (rows := one.rows()) < expected and time.monotonic() < deadline:
        time.sleep(0.5)
    return Figures(
        one.case,
        Times.of(first),
        Times.of([answer for answer in others if answer.kind == "pixel"]),
        Times.of([answer for answer in others if answer.kind == "page"]),
        Counter(answer.fault for answer in answers if answer.fault),
        expected - rows,
    )

"""Requests at a fixed rate, whether earlier ones are answered or not."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

#: Seconds to wait for an answer.
PATIENCE = 60.0


class Answer(NamedTuple):
    """What became of a request.

    Attributes:
        kind: ``pixel`` or ``page``.
        sent_at: seconds since the first request.
        seconds: until its answer was complete.
        fault: what was wrong; ``""`` if nothing was.
    """

    kind: str
    sent_at: float
    seconds: float
    fault: str


class Times(NamedTuple):
    """Milliseconds until answers."""

    p50: float
    p99: float
    longest: float

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> "Times":
        """Return those of some answers."""
        times = sorted(answer.seconds * 1_000 for answer in answers)
        if not times:
            return cls(0.0, 0.0, 0.0)
        return cls(statistics.median(times), times[len(times) * 99 // 100], times[-1])

    def __str__(self) -> str:
        return f"{self.p50:5.1f} {self.p99:8.1f} {self.longest:9.1f}"


async def send(
    port: int, requests: Sequence[tuple[str, bytes]], rate: float, seconds: float
) -> list[Answer]:
    """Send requests, each on a connection of its own.

    Args:
        port: the port of the server on 127.0.0.1.
        requests: kinds and bytes; sent in turn.
        rate: requests a second.
        seconds: how long.
    """
    began = time.perf_counter()
    tasks = []
    for number in range(round(rate * seconds)):
        await asyncio.sleep(max(began + number / rate - time.perf_counter(), 0))
        kind, request = requests[number % len(requests)]
        tasks.append(asyncio.create_task(_ask(port, kind, request, began)))
    return list(await asyncio.gather(*tasks))


async def _ask(port: int, kind: str, request: bytes, began: float) -> Answer:
    sent = time.perf_counter()
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await _answer(port, request)
        fault = "" if answer.startswith(b"HTTP/1.1 200 ") else repr(answer[:60])
    except (OSError, TimeoutError) as error:
        fault = type(error).__name__
    return Answer(kind, sent - began, time.perf_counter() - sent, fault)


async def _answer(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await reader.read()
    finally:
        writer.close()

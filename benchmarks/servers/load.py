"""A load generator in its own process: ``python -m benchmarks.servers.load``.

It uses plain sockets and ``epoll``, so that it is much cheaper than the server. Requests are
prepared beforehand, each connection has one request in flight, and only the first and last bytes
of an answer are compared. The report says how busy the generator was.

It reads a :class:`Task` as JSON from standard input, and prints a :class:`Report` as JSON.
"""

import json
import os
import select
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import cycle

#: Seconds to wait for an answer.
PATIENCE = 20.0
_PIECE = 65536
_TICKS = os.sysconf("SC_CLK_TCK")
#: Seconds in a tick, the unit of processor time.
TICK = 1 / _TICKS


@dataclass(frozen=True)
class Task:
    """The requests to send.

    Attributes:
        port: the port of the server on 127.0.0.1.
        process: the process id of the server; its children are included.
        requests: a file of requests, see :mod:`benchmarks.servers.requests`.
        body: the expected body, in hexadecimal digits.
        connections: number of concurrent connections.
        warm_up, seconds: seconds before answers are counted, and seconds of counting.
        core: the processor to run on, or ``None``.
    """

    port: int
    process: int
    requests: str
    body: str
    connections: int
    warm_up: float
    seconds: float
    core: int | None


@dataclass(frozen=True)
class Report:
    """The result.

    Attributes:
        answers: answers within the counted time.
        seconds: the length of that time.
        all_answers: all answers, with those before and after.
        cpu: seconds of processor time of the server in the counted time.
        threads: the same for each of its threads, by the kernel's thread id.
        busy: share of the time in which the generator did not wait for answers. Near 1, the
            generator is the bottleneck.
        keeps_alive: whether connections were reused.
    """

    answers: int
    seconds: float
    all_answers: int
    cpu: float
    threads: dict[str, float]
    busy: float
    keeps_alive: bool


class WrongAnswer(Exception):
    """An answer differs from the expected one."""


class Load:
    """One run of the load generator."""

    def __init__(self, task: Task, requests: list[bytes]) -> None:
        self._task = task
        self._requests: Iterator[bytes] = cycle(requests)
        body = bytes.fromhex(task.body)
        #: With ``Content-Length`` or until the end of the connection; and as one chunk.
        self._endings = (
            b"\r\n\r\n%b" % body,
            b"\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
            b"\r\n\r\n%X\r\n%b\r\n0\r\n\r\n" % (len(body), body),
        )
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._begun: dict[int, bytes] = {}
        self._keeps_alive = True
        self._waited = 0.0
        self.answers = 0

    def run(self) -> Report:
        """Send the requests, and return the report."""
        self._ask_once()
        for _ in range(self._task.connections):
            self._open()
        self._work(time.perf_counter() + self._task.warm_up)
        server = self._task.process
        answers, self._waited = self.answers, 0.0
        cpu, threads = cpu_of(server), threads_of(server)
        start = time.perf_counter()
        self._work(start + self._task.seconds)
        seconds = time.perf_counter() - start
        answers, cpu = self.answers - answers, cpu_of(server) - cpu
        busy = 1 - self._waited / seconds
        spent = {name: used - threads.get(name, 0.0) for name, used in threads_of(server).items()}
        self._end()
        return Report(
            answers=answers,
            seconds=seconds,
            all_answers=self.answers,
            cpu=cpu,
            threads=spent,
            busy=busy,
            keeps_alive=self._keeps_alive,
        )

    def _ask_once(self) -> None:
        """Send one request, and find out whether the server closes the connection."""
        with socket.create_connection(("127.0.0.1", self._task.port), PATIENCE) as connection:
            connection.sendall(next(self._requests))
            answer = b""
            while not answer.endswith(self._endings):
                if not (piece := connection.recv(_PIECE)):
                    break
                answer += piece
        self._check(answer)
        self._keeps_alive = b"\r\nconnection: close" not in answer.lower()

    def _open(self) -> None:
        connection = socket.create_connection(("127.0.0.1", self._task.port), PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.send(next(self._requests))
        number = connection.fileno()
        self._sockets[number] = connection
        self._begun[number] = b""
        self._poll.register(number, select.EPOLLIN)

    def _close(self, number: int) -> None:
        self._poll.unregister(number)
        self._sockets.pop(number).close()

    def _work(self, until: float) -> None:
        """Send a request for each answer that arrives, until the time is up."""
        keeps_alive, requests, sockets = self._keeps_alive, self._requests, self._sockets
        while time.perf_counter() < until:
            for number in self._answered():
                if keeps_alive:
                    sockets[number].send(next(requests))
                else:
                    self._close(number)
                    self._open()

    def _end(self) -> None:
        """Wait for requests in flight; their answers are recorded, too."""
        while self._sockets:
            for number in self._answered():
                self._close(number)

    def _answered(self) -> Iterator[int]:
        """Yield the connections with a complete answer."""
        begun, endings = self._begun, self._endings
        asked = time.perf_counter()
        events = self._poll.poll(PATIENCE)
        self._waited += time.perf_counter() - asked
        if not events:
            raise WrongAnswer(f"no answer for {PATIENCE:.0f} s")
        for number, _ in events:
            piece = self._sockets[number].recv(_PIECE)
            answer = begun[number] + piece if begun[number] else piece
            if answer.endswith(endings) and answer.startswith(b"HTTP/1.1 200 "):
                begun[number] = b""
                self.answers += 1
                yield number
            elif not piece or not b"HTTP/1.1 200 ".startswith(answer[:13]):
                self._check(answer)
            else:
                begun[number] = answer

    def _check(self, answer: bytes) -> None:
        if not (answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(self._endings)):
            raise WrongAnswer(f"{answer[:1000]!r} after {self.answers:,} answers")


def tree_of(process: int) -> list[int]:
    """Return a process and its descendants."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := _fields(f"/proc/{name}/stat")):
            children.setdefault(int(fields[1]), []).append(int(name))
    found = [process]
    for one in found:
        found += children.get(one, [])
    return found


def cpu_of(process: int) -> float:
    """Return the seconds of processor time of a process and its descendants."""
    return sum(_seconds(f"/proc/{one}/stat") for one in tree_of(process))


def threads_of(process: int) -> dict[str, float]:
    """Return the same for each of their threads."""
    return {
        thread: _seconds(f"/proc/{one}/task/{thread}/stat")
        for one in tree_of(process)
        for thread in os.listdir(f"/proc/{one}/task")
    }


def _seconds(path: str) -> float:
    # proc(5): utime and stime are the fields 14 and 15, in ticks of the clock.
    fields = _fields(path)
    return (int(fields[11]) + int(fields[12])) * TICK if fields else 0.0


def _fields(path: str) -> list[str]:
    """Return the fields of a ``stat`` file from the third on; the second may contain anything."""
    try:
        with open(path) as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # the process has ended
        return []


def wire_requests(path: str, port: int) -> list[bytes]:
    """Return the requests of a file as bytes to send."""
    with open(path) as file:
        described = json.load(file)
    return [
        "\r\n".join(
            (
                f"GET {request['path']} HTTP/1.1",
                f"Host: 127.0.0.1:{port}",
                *(
                    f"{name}: {value.replace('{port}', str(port))}"
                    for name, value in request["headers"].items()
                ),
                "",
                "",
            )
        ).encode()
        for request in described
    ]


def main() -> None:
    """Run the task from standard input."""
    task = Task(**json.load(sys.stdin))
    if task.core is not None:
        os.sched_setaffinity(0, {task.core})
    load = Load(task, wire_requests(task.requests, task.port))
    try:
        report = load.run()
    except (WrongAnswer, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    print(json.dumps(asdict(report)))


if __name__ == "__main__":
    main()

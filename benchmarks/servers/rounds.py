"""Rounds: load each variant in turn, and count the rows that it records."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from benchmarks.servers.load import TICK, Report, Task, cpu_of
from benchmarks.servers.serving import NotServed, Served, Server, cores, serving
from benchmarks.servers.sites import ROOT, Absent, Site

#: Concurrent connections of the load generator.
CONNECTIONS = 8

#: Seconds of warm-up in each turn.
WARM_UP = 0.3

#: Seconds to wait for the last rows.
PATIENCE = 60.0


class WrongAnswers(Exception):
    """A site answered differently than expected. The message is its answer."""


class LostRows(Exception):
    """A site recorded more or fewer rows than answers. The message has both numbers."""


@dataclass
class Measured:
    """The results of one variant on one server, round by round.

    Attributes:
        rates: answers a second.
        cpu: microseconds of processor time of the server for an answer, all threads.
        writer: the part of it used by the thread that writes to the database; or beside it, that of
            the writer process.
        late: seconds from the last answer to the last row.
        answers: the number of answers, all checked.
        rows: the number of rows recorded for them; ``None`` if the variant records none.
        busy: the highest share of time in which the load generator did not wait.
    """

    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    writer: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    answers: int = 0
    rows: int | None = None
    busy: float = 0.0
    keeps_alive: bool = True


class Duration(NamedTuple):
    """The length of a measurement.

    Attributes:
        rounds: turns of each variant.
        seconds: length of a turn.
    """

    rounds: int
    seconds: float


def measure(
    sites: Sequence[Site], server: Server, duration: Duration
) -> tuple[dict[str, Measured], dict[str, str]]:
    """Measure all sites on one server.

    Returns:
        The results, and the reasons why others are missing, both by name of the variant.
    """
    absent: dict[str, str] = {}
    with ExitStack() as stack:
        all_served = []
        for site in sites:
            if server.interface in site.variant.interfaces:
                try:
                    all_served.append(stack.enter_context(serving(site, server, cores()[0])))
                except NotServed as error:
                    absent[site.variant.name] = str(error).splitlines()[-1]
        measured = {served.site.variant.name: Measured() for served in all_served}
        for number in range(duration.rounds):
            # Every other round in reverse, so that no variant always comes first.
            for served in all_served[:: -1 if number % 2 else 1]:
                variant = served.site.variant
                if variant.name in absent:
                    continue
                words = f"  round {number + 1} of {duration.rounds}: {variant.title}"
                print(f"{words:<78}", end="\r", file=sys.stderr, flush=True)
                try:
                    _turn(served, duration.seconds, measured[variant.name])
                except (WrongAnswers, LostRows, Absent) as error:
                    absent[variant.name] = str(error)
    print(end="\x1b[2K", file=sys.stderr, flush=True)
    return {name: what for name, what in measured.items() if name not in absent}, absent


def _turn(served: Served, seconds: float, measured: Measured) -> None:
    variant = served.site.variant
    before = served.site.rows() if variant.rows else 0
    writer_before = _of_writer_process(served)
    report = _load(served, seconds)
    ended = time.perf_counter()
    measured.rates.append(report.answers / report.seconds)
    # Less than a tick of the clock reads as zero.
    measured.cpu.append(max(report.cpu, TICK) / report.answers * 1e6)
    measured.answers += report.all_answers
    measured.busy = max(measured.busy, report.busy)
    measured.keeps_alive = report.keeps_alive
    if variant.rows:
        rows = _rows(served, before, report.all_answers)
        measured.late.append(time.perf_counter() - ended)
        measured.rows = (measured.rows or 0) + rows
    if variant.writer_process:
        writer = (_of_writer_process(served) - writer_before) / report.all_answers
    else:
        writer = _of_writer(served, report) / report.answers
    measured.writer.append(writer * 1e6)


def _load(served: Served, seconds: float) -> Report:
    task = Task(
        port=served.port,
        process=served.process.pid,
        requests=str(served.site.folder.parent / f"{served.site.variant.requests}.json"),
        body=served.site.variant.body.hex(),
        connections=CONNECTIONS,
        warm_up=WARM_UP,
        seconds=seconds,
        core=cores()[1],
    )
    result = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "load.py")],
        cwd=ROOT,
        input=json.dumps(asdict(task)),
        capture_output=True,
        check=False,
        text=True,
    )
    if result.returncode:
        raise WrongAnswers((result.stderr.strip().splitlines() or ["no reason given"])[-1])
    return Report(**json.loads(result.stdout))


def _rows(served: Served, before: int, answers: int) -> int:
    """Wait until each answer has a row, and return the number of rows.

    The load generator sends one request more than it counts, to check the first answer.
    """
    deadline = time.perf_counter() + PATIENCE
    while (rows := served.site.rows() - before) < answers + 1:
        if time.perf_counter() > deadline:
            break
        time.sleep(0.02)
    if rows != answers + 1:
        raise LostRows(f"{answers + 1:,} answers, {rows:,} rows")
    return rows - 1


def _of_writer_process(served: Served) -> float:
    return cpu_of(served.writer.pid) if served.writer is not None else 0.0


def _of_writer(served: Served, report: Report) -> float:
    """Return the seconds of processor time of the writer thread."""
    if not served.site.variant.has_writer:
        return 0.0
    with urllib.request.urlopen(f"http://127.0.0.1:{served.port}/threads") as answer:
        threads = json.load(answer)
    writers = [str(number) for name, number in threads.items() if name == "tracking-writer"]
    return sum(report.threads.get(number, 0.0) for number in writers)

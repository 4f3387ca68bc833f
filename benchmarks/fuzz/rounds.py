"""One round: a site behind a server, its requests, and what is left of them afterwards."""

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

from django.db import connections
from django.db.models import Max
from django.db.models.functions import Length

from benchmarks.databases import temporary_database
from benchmarks.fuzz import clients
from benchmarks.fuzz.cases import BANNED, TARGET_URL, SiteFacts
from benchmarks.fuzz.clients import Ledger
from benchmarks.servers.load import tree_of
from benchmarks.servers.serving import SERVERS
from tests.support.processes import Site, free_port, wait_until
from tracking.db.column_values import MAX_TEXT
from tracking.models import BannedIP, Beacon, PageView, Source, Target, Visit, Visitor
from tracking.pipeline.spool import folder_status

BACKENDS = {
    "buffered": "tracking.backends.buffered.BufferedBackend",
    "immediate": "tracking.backends.immediate.ImmediateBackend",
}

#: Growth of memory in kB after the first quarter of a round that is a leak. Caches of the app
#: hold 10,000 entries of 512 characters and are not full by then.
MAX_GROWTH = 60_000

SETTINGS = """
from benchmarks.fuzz.site.settings import *

DATABASES = {"default": %(database)r}
TRACKING_BACKEND = %(backend)r
TRACKING_PROXY_HEADER = %(header)r
"""


class Round(NamedTuple):
    """What is fuzzed.

    Attributes:
        server: one of ``benchmarks.servers.serving.SERVERS``.
        edge: whether ``tracking.edge`` is in front of Django.
        backend: one of ``BACKENDS``.
        database: ``sqlite``, ``postgresql`` or ``mariadb``.
        header: the value of ``TRACKING_PROXY_HEADER``.
        requests: how many.
        seed: the same seed makes the same requests.
    """

    server: str
    edge: bool
    backend: str
    database: str
    header: str
    requests: int
    seed: int

    def __str__(self) -> str:
        edge = " with edge" if self.edge else ""
        return f"{self.server}{edge}, {self.backend}, {self.database}, {self.header}"


@dataclass
class Result:
    """What a round has shown.

    Attributes:
        ledger: what the clients saw.
        seconds: how long the requests took.
        faults: what was wrong, besides the faults in the ledger.
        figures: sizes, by name.
    """

    ledger: Ledger
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)


def run(planned: Round, folder: Path) -> Result | None:
    """Run a round; return ``None`` if its database is not available."""
    with temporary_database(planned.database) as using:
        if using is None:
            return None
        site = _site(planned, folder, using)
        facts, seed = _facts(planned), f"{planned.seed} {planned}"
        with _served(planned, site) as (server, port), _watch(site, server) as samples:
            began = time.monotonic()
            ledger = clients.run(facts, port, planned.requests, seed)
            result = Result(ledger, time.monotonic() - began)
        if planned.backend == "buffered":
            site.run("-m", "django", "tracking_drain")
        _check_rows(result, facts, seed)
        _check_sizes(result, site, samples, using)
        _check_log(result, site.folder / "server.log")
        return result


def _site(planned: Round, folder: Path, using: str) -> Site:
    known = connections[using].settings_dict
    names = ("ENGINE", "HOST", "PORT", "USER", "PASSWORD", "NAME", "OPTIONS")
    database = {name: known[name] for name in names}
    if planned.database == "sqlite":
        database["OPTIONS"] = {**database["OPTIONS"], "timeout": 30}
    elif SERVERS[planned.server].interface == "wsgi":
        database["CONN_MAX_AGE"] = None
    elif planned.database == "postgresql":  # each request has a thread of its own
        database["OPTIONS"] = {"pool": {"min_size": 1, "max_size": 8}}
    backend = BACKENDS[planned.backend]
    values = {"database": database, "backend": backend, "header": planned.header}
    site = Site(folder, SETTINGS % values)
    site.environment["FUZZ_EDGE"] = "yes" if planned.edge else ""
    return site


def _facts(planned: Round) -> SiteFacts:
    """Create the rows that requests name."""
    BannedIP.objects.create(network=BANNED)
    target = Target.objects.create(name="Shop", url=TARGET_URL.decode())
    source = Source.objects.create(name="Letter", slug="letter")
    return SiteFacts(
        proxy_header=planned.header,
        drops_letters=planned.server == "granian-wsgi",
        target=target.pk,
        source=source.slug,
        source_id=source.pk,
    )


@contextmanager
def _served(planned: Round, site: Site) -> Iterator[tuple[Popen[str], int]]:
    server, port = SERVERS[planned.server], free_port()
    application = f"benchmarks.fuzz.site.{server.interface}:application"
    arguments = (part.format(port=port, application=application) for part in server.arguments)
    with (site.folder / "server.log").open("w") as log:
        process = site.start("-m", *arguments, stdout=log, stderr=log)
        try:
            wait_until(lambda: clients.is_served(port), 30)
            yield process, port
        finally:
            process.terminate()
            process.wait(60)


# Watching.


class Sample(NamedTuple):
    """Sizes while the server runs: resident memory in kB, and bytes of the spool."""

    memory: int
    spool: int


@contextmanager
def _watch(site: Site, server: Popen[str]) -> Iterator[list[Sample]]:
    samples: list[Sample] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            samples.append(Sample(sum(map(_memory, tree_of(server.pid))), _size(site.spool)))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()


def _memory(process: int) -> int:
    try:
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    except OSError:  # it has ended
        return 0
    return int(found[1]) if found else 0


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:  # it has been deleted
            continue
    return total


# Afterwards.


def _check_rows(result: Result, facts: SiteFacts, seed: str) -> None:
    """Compare the rows with the answers: none lost, none twice, none of a forged token."""
    rows = Counter(_numbers())
    ledger = result.ledger
    lost = ledger.required - rows.keys()
    doubled = [number for number, count in rows.items() if count > 1]
    unexpected = rows.keys() - ledger.required - ledger.allowed
    for title, numbers in (("lost", lost), ("doubled", doubled), ("unexpected", unexpected)):
        if numbers:
            some = sorted(numbers, key=str)[:5]
            requests = clients.requests_of(facts, seed, {n for n in some if isinstance(n, int)})
            shown = [
                f"\n    {case.kind} {case.number} {case.request[:1_500]!r}" for case in requests
            ]
            result.faults.append(f"{len(numbers):,} rows {title}: {some}{''.join(shown)}")
    required, allowed = len(ledger.required), len(ledger.allowed)
    result.figures["answers"] = f"{required:,} must be rows, {allowed:,} may be"
    result.figures["rows"] = f"{rows.total():,}; {len(lost)} lost, {len(doubled)} doubled"


def _numbers() -> Iterator[int | str]:
    """Yield the number of the request of each row; its text, if it has none."""
    for data, referrer in Beacon.objects.values_list("data", "referrer").iterator():
        found = re.fullmatch(r"https://news\.example/n/(\d+)", referrer)
        yield data["n"] if "n" in data else int(found[1]) if found else referrer
    for url in PageView.objects.values_list("url", flat=True).iterator():
        found = re.match(r"/[a-z-]+/(\d+)/", url)
        yield int(found[1]) if found else url


#: Columns that hold what clients send.
_TEXTS = (
    (Beacon, ("user_agent", "referrer", "url")),
    (PageView, ("url",)),
    (Visit, ("referrer", "entry_url", "exit_url", "source", "medium", "campaign", "term")),
    (Visitor, ("user_agent", "referrer", "url", "session_key")),
)


def _check_sizes(result: Result, site: Site, samples: list[Sample], using: str) -> None:
    state = folder_status(site.spool)
    if state.waiting or state.rejected:
        result.faults.append(f"spool: {state.waiting} waiting, {state.rejected} rejected")
    for model, names in _TEXTS:
        longest = model._default_manager.aggregate(**{name: Max(Length(name)) for name in names})
        if any((length or 0) > MAX_TEXT for length in longest.values()):
            result.faults.append(f"{model.__name__}: texts longer than {MAX_TEXT}: {longest}")
    memory = [sample.memory for sample in samples] or [0]
    warm = memory[len(memory) // 4]
    if memory[-1] > warm + MAX_GROWTH:
        result.faults.append(f"memory grew from {warm:,} to {memory[-1]:,} kB")
    models = (Beacon, PageView, Visit, Visitor)
    result.figures |= {
        "memory": f"{warm:,} to {memory[-1]:,} kB",
        "spool at most": f"{max((sample.spool for sample in samples), default=0):,} bytes",
        "database": f"{_bytes_of_database(using):,} bytes",
        "tables": ", ".join(f"{m._default_manager.count():,} {m.__name__}" for m in models),
    }


def _bytes_of_database(using: str) -> int:
    connection = connections[using]
    if connection.vendor == "sqlite":
        return _size(Path(str(connection.settings_dict["NAME"])).parent)
    queries = {
        "postgresql": "SELECT pg_database_size(current_database())",
        "mysql": "SELECT sum(data_length + index_length) FROM information_schema.tables "
        "WHERE table_schema = database()",
    }
    with connection.cursor() as cursor:
        cursor.execute(queries[connection.vendor])
        return int(cursor.fetchone()[0])


_TRACEBACK = re.compile(r"^Traceback .*?^\S.*?$", re.MULTILINE | re.DOTALL)


def _check_log(result: Result, path: Path) -> None:
    """Find tracebacks and errors of the app in the log of the server."""
    log = path.read_text(errors="replace")
    result.figures["log"] = f"{len(log):,} bytes"
    lines = Counter(
        re.sub(r"'.*'|\".*\"|\d+", "…", line)[:150]
        for line in log.splitlines()
        if re.match(r"(WARNING|ERROR|CRITICAL) ", line)
    )
    for line, number in lines.most_common(10):
        title = "logged" if line.startswith("WARNING") else "error"
        result.figures[f"{title}, {number:,} times"] = line
        if title == "error":
            result.faults.append(f"logged {number:,} times: {line}")
    tracebacks = Counter(found[0][-1_500:] for found in _TRACEBACK.finditer(log))
    for text, number in tracebacks.most_common(5):
        result.faults.append(f"a traceback, {number:,} times:\n{text}")

"""A day of ordinary visits, and one whose visits all have values of their own.

Whoever follows links to a site chooses path, referrer and UTM parameters. Printed for both days:
the size of the counts, and time and memory of the roll-up and of the overview, each in a process of
its own. On a busy machine, compare the time of processors; that of the database server is known for
PostgreSQL only. ``VARIETY_VISITS`` sets another number of visits, and ``VARIETY_DATABASES`` the
databases.
"""

import os
import statistics
import time as clock
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from django.db import connections

from benchmarks.databases import temporary_database
from benchmarks.measuring import print_row
from tracking.models import DailyCount, PageView, Visit
from tracking.reports import Period, overview
from tracking.rollups.build import roll_up
from tracking.rollups.days import start_of

VISITS = int(os.environ.get("VARIETY_VISITS", "200000"))
#: Page views of each visit.
PAGES = 2

DATABASES = os.environ.get("VARIETY_DATABASES", "postgresql,sqlite,mariadb").split(",")

#: The day that is counted, and the next one, which is not.
COUNTED, OPEN = date(2026, 3, 2), date(2026, 3, 3)
NOW = datetime(2026, 3, 3, 22, 30, tzinfo=UTC)

#: Values of the columns that strangers choose; ``{n}`` is the number of the visit or page.
ORDINARY = {
    "referrer": "https://site{n % 300}.example/articles/a-page-of-ordinary-length.html",
    "source": "newsletter-{n % 40}",
    "medium": "medium-{n % 8}",
    "campaign": "spring-offer-{n % 60}",
    "url": "/shop/tea/green-tea-from-the-mountains-{n % 400}/",
}
ATTACK = {
    "referrer": "https://site{n}.example/articles/a-page-of-ordinary-length.html",
    "source": "newsletter-{n}",
    "medium": "medium-{n}",
    "campaign": "spring-offer-{n}",
    "url": "/shop/tea/green-tea-from-the-mountains-{n}/",
}


def main() -> None:
    """Measure and print."""
    print(f"{VISITS:,} visits a day, {PAGES} page views each.")
    for title in DATABASES:
        usual: dict[str, float] = {}
        for name, values in {"ordinary": ORDINARY, "attack": ATTACK}.items():
            with temporary_database(title) as using:
                if using:
                    print(f" {title}, {name}")
                    _measure(using, values, usual)


def _measure(using: str, values: dict[str, str], usual: dict[str, float]) -> None:
    _fill(using, COUNTED, values, 0)
    counted = _in_a_process(using, lambda: roll_up(now=NOW - timedelta(hours=10)).rows, rounds=1)
    print_row("roll-up", str(counted), "10 s, 200 MB")
    number = DailyCount.objects.using(using).count()
    print_row("counts", f"{number:,} rows, {_size(using) / 1e6:.1f} MB", "20 MB")
    days = {
        "overview, the counted day": (COUNTED, COUNTED),
        "overview, 30 days": (OPEN - timedelta(days=29), OPEN),
        "overview, the open day": (OPEN, OPEN),
    }
    for name, (first, last) in days.items():
        if last == OPEN and not Visit.objects.filter(started_at__gte=start_of(OPEN)).exists():
            _fill(using, OPEN, values, VISITS)
        period = Period.custom(first, last, NOW)
        asked = _in_a_process(using, lambda: overview(period), rounds=5)  # noqa: B023 - run at once
        ratio = f", {asked.processor / usual[name]:.2f} of the ordinary" if name in usual else ""
        usual.setdefault(name, asked.processor)
        print_row(name, f"{asked}{ratio}", "1.3")


class _Asked(NamedTuple):
    """Seconds on the clock and of processors (medians), and MB of memory before and at the peak."""

    seconds: float
    processor: float
    before: float
    peak: float

    def __str__(self) -> str:
        return (
            f"{self.seconds:.2f} s ({self.processor:.2f} of processors), "
            f"{self.peak:.0f} MB ({self.before:.0f} before)"
        )


def _in_a_process(using: str, work: Callable[[], object], rounds: int) -> _Asked:
    connections.close_all()
    context = get_context("fork")
    results: Any = context.SimpleQueue()

    def run() -> None:
        # The peak so far is that of the parent.
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        processor = _processor_clock(using)
        times, processor_times = [], []
        for _ in range(rounds):
            began, began_processor = clock.perf_counter(), processor()
            work()
            times.append(clock.perf_counter() - began)
            processor_times.append(processor() - began_processor)
        medians = (statistics.median(some) for some in (times, processor_times))
        results.put(_Asked(*medians, before, _status("VmHWM")))

    process = context.Process(target=run)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"The process ended with {process.exitcode}.")
    return _Asked(*results.get())


def _processor_clock(using: str) -> Callable[[], float]:
    """Return a function that returns the processor time of this process and of its server."""
    connection = connections[using]
    connection.ensure_connection()
    if connection.vendor != "postgresql":
        return clock.process_time
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        server = Path(f"/proc/{cursor.fetchone()[0]}/stat")
    ticks = os.sysconf("SC_CLK_TCK")

    def seconds() -> float:
        fields = server.read_text().rpartition(")")[2].split()
        return clock.process_time() + (int(fields[11]) + int(fields[12])) / ticks

    return seconds


def _status(name: str) -> float:
    """Return a figure of the memory of this process, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise LookupError(name)


class _Sql:
    """SQL that makes up rows, in the words of a database."""

    def __init__(self, using: str, day: date) -> None:
        self.vendor = connections[using].vendor
        self.start = start_of(day)

    def rows(self, number: int) -> str:
        if self.vendor == "postgresql":
            return f"generate_series(0::bigint, {number - 1}) AS s(i)"
        if self.vendor == "mysql":
            return f"(SELECT seq AS i FROM seq_0_to_{number - 1}) AS s"
        return (
            "(WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n "
            f"WHERE i < {number - 1}) SELECT i FROM n) AS s"
        )

    def key(self, number: str) -> str:
        if self.vendor == "postgresql":
            return f"lpad(to_hex({number}), 32, '0')::uuid"
        return (
            f"lower(lpad(hex({number}), 32, '0'))"
            if self.vendor == "mysql"
            else (f"printf('%032x', {number})")
        )

    def time(self, seconds: str) -> str:
        if self.vendor == "postgresql":
            return f"'{self.start.isoformat()}'::timestamptz + ({seconds}) * interval '1 second'"
        if self.vendor == "mysql":
            return f"'{self.start:%Y-%m-%d %H:%M:%S}' + INTERVAL ({seconds}) SECOND"
        start = self.start.timestamp()
        return f"strftime('%Y-%m-%d %H:%M:%f', {start} + ({seconds}), 'unixepoch')"

    def text(self, pattern: str, number: str) -> str:
        """Return the expression of a pattern such as ``"a-{n % 3}"``."""
        before, _brace, rest = pattern.partition("{")
        made, _brace, after = rest.partition("}")
        parts = [f"'{before}'", self.as_text(f"({made.replace('n', number)})"), f"'{after}'"]
        return f"concat({', '.join(parts)})" if self.vendor == "mysql" else " || ".join(parts)

    def as_text(self, number: str) -> str:
        return f"CAST({number} AS {'char' if self.vendor == 'mysql' else 'text'})"


def _fill(using: str, day: date, values: dict[str, str], offset: int) -> None:
    """Insert the rows that recording the visits of a day writes.

    Args:
        using: the database alias.
        day: the day.
        values: the patterns of the columns that strangers choose.
        offset: the number of visits before these.
    """
    sql = _Sql(using, day)
    step = 80_000 / VISITS
    number = f"(i + {offset})"
    modulo = "MOD(i, {})" if sql.vendor == "mysql" else "i % {}"
    visits = {
        "id": sql.key(number),
        "visitor_id": f"concat('v', {number})" if sql.vendor == "mysql" else f"'v' || {number}",
        "user_agent": "'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'",
        "started_at": sql.time(f"i * {step}"),
        "ended_at": sql.time(f"i * {step} + 60"),
        "entry_url": "'/'",
        "exit_url": "'/'",
        "page_views": str(PAGES),
        **{name: sql.text(text, number) for name, text in values.items() if name != "url"},
        "term": "''",
        "content": "''",
        "browser": f"CASE {modulo.format(4)} WHEN 0 THEN 'Firefox' ELSE 'Chrome' END",
        "os": f"CASE {modulo.format(3)} WHEN 0 THEN 'Windows' ELSE 'Android' END",
        "device": f"CASE {modulo.format(3)} WHEN 0 THEN 'desktop' ELSE 'mobile' END",
        "country": f"CASE {modulo.format(5)} WHEN 0 THEN 'DE' ELSE 'AT' END",
        "region": "''",
        "city": "''",
        "verdict": "'human'",
        "verdict_reason": "''",
    }
    _insert(using, Visit, visits, sql.rows(VISITS))
    for page in range(PAGES):
        of_page = f"(({number}) * {PAGES} + {page})"
        pages = {
            "id": sql.key(of_page),
            "visit_id": sql.key(number),
            "time": sql.time(f"i * {step} + {page * 60 // max(PAGES - 1, 1)}"),
            "url": sql.text(values["url"], of_page),
        }
        _insert(using, PageView, pages, sql.rows(VISITS))
    with connections[using].cursor() as cursor:
        for model in (Visit, PageView):
            table = model._meta.db_table
            cursor.execute(f"ANALYZE {'TABLE ' if sql.vendor == 'mysql' else ''}{table}")


def _insert(using: str, model: Any, columns: dict[str, str], rows: str) -> None:
    quote = connections[using].ops.quote_name
    names = ", ".join(map(quote, columns))
    table = quote(model._meta.db_table)
    with connections[using].cursor() as cursor:
        made = ", ".join(columns.values()).replace("%", "%%")
        cursor.execute(f"INSERT INTO {table} ({names}) SELECT {made} FROM {rows}", [])


#: SQL of the bytes of the counts, table and indexes.
_SIZES = {
    "postgresql": "SELECT pg_total_relation_size('{0}')",
    "mysql": "SELECT data_length + index_length FROM information_schema.tables "
    "WHERE table_schema = DATABASE() AND table_name = '{0}'",
    "sqlite": "SELECT SUM(pgsize) FROM dbstat WHERE name IN "
    "(SELECT name FROM sqlite_master WHERE tbl_name = '{0}')",
}


def _size(using: str) -> int:
    table = DailyCount._meta.db_table
    connection = connections[using]
    with connection.cursor() as cursor:
        if connection.vendor == "mysql":
            cursor.execute(f"ANALYZE TABLE {table}")
            cursor.fetchall()
        cursor.execute(_SIZES[connection.vendor].format(table))
        return int(cursor.fetchone()[0])

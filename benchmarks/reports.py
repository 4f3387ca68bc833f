"""Reports on five million beacons and a million visitors, on PostgreSQL and SQLite.

``REPORTS_BEACONS`` sets another number, and ``REPORTS_DATABASES`` the databases. Fifty mailings are
sent over ninety days; the recipients of each are two fifths of its beacons. With a tenth of the
beacons, ``REPORTS_MAILINGS=5`` and ``REPORTS_DAYS=9``, each mailing and day has the same size.
"""

import os
import time as clock
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import connections
from django.db.models import Model
from django.test.utils import CaptureQueriesContext

from benchmarks.databases import CONFIGURED, temporary_database
from benchmarks.measuring import print_row, print_spread
from tracking.hits import Reference
from tracking.models import Beacon, PageView, Source, Visit, Visitor
from tracking.reports import Filters, Period, campaign, overview, recipients
from tracking.rollups.build import roll_up

ROUNDS = 9
#: Printed characters of each line of a query plan; some are longer than a page.
WIDTH = 150
BEACONS = int(os.environ.get("REPORTS_BEACONS", "5000000"))
VISITORS = BEACONS // 5
MAILINGS = int(os.environ.get("REPORTS_MAILINGS", "50"))
DAYS = int(os.environ.get("REPORTS_DAYS", "90"))

DATABASES = os.environ.get("REPORTS_DATABASES", "postgresql,sqlite").split(",")


def main() -> None:
    """Measure and print."""
    print(f"{BEACONS:,} beacons, {VISITORS:,} visitors and visits, {DAYS} days.")
    for title in DATABASES:
        if title not in CONFIGURED:
            continue
        with temporary_database(title) as using:
            if using:
                print(f" {title}")
                _fill(using)
                _measure(using)


def _fill(using: str) -> None:
    began = clock.perf_counter()
    for number in range(MAILINGS):
        Source(pk=number + 1, name=f"Mailing {number}", slug=f"mailing-{number}").save(using=using)
    values = {
        "source": ContentType.objects.db_manager(using).get_for_model(Source).pk,
        "entity": ContentType.objects.db_manager(using).get_for_model(Visitor).pk,
        "start": datetime.now(UTC) - timedelta(days=DAYS),
    }
    _with_few_indexes(Beacon, using, lambda: _beacons(using, values))
    _with_few_indexes(Visit, using, lambda: _visits(using, values))
    _with_few_indexes(PageView, using, lambda: _pages(using, values))
    _with_few_indexes(Visitor, using, lambda: _visitors(using, values))
    with connections[using].cursor() as cursor:
        cursor.execute("ANALYZE")
    print_row("made in", f"{clock.perf_counter() - began:.0f} s", "")


def _with_few_indexes(model: type[Model], using: str, fill: Callable[[], None]) -> None:
    """Fill a table and create its indexes afterwards, which is faster."""
    connection = connections[using]
    with connection.schema_editor() as editor:
        for index in model._meta.indexes:
            editor.remove_index(model, index)
    fill()
    with connection.schema_editor() as editor:
        for index in model._meta.indexes:
            editor.add_index(model, index)


class _Dialect:
    """SQL expressions of a database that make up the rows."""

    def __init__(self, using: str, start: datetime) -> None:
        self.is_postgres = connections[using].vendor == "postgresql"
        self.start = start

    def rows(self, number: int) -> str:
        if self.is_postgres:
            return f"generate_series(0::bigint, {number - 1}) AS s(i)"
        return (
            "(WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n "
            f"WHERE i < {number - 1}) SELECT i FROM n) AS s"
        )

    def key(self, number: str) -> str:
        if self.is_postgres:
            return f"lpad(to_hex({number}), 32, '0')::uuid"
        return f"printf('%032x', {number})"

    def time(self, seconds: str) -> str:
        if self.is_postgres:
            return f"'{self.start.isoformat()}'::timestamptz + ({seconds}) * interval '1 second'"
        start = self.start.timestamp()
        return f"strftime('%Y-%m-%d %H:%M:%f', {start} + ({seconds}), 'unixepoch')"

    def least(self, first: str, second: str) -> str:
        return f"{'LEAST' if self.is_postgres else 'MIN'}({first}, {second})"


def _insert(using: str, model: type[Model], columns: dict[str, str], rows: str) -> None:
    names = ", ".join(f'"{name}"' for name in columns)
    made = ", ".join(columns.values())
    with connections[using].cursor() as cursor:
        cursor.execute(f'INSERT INTO "{model._meta.db_table}" ({names}) SELECT {made} FROM {rows}')


_OBSERVED = {
    "browser": "CASE i % 4 WHEN 0 THEN 'Firefox' WHEN 1 THEN 'Safari' ELSE 'Chrome' END",
    "os": "CASE i % 3 WHEN 0 THEN 'Windows' WHEN 1 THEN 'iOS' ELSE 'Android' END",
    "device": "CASE i % 3 WHEN 0 THEN 'desktop' ELSE 'mobile' END",
    "country": (
        "substr('DEATCHFRITESGBUSCABRSEDKPLCZNLBEPTJPINAU', CAST(1 + 2 * (i % 20) AS integer), 2)"
    ),
    "region": "''",
    "city": "''",
    "verdict_reason": "''",
}


def _beacons(using: str, values: dict[str, Any]) -> None:
    say = _Dialect(using, values["start"])
    # One mailing after the other, in the order of writing.
    each = BEACONS // MAILINGS
    mailing, turn = f"(i / {each})", f"(i % {each})"
    people = BEACONS // MAILINGS * 2 // 5
    every = DAYS * 86400 / MAILINGS
    at_most = say.least("5 * 86400", f"{DAYS * 86400 - 5000} - {mailing} * {every}")
    late = f"(({turn} * 7919) % 1000 / 1000.0)"
    seconds = (
        f"{mailing} * {every} + CASE WHEN {turn} % 5 < 2 THEN {turn} % 3600 "
        f"ELSE 3600 + {late} * {late} * {late} * ({at_most} - 3600) END"
    )
    person = (
        f"CASE WHEN {turn} % 5 < 2 THEN {turn} / 5 * 2 + {turn} % 5 "
        f"WHEN {turn} % 5 < 4 THEN ({turn} * 7919) % {people} ELSE ({turn} * 104729) % {people} END"
    )
    columns = {
        "id": say.key("i"),
        "kind": f"CASE WHEN {turn} % 5 < 2 THEN 'sent' WHEN {turn} % 5 < 4 THEN 'open' "
        "ELSE 'click' END",
        "time": say.time(seconds),
        "source_type_id": str(values["source"]),
        "source_id": f"CAST({mailing} + 1 AS text)",
        "entity_type_id": str(values["entity"]),
        "entity_id": f"CAST({person} AS text)",
        "data": "'{}'",
        "url": f"CASE WHEN {turn} % 5 < 4 THEN '' ELSE 'https://shop.example/' || ({turn} % 12) "
        "END",
        "referrer": "''",
        "user_agent": "'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'",
        **_OBSERVED,
        "verdict": f"CASE WHEN {turn} % 5 < 2 OR {turn} % 10 < 7 THEN 'human' "
        f"WHEN {turn} % 5 < 4 THEN 'proxy' ELSE 'bot' END",
    }
    _insert(using, Beacon, columns, say.rows(BEACONS))


def _begin() -> str:
    # No visitors in the last minutes, so that results do not change during the run.
    return f"i * 1.0 / {VISITORS} * {DAYS * 86400 - 4000}"


def _visits(using: str, values: dict[str, Any]) -> None:
    say = _Dialect(using, values["start"])
    columns = {
        "id": say.key("i"),
        "visitor_id": "'visitor-' || (i % 400000)",
        "started_at": say.time(_begin()),
        "ended_at": say.time(f"{_begin()} + (i % 3) * 60"),
        "user_agent": "''",
        "entry_url": "'/'",
        "exit_url": "'/'",
        "page_views": "1 + i % 3",
        "referrer": "CASE i % 5 WHEN 0 THEN '' ELSE 'https://site' || (i % 300) || '.example/a' "
        "END",
        "source": "CASE i % 7 WHEN 0 THEN 'letter' WHEN 1 THEN 'ad' ELSE '' END",
        "medium": "CASE i % 7 WHEN 0 THEN 'email' ELSE '' END",
        "campaign": "CASE i % 7 WHEN 0 THEN 'campaign ' || (i % 40) ELSE '' END",
        "term": "''",
        "content": "''",
        **_OBSERVED,
        "verdict": "CASE WHEN i % 10 = 9 THEN 'bot' ELSE 'human' END",
    }
    _insert(using, Visit, columns, say.rows(VISITORS))


def _pages(using: str, values: dict[str, Any]) -> None:
    say = _Dialect(using, values["start"])
    columns = {
        "id": say.key("i"),
        "visit_id": say.key("i"),
        "time": say.time(_begin()),
        "url": "'/page/' || (i % 200) || '/'",
    }
    _insert(using, PageView, columns, say.rows(VISITORS))


def _visitors(using: str, values: dict[str, Any]) -> None:
    say = _Dialect(using, values["start"])
    columns = {
        "id": "i + 1",
        "key": "'v' || i",
        "session_key": "''",
        "user_agent": "''",
        "referrer": "''",
        "url": "'/page/' || (i % 200) || '/'",
        "page_views": "1",
        "session_start": say.time(_begin()),
        "last_update": say.time(_begin()),
        **_OBSERVED,
        "verdict": "'human'",
    }
    _insert(using, Visitor, columns, say.rows(VISITORS))


def _measure(using: str) -> None:
    began = clock.perf_counter()
    done = roll_up()
    took = clock.perf_counter() - began
    print_row("all days counted", f"{took:.0f} s, {done.days} days, {done.rows:,} counts", "")
    past, running = (
        Reference("tracking.source", str(max(MAILINGS // 5, 1))),
        Reference("tracking.source", str(MAILINGS)),
    )
    month, quarter = Period.from_query({"period": "30"}), Period.from_query({"period": "90"})
    today = Period.from_query({"period": "today"})
    german = Filters(country="DE")
    questions: dict[str, tuple[Callable[[], object], str]] = {
        "campaign, over": (lambda: campaign(past), "at most 2 ms, page 50 ms"),
        "campaign, running": (lambda: campaign(running), "page 50 ms"),
        "recipients, first page": (lambda: recipients(past), "page 50 ms"),
        "recipients, who clicked": (lambda: recipients(past, state="clicked"), "page 50 ms"),
        "overview, today": (lambda: overview(today), "page 50 ms"),
        "overview, 30 days": (lambda: overview(month), "page 50 ms"),
        "overview, 90 days": (lambda: overview(quarter), "page 50 ms"),
        "overview, 30 days, one country": (lambda: overview(month, german), "bounded by the range"),
    }
    for name, (ask, target) in questions.items():
        _ask(name, ask, target, using)


def _ask(name: str, ask: Callable[[], object], target: str, using: str) -> None:
    connection = connections[using]
    ask()
    rounds = []
    for _ in range(ROUNDS):
        began = clock.perf_counter()
        ask()
        rounds.append((clock.perf_counter() - began) * 1e3)
        if sum(rounds) > 20_000:  # noqa: PLR2004 - long enough
            break
    print_spread(name, rounds, "ms", target)
    with CaptureQueriesContext(connection) as queries:
        ask()
    took = sum(float(query["time"]) for query in queries) * 1e3
    print_row("", f"{len(queries)} queries, {took:.1f} ms in the database", "")
    slowest = max(queries, key=lambda query: float(query["time"]))["sql"]
    if os.environ.get("REPORTS_PLANS"):
        _print_plan(slowest, using)


def _print_plan(sql: str, using: str) -> None:
    explain = "EXPLAIN " if connections[using].vendor == "postgresql" else "EXPLAIN QUERY PLAN "
    if not sql.startswith("SELECT"):
        return
    with connections[using].cursor() as cursor:
        # As text, with its values in it: they are those of this benchmark.
        cursor.execute((explain + sql).replace("%", "%%"), [])
        for row in cursor.fetchall():
            print("      ", row[-1][:WIDTH])

"""Write beacons and visitors in batches, on every database that is available.

``create()`` and ``bulk_create()`` get values with agent, place and verdict filled in, and the raw
COPY gets rows or text that are ready to send. Only our own time includes the work to find and
format these values.
"""

import random
import sys
import time as clock
from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import connections, transaction

from benchmarks.databases import CONFIGURED, temporary_database
from benchmarks.measuring import print_spread, ratios
from tracking import recording
from tracking.db import inserts
from tracking.db.parameters import LEAVE_TO_DJANGO, converters_for
from tracking.hits import Hit, Kind, Reference
from tracking.models import Beacon, PageView, Source, Visit, Visitor
from tracking.recording.beacon_rows import COLUMNS, BeaconRows
from tracking.recording.visitors import upsert_visitors

ROUNDS = 7

#: Hits in a batch of the buffered backend.
BATCH = 2_000

#: Beacons that ``create()`` writes in each round. Few, because it is slow.
ONE_BY_ONE = 200

#: Visitors in one upsert.
VISITORS = 500

BROWSERS = [
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
    for version in range(90, 140)
]

Rounds = dict[str, list[float]]


def main() -> None:
    """Measure and print."""
    print(f"Rows a second, {ROUNDS} rounds. The tables are emptied before each.")
    for title in CONFIGURED:
        with temporary_database(title) as using:
            if using:
                print(f" {title}")
                _beacons(using)
                _visitors(using)


def sample_hits(number: int) -> list[Hit]:
    """Return random hits of one campaign."""
    source = Reference.to(Source(pk=7))
    return [
        Hit(
            kind=random.choice([Kind.OPEN, Kind.OPEN, Kind.OPEN, Kind.CLICK]),
            source=source,
            entity=Reference("auth.user", str(random.randrange(10**6))),
            data={"campaign": "spring-sale", "user": random.randrange(10**6)},
            url="https://shop.example/spring/",
            referrer="https://webmail.example/",
            ip_address=f"203.0.{random.randrange(256)}.{random.randrange(256)}",
            user_agent=random.choice(BROWSERS),
        )
        for _ in range(number)
    ]


def beacon_values(hits: list[Hit], using: str) -> list[dict[str, Any]]:
    """Return the column values of beacons for hits."""
    rows = BeaconRows(using, LEAVE_TO_DJANGO)
    return [dict(zip(COLUMNS, rows.values_of(hit), strict=True)) for hit in hits]


def _beacons(using: str) -> None:
    rounds = _rounds(using)
    create = rounds.pop("create()")
    print_spread("create()", create, "rows/s", "")
    for name, figures in rounds.items():
        print_spread(name, figures, "rows/s", "")
        print_spread("  to create()", ratios(figures, create), "times", _target(name, using))
        if name.startswith("raw"):
            ours = ratios(rounds[f"ours, {BATCH:,} at once"], figures)
            print_spread("  ours to it", ours, "times", "at least 0.5")


def _target(name: str, using: str) -> str:
    if name != f"ours, {BATCH:,} at once":
        return ""
    return {"postgresql": "at least 50", "sqlite": "at least 10"}.get(using, "")


def _rounds(using: str) -> Rounds:
    rounds: Rounds = {}
    ContentType.objects.get_for_models(Source)
    for number in range(ROUNDS):
        print(f"  round {number + 1} of {ROUNDS}", end="\r", file=sys.stderr, flush=True)
        for name, (rows, prepare) in _variants(using).items():
            work = prepare(sample_hits(rows), using)
            empty_tables(using)
            seconds = timed(work)
            assert Beacon.objects.count() == rows, name
            rounds.setdefault(name, []).append(rows / seconds)
    print(end="\x1b[2K", file=sys.stderr, flush=True)
    return rounds


Prepare = Callable[[list[Hit], str], Callable[[], object]]


def _variants(using: str) -> dict[str, tuple[int, Prepare]]:
    variants: dict[str, tuple[int, Prepare]] = {
        "create()": (ONE_BY_ONE, _create),
        f"bulk_create(), {BATCH:,} at once": (BATCH, _bulk_create),
        "ours, 1 at once": (ONE_BY_ONE, _ours(1)),
        "ours, 100 at once": (BATCH, _ours(100)),
        f"ours, {BATCH:,} at once": (BATCH, _ours(BATCH)),
    }
    if connections[using].vendor == "postgresql":
        variants["raw COPY of rows"] = (BATCH, _copy_of_rows)
        variants["raw COPY of text"] = (BATCH, _copy_of_text)
    return variants


def _create(hits: list[Hit], using: str) -> Callable[[], object]:
    rows = beacon_values(hits, using)
    return lambda: [Beacon.objects.create(**values) for values in rows]


def _bulk_create(hits: list[Hit], using: str) -> Callable[[], object]:
    rows = beacon_values(hits, using)
    return lambda: Beacon.objects.bulk_create(Beacon(**values) for values in rows)


def _ours(at_once: int) -> Prepare:
    def prepare(hits: list[Hit], using: str) -> Callable[[], object]:
        batches = [hits[start : start + at_once] for start in range(0, len(hits), at_once)]
        return lambda: [recording.write(batch) for batch in batches]

    return prepare


def _copy_of_rows(hits: list[Hit], using: str) -> Callable[[], object]:
    rows = _ready(hits, using)

    def send(copy: Any) -> None:
        for row in rows:
            copy.write_row(row)

    return lambda: _copied(send, using)


def _copy_of_text(hits: list[Hit], using: str) -> Callable[[], object]:
    text = inserts._copy_text(_ready(hits, using)).encode()
    return lambda: _copied(lambda copy: copy.write(text), using)


def _ready(hits: list[Hit], using: str) -> list[tuple[Any, ...]]:
    rows = BeaconRows(using, converters_for(connections[using]))
    return [rows.values_of(hit) for hit in hits]


def _copied(send: Callable[[Any], object], using: str) -> None:
    connection = connections[using]
    table = inserts._table_with_columns(connection, Beacon, COLUMNS)
    with (
        transaction.atomic(using=using),
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} FROM STDIN") as copy,
    ):
        send(copy)


def _visitors(using: str) -> None:
    empty_tables(using)
    rounds: Rounds = {"get and save": [], "upsert": []}
    for _ in range(ROUNDS):
        for name, work in {"get and save": _get_and_save, "upsert": _upsert}.items():
            rows = _seen()
            empty_tables(using)
            upsert_visitors(rows, using)
            rounds[name].append(VISITORS / timed(partial(work, rows, using)))
    print_spread("visitors, get and save", rounds["get and save"], "rows/s", "")
    print_spread(f"visitors, upsert of {VISITORS}", rounds["upsert"], "rows/s", "")
    print_spread("  to get and save", ratios(rounds["upsert"], rounds["get and save"]), "times", "")


def _seen() -> list[Visitor]:
    return [
        Visitor(
            key=f"{number:032}",
            ip_address="203.0.113.7",
            user_agent=BROWSERS[number % len(BROWSERS)],
            url="/tea/",
            page_views=1,
        )
        for number in range(VISITORS)
    ]


def _get_and_save(rows: list[Visitor], using: str) -> None:
    for row in rows:
        visitor = Visitor.objects.get(key=row.key)
        visitor.page_views += row.page_views
        visitor.url, visitor.last_update = row.url, row.last_update
        visitor.save()


def _upsert(rows: list[Visitor], using: str) -> None:
    with transaction.atomic(using=using):
        upsert_visitors(rows, using)


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = clock.perf_counter()
    work()
    return clock.perf_counter() - start


def empty_tables(using: str) -> None:
    """Delete all beacons, visitors, visits and page views."""
    with connections[using].cursor() as cursor:
        for model in (PageView, Visit, Visitor, Beacon):
            table = connections[using].ops.quote_name(model._meta.db_table)
            verb = "DELETE FROM"
            cursor.execute(f"{verb} {table}")
    if connections[using].vendor == "postgresql":  # deleted rows slow down inserts until then
        with connections[using].cursor() as cursor:
            cursor.execute("VACUUM tracking_beacon, tracking_visitor")

"""A PostgreSQL table of a million beacons, in one piece and in monthly partitions.

Prints size, write rate, query times and the cost of conversion and deletion. A quicker run:
``ROWS=100000 python -m benchmarks growth``.
"""

import os
import random
import re
import statistics
import time as clock
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

from django.db import connections
from django.db.models import QuerySet
from django.test import override_settings
from django.utils import timezone
from msgspec.structs import replace

from benchmarks import batches
from benchmarks.databases import temporary_database
from benchmarks.measuring import print_row, print_spread
from tracking import partitions, recording, retention
from tracking.hits import Hit, Reference
from tracking.models import Beacon, Source
from tracking.partitions.months import Month

ROWS = int(os.environ.get("ROWS", "1000000"))
DAYS = 360
ROUNDS = 15

#: Queries of the list in the admin, of reports and of the clean-up.
QUERIES: dict[str, Callable[[], QuerySet[Beacon]]] = {
    "the newest 100": lambda: Beacon.objects.order_by("-time", "-id")[:100],
    "one kind, the newest 100": lambda: Beacon.objects.clicks().order_by("-time", "-id")[:100],
    "one source, the newest 100": lambda: Beacon.objects.for_source(Source(pk=20)).order_by(
        "-time", "-id"
    )[:100],
    "one source, all counted": lambda: Beacon.objects.for_source(Source(pk=20)).only("pk"),
    "one address": lambda: Beacon.objects.filter(ip_address="203.0.5.5").order_by("-time"),
    "one id": lambda: Beacon.objects.filter(pk=uuid.UUID(int=7)),
    "one day": lambda: (
        Beacon.objects.since(_days_ago(30)).until(_days_ago(29)).order_by("time").only("kind")
    ),
    "the clean-up's next 1,000": lambda: (
        Beacon.objects.filter(time__lte=_days_ago(330)).order_by("time").only("pk")[:1000]
    ),
}


def main() -> None:
    """Measure and print."""
    with temporary_database("postgresql") as using:
        if not using:
            return
        _fill(using)
        _sizes(using, "one table")
        before = _plans(using)
        _write_rate(using, "one table")
        _print_timed("converted, rows stay", partial(partitions.convert, Beacon, using))
        _print_timed("  back again, rows copied", partial(partitions.undo, Beacon, using))
        rewrite = partial(partitions.convert, Beacon, using, rewrite=True)
        _print_timed("converted, rows copied into months", rewrite)
        with connections[using].cursor() as cursor:
            cursor.execute("VACUUM ANALYZE tracking_beacon")
        _sizes(using, "partitioned")
        _write_rate(using, "partitioned")
        _print_plans(before, _plans(using))
        _compare_deletion(using)


def _days_ago(days: int) -> datetime:
    return timezone.now() - timedelta(days=days)


def _hits() -> Iterator[Hit]:
    start = timezone.now() - timedelta(days=DAYS)
    step = timedelta(days=DAYS) / ROWS
    made_now = (hit for _ in range(ROWS // 1000) for hit in batches.sample_hits(1000))
    for number, hit in enumerate(made_now):
        time = start + number * step
        source = Reference("tracking.source", str(number * 40 // ROWS))
        yield replace(hit, id=_key_of(time), time=time, source=source)


def _key_of(time: datetime) -> uuid.UUID:
    rest = random.getrandbits(80) & ~(0xF << 76) | 0x7 << 76
    return uuid.UUID(int=int(time.timestamp() * 1000) << 80 | rest)


def _fill(using: str) -> None:
    hits = _hits()
    seconds = 0.0
    while some := list(islice(hits, batches.BATCH)):
        seconds += batches.timed(partial(recording.write, some))
    print_row(f"written, {ROWS:,} rows", f"{ROWS / seconds:,.0f} rows/s", "")
    with connections[using].cursor() as cursor:
        cursor.execute("VACUUM ANALYZE tracking_beacon")


def _sizes(using: str, title: str) -> None:
    known = partitions.layout(Beacon, using)
    names = [part.name for part in known.partitions] or ["tracking_beacon"]
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_table_size(n::regclass)) FROM unnest(%s::text[]) AS n", [names]
        )
        table = int(cursor.fetchone()[0])
    row, indexes = table / ROWS, (known.size - table) / ROWS
    print_row(f"bytes a row, {title}", f"{row:.0f} + {indexes:.0f} of indexes", "")


def _write_rate(using: str, title: str) -> None:
    """Write batches of current hits into the table, and delete them again."""
    rates = []
    for _ in range(ROUNDS):
        hits = batches.sample_hits(batches.BATCH)
        rates.append(len(hits) / batches.timed(partial(recording.write, hits)))
        with connections[using].cursor() as cursor:
            cursor.execute(
                "DELETE FROM tracking_beacon WHERE id = ANY(%s::uuid[])", [[h.id for h in hits]]
            )
    print_spread(f"batches of {batches.BATCH:,}, {title}", rates, "rows/s", "")


def _print_timed(title: str, work: Callable[[], object]) -> None:
    print_row(title, f"{batches.timed(work):.2f} s", "")


Plan = tuple[float, float]


def _plans(using: str) -> dict[str, Plan]:
    return {title: _planned(query(), using) for title, query in QUERIES.items()}


def _planned(rows: QuerySet[Beacon], using: str) -> Plan:
    """Return the milliseconds of planning and execution, the median of several."""
    found = []
    for _ in range(7):
        text = rows.using(using).explain(analyze=True, timing=False)
        figures = re.findall(r"(?:Planning|Execution) Time: ([\d.]+)", text)
        found.append([float(figure) for figure in figures])
    planning, execution = zip(*found, strict=True)
    return statistics.median(planning), statistics.median(execution)


def _print_plans(before: dict[str, Plan], after: dict[str, Plan]) -> None:
    print("  milliseconds, planning + execution, one table and partitioned")
    for title, plan in before.items():
        old, new = (f"{a:.2f} + {b:.2f}" for a, b in (plan, after[title]))
        print_row(f"    {title}", old, new)


def _compare_deletion(using: str) -> None:
    """Drop two months, then delete the rows of another month, and print the times."""
    this = Month.of(timezone.now())
    oldest = [part for part in partitions.layout(Beacon, using).partitions if part.ends_at][:3]
    cutoff = oldest[1].ends_at
    assert cutoff is not None
    assert Month.of(cutoff) < this
    start = clock.perf_counter()
    rows = partitions.drop_expired_partitions(Beacon, "time", cutoff, using)
    seconds = clock.perf_counter() - start
    print_row(f"{rows:,} rows dropped, two months", f"{seconds * 1000:.0f} ms", "")
    cutoff = oldest[2].ends_at
    assert cutoff is not None
    days = (timezone.now() - cutoff) / timedelta(days=1)
    start, deleted = clock.perf_counter(), 0
    with override_settings(TRACKING_BEACON_RETENTION=days):
        while gone := retention.delete_chunk(retention.CHUNK_SIZE):
            deleted += gone.total()
    seconds = clock.perf_counter() - start
    print_row(f"{deleted:,} rows deleted, a month", f"{seconds:.2f} s", "")

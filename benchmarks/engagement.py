"""Engagement of 100,000 recipients with a million beacons of ten mailings, on three databases.

Each mailing goes to half of the recipients. ``ENGAGEMENT_BEACONS`` sets another number; the number
of recipients is a tenth of it. ``ENGAGEMENT_DATABASES`` names the databases, and
``ENGAGEMENT_PLANS=1`` prints how they answer.
"""

import os
import random
import time as clock
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import connections
from django.db.models import QuerySet

import tracking
from benchmarks.databases import temporary_database
from benchmarks.measuring import print_row, print_spread
from tests.site.models import Affiliate
from tracking.enrichment.verdict_rules import Label
from tracking.hits import Kind
from tracking.models import Beacon, Source

BEACONS = int(os.environ.get("ENGAGEMENT_BEACONS", "1000000"))
RECIPIENTS = BEACONS // 10
MAILINGS = 10
ROUNDS = 5
#: Milliseconds after which a question is not asked once more.
LONG = 20_000
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
DATABASES = os.environ.get("ENGAGEMENT_DATABASES", "sqlite,postgresql,mariadb").split(",")

#: What follows a sent message, with a verdict each, for one recipient in four.
_OUTCOMES = (
    ((Kind.OPEN, Label.HUMAN), (Kind.OPEN, Label.HUMAN), (Kind.CLICK, Label.HUMAN)),
    ((Kind.OPEN, Label.PROXY),),
    ((Kind.OPEN, Label.PREFETCH),),
    (),
)


def main() -> None:
    """Measure and print."""
    print(f"{BEACONS:,} beacons, {RECIPIENTS:,} recipients, {MAILINGS} mailings.")
    for title in DATABASES:
        with temporary_database(title) as using:
            if using:
                print(f" {title}")
                _fill(using)
                _measure(using)


def _fill(using: str) -> None:
    began = clock.perf_counter()
    Affiliate.objects.bulk_create(
        (Affiliate(pk=number + 1) for number in range(RECIPIENTS)), batch_size=5_000
    )
    Source.objects.bulk_create(Source(pk=n + 1, slug=f"mailing-{n}") for n in range(MAILINGS))
    rows = _beacons()
    while some := list(islice(rows, 5_000)):
        Beacon.objects.bulk_create(some)
    for mailing in range(2, MAILINGS + 1):
        _copy(using, mailing)
    with connections[using].cursor() as cursor:
        analyze = "ANALYZE TABLE tracking_beacon, site_affiliate"
        cursor.execute(analyze if connections[using].vendor == "mysql" else "ANALYZE")
    print_row("made in", f"{clock.perf_counter() - began:.0f} s", "")


def _beacons() -> Iterator[Beacon]:
    """Yield the beacons of the first mailing: a message takes two on average."""
    chance = random.Random(13)
    types = ContentType.objects
    common = {
        "source_type": types.get_for_model(Source),
        "source_id": "1",
        "entity_type": types.get_for_model(Affiliate),
    }
    for number in range(BEACONS // 2 // MAILINGS):
        who = {**common, "entity_id": str(1 + number * 2)}
        time = START + timedelta(seconds=number / 10)
        yield Beacon(kind=Kind.SENT, time=time, **who)
        for kind, verdict in chance.choice(_OUTCOMES):
            time += timedelta(minutes=chance.expovariate(1 / 300))
            yield Beacon(kind=kind, verdict=verdict, time=time, **who)


#: A new key, the key of another recipient, and a later time, by database.
_COPIED = {
    "sqlite": (
        "lower(hex(randomblob(16)))",
        "CAST((CAST(entity_id AS INTEGER) + {m}) % {n} + 1 AS TEXT)",
        "strftime('%Y-%m-%d %H:%M:%f', time, '+{days} days')",
    ),
    "postgresql": (
        "gen_random_uuid()",
        "((entity_id::bigint + {m}) % {n} + 1)::text",
        "time + interval '{days} days'",
    ),
    "mysql": (
        "UUID()",
        "CAST((CAST(entity_id AS SIGNED) + {m}) % {n} + 1 AS CHAR)",
        "time + INTERVAL {days} DAY",
    ),
}


def _copy(using: str, mailing: int) -> None:
    """Copy the beacons of the first mailing in the database, which is faster."""
    connection = connections[using]
    key, entity, time = (
        text.format(m=mailing, n=RECIPIENTS, days=7 * mailing - 7)
        for text in _COPIED[connection.vendor]
    )
    changed = {"id": key, "entity_id": entity, "time": time, "source_id": f"'{mailing}'"}
    columns = [field.column for field in Beacon._meta.concrete_fields]
    values = ", ".join(changed.get(column, column) for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO tracking_beacon ({', '.join(columns)}) "
            f"SELECT {values} FROM tracking_beacon WHERE source_id = '1'"
        )


def _measure(using: str) -> None:
    everybody = tracking.engagement(Affiliate.objects)
    few = tracking.engagement(Affiliate.objects.filter(pk__lte=200))
    mailing, moment = Source.objects.get(pk=MAILINGS), START + timedelta(days=7 * (MAILINGS - 3))
    questions: dict[str, Callable[[], QuerySet[Any]]] = {
        "sent": lambda: everybody.sent(mailing),
        "not_sent": lambda: everybody.not_sent(mailing),
        "opened": lambda: everybody.opened(mailing),
        "opened, by slug": lambda: everybody.opened(mailing.slug),
        "clicked": lambda: everybody.clicked(mailing),
        "did_not_open": lambda: everybody.did_not_open(mailing),
        "open_unknown": lambda: everybody.open_unknown(mailing),
        "active since": lambda: everybody.active(since=moment),
        "last_active_before": lambda: everybody.last_active_before(moment),
        "never_active": everybody.never_active,
        "200 rows: did_not_open": lambda: few.did_not_open(mailing),
        "200 rows: last_active_before": lambda: few.last_active_before(moment),
    }
    for title, question in questions.items():
        figures, number = [], 0
        for _ in range(ROUNDS):
            began = clock.perf_counter()
            number = len(question().values_list("pk", flat=True))
            figures.append((clock.perf_counter() - began) * 1_000)
            if figures[-1] > LONG:
                break
        print_spread(f"{title}: {number:,}", figures, "ms", "")
        if os.environ.get("ENGAGEMENT_PLANS"):
            print(_plan(question(), using))


def _plan(rows: QuerySet[Any], using: str) -> str:
    sql, parameters = rows.values("pk").query.get_compiler(using).as_sql()
    explain = "EXPLAIN QUERY PLAN" if connections[using].vendor == "sqlite" else "EXPLAIN"
    with connections[using].cursor() as cursor:
        cursor.execute(f"{explain} {sql}", parameters)
        return "\n".join("      " + " ".join(map(str, row)) for row in cursor.fetchall())

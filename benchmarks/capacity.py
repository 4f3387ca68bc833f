"""Capacity on paper: from measured figures to a number of opens a day.

``docs/capacity.rst`` holds what this prints; a test compares the two. When a figure is measured
anew, it is changed here, in ``MEASURED``, and nowhere else.
"""

from collections.abc import Iterator
from typing import NamedTuple

DAY = 24 * 60 * 60


class Measured(NamedTuple):
    """What one hit costs.

    Attributes:
        pixel_us: microseconds of CPU of a web process for a pixel inside Django: gunicorn,
            six middlewares, the append to the spool, the writer's thread.
        message_bytes: of a hit in a message of 2,000, as the broker has it.
        worker_us: microseconds of CPU of a Celery worker: unpacking, and ``recording.write``.
        database_us: microseconds of CPU of PostgreSQL, by COPY.
        wal_bytes: of the write-ahead log, with the pages in full after each checkpoint.
        row_bytes, index_bytes: on disk.
        scattered_bytes: of those in indexes that are written to all over: entity and address.
    """

    pixel_us: int = 650
    message_bytes: int = 72
    worker_us: int = 25
    database_us: int = 14
    wal_bytes: int = 874
    row_bytes: int = 341
    index_bytes: int = 211
    scattered_bytes: int = 88


class Assumed(NamedTuple):
    """What is chosen, and not measured.

    Attributes:
        peak: how many times the average the busiest minutes have.
        load: how much of a core is used at the peak.
        outage: seconds for which workers may be away at the peak.
        kept_days: for which beacons are kept.
    """

    peak: int = 5
    load: float = 0.7
    outage: int = 60 * 60
    kept_days: int = 90


MEASURED = Measured()
ASSUMED = Assumed()

OPENS = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)


class Row(NamedTuple):
    """One line of the table: what is needed, for each number of opens."""

    title: str
    values: tuple[str, ...]


def rows(measured: Measured = MEASURED, assumed: Assumed = ASSUMED) -> Iterator[Row]:
    """Yield the lines of the table."""
    at_peak = [opens / DAY * assumed.peak for opens in OPENS]

    def cores(microseconds: int) -> tuple[str, ...]:
        return tuple(f"{rate * microseconds / 1e6 / assumed.load:,.1f}" for rate in at_peak)

    def giga(per_hit: float, hits: list[float]) -> tuple[str, ...]:
        return tuple(f"{per_hit * number / 1e9:,.1f}" for number in hits)

    per_day: list[float] = [float(opens) for opens in OPENS]
    size = measured.row_bytes + measured.index_bytes
    yield Row("opens a second, average", tuple(f"{opens / DAY:,.0f}" for opens in OPENS))
    yield Row("opens a second, peak", tuple(f"{rate:,.0f}" for rate in at_peak))
    yield Row("web: cores", cores(measured.pixel_us))
    yield Row(
        "broker: MB a second",
        tuple(f"{rate * measured.message_bytes / 1e6:,.2f}" for rate in at_peak),
    )
    held = [rate * assumed.outage for rate in at_peak]
    yield Row("broker: GB for an hour's outage", giga(measured.message_bytes, held))
    yield Row("workers: cores", cores(measured.worker_us))
    yield Row("database: cores to write", cores(measured.database_us))
    yield Row(
        "database: MB of WAL a second",
        tuple(f"{rate * measured.wal_bytes / 1e6:,.1f}" for rate in at_peak),
    )
    yield Row("database: GB of WAL a day", giga(measured.wal_bytes, per_day))
    yield Row("database: GB a day", giga(size, per_day))
    yield Row("database: GB a partition (30 days)", giga(size * 30, per_day))
    yield Row(f"database: GB for {assumed.kept_days} days", giga(size * assumed.kept_days, per_day))
    yield Row("memory: GB of scattered index pages", giga(measured.scattered_bytes * 30, per_day))


def table() -> str:
    """Return the table as it stands in the documents."""
    rule = " ".join(["=" * 35, *["=" * 13] * len(OPENS)])
    heading = Row("opens a day", tuple(f"{opens:,}" for opens in OPENS))
    lines = [
        " ".join([f"{row.title:<35}", *(f"{value:>13}" for value in row.values)])
        for row in (heading, *rows())
    ]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def main() -> None:
    """Print the table."""
    print(table())

"""Calculate the hardware for a number of opens a day from measured figures.

``docs/capacity.rst`` contains the output; a test compares the two. To update a measured figure,
change it in ``MEASURED`` and in that page.
"""

from collections.abc import Iterator
from typing import NamedTuple

DAY = 24 * 60 * 60


class Measured(NamedTuple):
    """The cost of one hit.

    Attributes:
        pixel_us: microseconds of CPU of a web process for a pixel inside Django: gunicorn,
            six middlewares, the append to the spool, the writer thread.
        message_bytes: bytes of a hit in a broker message of 2,000 hits.
        worker_us: microseconds of CPU of a Celery worker, to unpack and ``recording.write``.
        database_us: microseconds of CPU of PostgreSQL, by COPY.
        wal_bytes: bytes of write-ahead log, including full pages after each checkpoint.
        row_bytes, index_bytes: bytes on disk.
        scattered_bytes: bytes in indexes whose entries land on random pages: entity, address.
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
    """Assumptions that are not measured.

    Attributes:
        peak: rate of the busiest minutes, in multiples of the average.
        load: share of a core that is used at the peak.
        outage: seconds for which workers may be down at the peak.
        kept_days: days for which beacons are kept.
    """

    peak: int = 5
    load: float = 0.7
    outage: int = 60 * 60
    kept_days: int = 90


MEASURED = Measured()
ASSUMED = Assumed()

OPENS = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)


class Row(NamedTuple):
    """One line of the table, with a value for each number of opens."""

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
    """Return the table as it appears in ``docs/capacity.rst``."""
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

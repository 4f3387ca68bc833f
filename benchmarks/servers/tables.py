"""Format results as tables for the terminal and the documentation."""

import os
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from benchmarks.measuring import Spread, ratios
from benchmarks.servers.rounds import Measured
from benchmarks.servers.variants import GROUPS, VARIANTS, Variant

_PACKAGES = (
    *("Django", "gunicorn", "granian", "uvicorn", "uvloop", "httptools", "psycopg"),
    *("cryptography", "msgspec", "django-ptrack"),
)

HEADS = ("", "answers/s", "ratio", "ratio of CPU", "CPU µs", "of it writer", "queries", "target")


class Row(NamedTuple):
    """One line of a table."""

    title: str
    rate: str
    ratio: str
    of_cpu: str
    cpu: str
    writer: str
    queries: str
    target: str


def machine() -> list[str]:
    """Return lines that describe the machine and the packages."""
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    here = f"{platform.system()} {platform.machine()}, {_processor()}"
    return [
        f"{here}, {len(os.sched_getaffinity(0))} processors, Python {platform.python_version()}",
        ", ".join(found),
    ]


def _processor() -> str:
    with open("/proc/cpuinfo") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return names[0] if names else "unknown processor"


def rows(
    group: str, server: str, measured: Mapping[str, Measured], queries: Mapping[str, int | None]
) -> list[Row]:
    """Return the lines of a group of variants on one server."""
    of_group = [one for one in VARIANTS if one.group == group and one.name in measured]
    if not of_group:
        return []
    base = measured.get(next(one.name for one in VARIANTS if one.group == group))
    return [
        _row(variant, server, measured[variant.name], base, queries.get(variant.name))
        for variant in of_group
    ] + _to_raw(of_group, measured)


def _row(
    variant: Variant, server: str, mine: Measured, base: Measured | None, queries: int | None
) -> Row:
    writes = any(mine.writer)
    ratio, of_cpu, spread = "", "", None
    if base is not None:
        spread = Spread.of(ratios(mine.rates, base.rates))
        ratio = _format_spread(spread)
        of_cpu = _format_spread(Spread.of(ratios(base.cpu, mine.cpu)))
    return Row(
        variant.title,
        f"{Spread.of(mine.rates).median:,.0f}",
        ratio,
        of_cpu,
        f"{Spread.of(mine.cpu).median:.0f}",
        f"{Spread.of(mine.writer).median:.0f}" if writes else "",
        "" if queries is None else str(queries),
        _format_target(_target(variant, server), spread),
    )


def _to_raw(of_group: Iterable[Variant], measured: Mapping[str, Measured]) -> list[Row]:
    """Return lines that compare with the application without Django."""
    raw = measured.get("raw")
    if raw is None:
        return []
    found = []
    for variant in of_group:
        if variant.raw_target is not None:
            mine = measured[variant.name]
            spread = Spread.of(ratios(mine.rates, raw.rates))
            judged = _format_target(variant.raw_target, spread)
            title = f"{variant.title}, vs no Django at all"
            of_cpu = _format_spread(Spread.of(ratios(raw.cpu, mine.cpu)))
            found.append(Row(title, "", _format_spread(spread), of_cpu, "", "", "", judged))
    return found


def _format_spread(spread: Spread) -> str:
    return f"{spread.median:.2f} ({spread.lowest:.2f}-{spread.highest:.2f})"


def _target(variant: Variant, server: str) -> float | None:
    return next(
        (target for name, target in variant.targets.items() if server.startswith(name)), None
    )


def _format_target(target: float | None, spread: Spread | None) -> str:
    """Return the target, whether the median meets it, and whether rounds disagree."""
    if target is None or spread is None:
        return ""
    word = "met" if spread.median >= target else "missed"
    doubt = ", unsteady" if spread.lowest < target <= spread.highest else ""
    return f"{target:.2f} {word}{doubt}"


def plain(title: str, lines: list[Row]) -> str:
    """Return a table for the terminal."""
    widths = [max(len(row[column]) for row in [HEADS, *lines]) for column in range(len(HEADS))]
    shown = [
        "  ".join(
            cell.ljust(width) if column in {0, 2, 3} else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [HEADS, *lines]
    ]
    return "\n".join([f" {title}", *(f"  {line}" for line in shown)])


def rst(title: str, lines: list[Row]) -> str:
    """Return a table in reStructuredText."""
    rows = [("variant", *HEADS[1:]), *lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    rule = "   " + "  ".join("=" * width for width in widths)
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    shown = ["   " + "  ".join(row).rstrip() for row in padded]
    return "\n".join([f".. table:: {title}", "", rule, shown[0], rule, *shown[1:], rule]) + "\n"


def notes(measured: Mapping[str, Measured], duration: str) -> list[str]:
    """Return notes on the figures."""
    answers = sum(one.answers for one in measured.values())
    recorded = sum(one.rows or 0 for one in measured.values())
    busiest = max(measured.values(), key=lambda one: one.busy)
    name = next(title for title, one in measured.items() if one is busiest)
    fastest = max(Spread.of(one.rates).median for one in measured.values())
    late = max((max(one.late) for one in measured.values() if one.late), default=0.0)
    counted = (
        f"{duration}; {answers:,} answers, all checked; {recorded:,} rows for as many "
        f"recorded answers, written {late:.1f} s after the last answer at most."
    )
    worked = (
        f"The load generator was busy {busiest.busy:.0%} of the time at most ({name}), and "
        f"waited for answers otherwise; the highest rate was {fastest:,.0f} a second."
    )
    return [counted, worked]


def of_variants(names: Iterable[str]) -> list[str]:
    """Return the notes of the named variants, without duplicates."""
    chosen = set(names)
    found = [f"{one.title}: {one.note}." for one in VARIANTS if one.note and one.name in chosen]
    return list(dict.fromkeys(found))


def groups() -> dict[str, str]:
    """Return the groups with their titles."""
    return dict(GROUPS)

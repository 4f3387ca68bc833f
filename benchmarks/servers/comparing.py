"""The command ``servers``: measure the chosen variants, print and document the results."""

import argparse
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.servers import requests, tables
from benchmarks.servers.rounds import Duration, Measured, measure
from benchmarks.servers.serving import SERVERS, is_installed
from benchmarks.servers.sites import Absent, Site
from benchmarks.servers.variants import NAMED, VARIANTS

_BEGIN, _END = ".. measured: begin", ".. measured: end"


def main(options: Sequence[str] = ()) -> None:
    """Measure and print.

    Args:
        options: command-line options, see ``--help``.
    """
    chosen = _parser().parse_args(options)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] - a run takes minutes
    duration = Duration(chosen.rounds, chosen.seconds)
    print(*tables.machine(), sep="\n")
    written: list[str] = []
    failed_names: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tracking-benchmark-") as folder:
        requests.write(Path(folder))
        sites = _made(chosen.variants, Path(folder))
        try:
            for name in chosen.servers:
                if is_installed(SERVERS[name]):
                    text, absent = _served_by(name, sites, duration)
                    written.append(text)
                    failed_names += absent
                else:
                    print(f"\n {name}: not installed")
        finally:
            for site in sites:
                site.remove()
    if chosen.write:
        _write(chosen.write, "\n".join([_about(), *written]))
    if failed := [name for name in failed_names if NAMED[name].is_ours]:
        sys.exit(f"\nVariants of ours failed: {', '.join(failed)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks servers")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each variant (5)")
    parser.add_argument("--seconds", type=float, default=1.5, help="length of a turn (1.5)")
    names = [variant.name for variant in VARIANTS]
    parser.add_argument("--servers", type=_some(SERVERS), default=list(SERVERS))
    parser.add_argument("--variants", type=_some(names), default=names)
    parser.add_argument("--write", type=Path, help="document whose tables to replace")
    return parser


def _some(known: Sequence[str] | Mapping[str, object]) -> object:
    def names(text: str) -> list[str]:
        """Return the known names that match a comma-separated list of patterns."""
        patterns = text.split(",")
        found = [name for name in known if any(fnmatch(name, one) for one in patterns)]
        if not found:
            raise argparse.ArgumentTypeError(f"choose from {', '.join(known)}")
        return found

    return names


def _made(chosen: Sequence[str], folder: Path) -> list[Site]:
    sites = []
    for variant in VARIANTS:
        if variant.name in chosen:
            try:
                sites.append(Site(variant, folder))
            except Absent as reason:
                print(f"  not measured: {variant.title} ({reason})")
    return sites


def _served_by(name: str, sites: Sequence[Site], duration: Duration) -> tuple[str, list[str]]:
    """Measure all sites on one server, and print the results.

    Returns:
        The results as text for the documentation, and the names of failed variants.
    """
    server = SERVERS[name]
    title = f"{name}, {server.about}"
    print(f"\n{title}")
    measured, absent = measure(sites, server, duration)
    failures = [f"Not measured: {NAMED[one].title} ({why})." for one, why in absent.items()]
    print(*(f"  {failure}" for failure in failures), sep="\n", end="\n" if failures else "")
    made = [name, "-" * len(name), "", f"{title}.", ""]
    queries = {site.variant.name: site.queries for site in sites}
    for group, about in tables.groups().items():
        if lines := tables.rows(group, name, measured, queries):
            print(tables.plain(about, lines))
            made.append(tables.rst(about, lines))
    for note in _notes(measured, duration):
        print(f"  {note}")
        made += [note, ""]
    made += [word for failure in failures for word in (failure, "")]
    return "\n".join(made), list(absent)


def _notes(measured: Mapping[str, Measured], duration: Duration) -> list[str]:
    if not measured:
        return []
    length = f"Median of {duration.rounds} rounds of {duration.seconds:g} s"
    return tables.notes(measured, length) + tables.of_variants(measured)


def _about() -> str:
    return "\n\n".join(tables.machine()) + "\n"


def _write(path: Path, text: str) -> None:
    """Replace the text between the two marks of a document."""
    old = path.read_text()
    new = f"{_BEGIN}\n\n{text.strip()}\n\n{_END}"
    path.write_text(re.sub(f"{_BEGIN}.*{_END}", lambda _: new, old, flags=re.DOTALL))

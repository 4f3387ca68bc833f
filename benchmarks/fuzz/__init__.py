"""Fuzz the app over raw sockets behind real servers, and count what became of each request.

``python -m benchmarks fuzz --requests 3000 --servers gunicorn,uvicorn --databases sqlite``

====================  =====================================================================
:mod:`.inputs`        values of headers and URLs, valid and hostile
:mod:`.headers`       the headers, and which values they get
:mod:`.malformed`     what is not HTTP
:mod:`.cases`         requests, and what is expected of them
:mod:`.connection`    sockets
:mod:`.clients`       clients that judge each answer
:mod:`.site`          the site that is served
:mod:`.rounds`        one server, backend and database; rows, log and sizes afterwards
====================  =====================================================================

Each valid request carries a number, which is compared with the rows. A fault ends the command with
an error: a 5xx, a connection closed without an answer, a row lost or doubled, a forged token or a
banned client accepted, a redirect to another place, a traceback, growing memory.
"""

import argparse
import itertools
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

DATABASES = ("sqlite", "postgresql", "mariadb")
HEADERS = ("X-Forwarded-For", "Forwarded", "X-Real-IP")


def main(options: Sequence[str] = ()) -> None:
    """Fuzz and print.

    Args:
        options: of the command line, see ``--help``.
    """
    from benchmarks.fuzz import rounds

    planned = _planned(_parse(options))
    total, failed = 0, []
    for number, one in enumerate(planned, 1):
        print(f"\n{number} of {len(planned)}: {one}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            result = rounds.run(one, Path(folder))
        if result is None:
            continue
        total += one.requests
        _print(one, result)
        if result.faults or result.ledger.faults:
            failed.append(str(one))
    print(f"\n{total:,} requests in {len(planned)} rounds; {len(failed)} with faults: {failed}")
    if failed:
        sys.exit(1)


def _parse(options: Sequence[str]) -> argparse.Namespace:
    from benchmarks.fuzz.rounds import BACKENDS
    from benchmarks.servers.serving import SERVERS

    def names(choices: Sequence[str]) -> "type[list[str]]":
        def split(text: str) -> list[str]:
            if unknown := set(found := text.split(",")) - set(choices):
                raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
            return found

        return split  # type: ignore[return-value]

    parser = argparse.ArgumentParser(prog="python -m benchmarks fuzz")
    parser.add_argument("--requests", type=int, default=30_000, help="over all rounds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--servers", type=names(list(SERVERS)), default=list(SERVERS))
    parser.add_argument("--backends", type=names(list(BACKENDS)), default=list(BACKENDS))
    parser.add_argument("--databases", type=names(DATABASES), default=["sqlite", "postgresql"])
    parser.add_argument("--edge", type=names(("no", "yes")), default=["no", "yes"])
    parser.add_argument("--headers", type=names(HEADERS), default=list(HEADERS))
    return parser.parse_args(options)


def _planned(chosen: argparse.Namespace) -> list["rounds.Round"]:  # type: ignore[name-defined] # noqa: F821
    from benchmarks.fuzz.rounds import Round

    ways = list(itertools.product(chosen.servers, chosen.edge, chosen.backends, chosen.databases))
    each = max(chosen.requests // len(ways), 1)
    headers = itertools.cycle(chosen.headers)
    return [
        Round(server, edge == "yes", backend, database, next(headers), each, chosen.seed)
        for server, edge, backend, database in ways
    ]


def _print(planned, result) -> None:
    rate = planned.requests / result.seconds
    print(f"  {planned.requests:,} requests in {result.seconds:.0f} s, {rate:.0f} a second")
    by_kind: dict[str, Counter[str]] = {}
    for (kind, outcome), number in sorted(result.ledger.answers.items()):
        by_kind.setdefault(kind, Counter())[outcome] += number
    for kind, outcomes in by_kind.items():
        found = ", ".join(f"{outcome} {number:,}" for outcome, number in outcomes.most_common())
        print(f"  {kind:<18}{found}")
    for name, value in result.figures.items():
        print(f"  {name}: {value}")
    for fault in (*result.faults, *result.ledger.faults):
        print(f"  FAULT {fault}")

"""Real servers while PostgreSQL hangs: how long pixels and pages take that need no query.

``python -m benchmarks hanging --servers gunicorn,uvicorn --backends buffered --starts cold``

====================  =====================================================================
:mod:`.cases`         a site behind a server, its database behind a proxy, and its rows
:mod:`.load`          requests at a fixed rate
:mod:`.wsgi`          the applications, which say when they are loaded
====================  =====================================================================

*warm*: the database begins to hang under load. *cold*: it hangs when the server starts. *silent*:
it accepts connections and does not answer. *slow*: each message takes five seconds. In the first
seconds of a cold start, requests may wait once for the list of bans; they are told apart. All
servers of a start and a backend run at the same time, each with its own database.
"""

import argparse
import itertools
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

BACKENDS = {
    "buffered": "tracking.backends.buffered.BufferedBackend",
    "immediate": "tracking.backends.immediate.ImmediateBackend",
}
STARTS = ("cold", "warm")
#: Seconds that the proxy holds each message; ``None`` is until the end.
HANGS = {"silent": None, "slow": 5.0}


def main(options: Sequence[str] = ()) -> None:
    """Measure and print.

    Args:
        options: of the command line, see ``--help``.
    """
    from benchmarks.hanging.cases import Case, Databases, measure

    chosen = _parse(options)
    print(f"{chosen.rate:.0f} requests/s to each, {chosen.seconds:.0f} s; p50, p99, max in ms")
    is_missed = False
    with tempfile.TemporaryDirectory() as folder, Databases() as databases:
        for hang, start, backend in itertools.product(chosen.hangs, chosen.starts, chosen.backends):
            print(f"\n {hang}, {start}, {backend}", flush=True)
            cases = [
                Case(server, edge == "yes", BACKENDS[backend], start == "cold", HANGS[hang])
                for server, edge in itertools.product(chosen.servers, chosen.edge)
            ]
            place = Path(folder) / f"{hang}-{start}-{backend}"
            place.mkdir()
            for figures in measure(cases, databases, place, chosen.rate, chosen.seconds):
                print(f"  {figures}", flush=True)
                is_missed |= not figures.is_reached
    if is_missed:
        sys.exit("The target is missed.")


def _parse(options: Sequence[str]) -> argparse.Namespace:
    from benchmarks.servers.serving import SERVERS

    parser = argparse.ArgumentParser(prog="python -m benchmarks hanging")
    choices = {
        "servers": SERVERS,
        "edge": ("no", "yes"),
        "backends": BACKENDS,
        "starts": STARTS,
        "hangs": HANGS,
    }
    for name, values in choices.items():
        parser.add_argument(f"--{name}", default=",".join(values), help=", ".join(values))
    parser.add_argument("--rate", type=float, default=20, help="requests a second")
    parser.add_argument("--seconds", type=float, default=30, help="for which the database hangs")
    chosen = parser.parse_args(options)
    for name, values in choices.items():
        found = getattr(chosen, name).split(",")
        if unknown := set(found) - set(values):
            parser.error(f"--{name}: unknown: {', '.join(sorted(unknown))}")
        setattr(chosen, name, found)
    return chosen

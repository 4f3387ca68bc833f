"""``python -m benchmarks`` runs all that take minutes, ``python -m benchmarks tokens`` one.

Those of millions of rows take half an hour each, and are run if they are named: ``celery``,
``growth``, ``reports``, ``soak``.
What follows the name of one is for it: ``python -m benchmarks servers --rounds 3``.
"""

import importlib
import os
import pkgutil
import sys
from itertools import takewhile

import django

import benchmarks
from benchmarks import measuring

NAMES = sorted(
    module.name
    for module in pkgutil.iter_modules(benchmarks.__path__)
    if module.name not in {"__main__", "databases", "measuring"}
)

#: Run only if they are named.
LONG = {"celery", "growth", "reports", "soak"}


def main(arguments: list[str]) -> None:
    """Run the benchmarks that are named, or all that take minutes."""
    chosen = list(takewhile(lambda argument: not argument.startswith("-"), arguments))
    options = arguments[len(chosen) :]
    if unknown := set(chosen) - set(NAMES):
        sys.exit(f"There is no benchmark {', '.join(unknown)}; there are: {', '.join(NAMES)}.")
    if options and chosen != ["servers"]:
        sys.exit(f"Only servers has options: {' '.join(options)}")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    measuring.print_machine()
    for name in chosen or [name for name in NAMES if name not in LONG]:
        print(f"\n{name}")
        benchmark = importlib.import_module(f"benchmarks.{name}")
        benchmark.main(*([options] if options else []))


main(sys.argv[1:])

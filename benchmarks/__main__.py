"""Run benchmarks: ``python -m benchmarks`` all short ones, ``python -m benchmarks tokens`` one.

``celery``, ``growth``, ``reports``, ``soak`` and ``variety`` use many rows and take up to half an
hour each. They run only when named, as do ``hanging``, and ``fuzz``, which measures nothing.
Options follow the name:
``python -m benchmarks servers --rounds 3``.
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

#: Benchmarks that run only when named.
LONG = {"celery", "fuzz", "growth", "hanging", "reports", "soak", "variety"}


def main(arguments: list[str]) -> None:
    """Run the named benchmarks, or all short ones."""
    chosen = list(takewhile(lambda argument: not argument.startswith("-"), arguments))
    options = arguments[len(chosen) :]
    if unknown := set(chosen) - set(NAMES):
        sys.exit(f"Unknown benchmark: {', '.join(unknown)}. Choose from: {', '.join(NAMES)}.")
    if options and chosen not in (["fuzz"], ["hanging"], ["servers"]):
        sys.exit(f"Only fuzz, hanging and servers take options: {' '.join(options)}")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    measuring.print_machine()
    for name in chosen or [name for name in NAMES if name not in LONG]:
        print(f"\n{name}")
        benchmark = importlib.import_module(f"benchmarks.{name}")
        benchmark.main(*([options] if options else []))


main(sys.argv[1:])

"""``python -m benchmarks`` runs all, ``python -m benchmarks tokens`` one."""

import importlib
import os
import pkgutil
import sys

import django

import benchmarks
from benchmarks import measuring

NAMES = sorted(
    module.name
    for module in pkgutil.iter_modules(benchmarks.__path__)
    if module.name not in {"__main__", "databases", "measuring"}
)


def main(chosen: list[str]) -> None:
    """Run the benchmarks that are named, or all."""
    if unknown := set(chosen) - set(NAMES):
        sys.exit(f"There is no benchmark {', '.join(unknown)}; there are: {', '.join(NAMES)}.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    measuring.print_machine()
    for name in chosen or NAMES:
        print(f"\n{name}")
        importlib.import_module(f"benchmarks.{name}").main()


main(sys.argv[1:])

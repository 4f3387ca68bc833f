"""Measure variants side by side, in several rounds, and print their spread."""

import platform
import statistics
import timeit
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from typing import NamedTuple

ROUNDS = 25


class Variant(NamedTuple):
    """A call to measure, and the context manager it runs in."""

    call: Callable[[], object]
    within: Callable[[], AbstractContextManager[object]] = nullcontext


class Spread(NamedTuple):
    """Median, lowest and highest of a figure over all rounds."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, figures: list[float]) -> "Spread":
        """Return the spread of figures."""
        return cls(statistics.median(figures), min(figures), max(figures))


def compare(variants: Mapping[str, Variant], calls: int = 3_000) -> dict[str, list[float]]:
    """Return the microseconds of one call of each variant, round by round.

    The variants take turns within each round, so that other load on the machine affects all of
    them.
    """
    rounds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(ROUNDS):
        for name, (call, within) in variants.items():
            with within():
                call()  # fills the caches
                rounds[name].append(timeit.timeit(call, number=calls) / calls * 1e6)
    return rounds


def ratios(figures: list[float], to: list[float]) -> list[float]:
    """Return the ratio of ``figures`` to ``to``, round by round."""
    return [mine / theirs for mine, theirs in zip(figures, to, strict=True)]


def print_machine() -> None:
    """Print the machine, Python and the packages that are measured."""
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("Django", "cryptography", "msgspec")
    )
    print(f"{platform.machine()}, Python {platform.python_version()}, {packages}")
    print(f"Median of {ROUNDS} rounds (lowest to highest).")


def print_spread(title: str, figures: list[float], unit: str, target: str) -> None:
    """Print one figure with its spread and its target, aligned."""
    median, lowest, highest = Spread.of(figures)
    print_row(title, f"{median:.2f} ({lowest:.2f} to {highest:.2f}) {unit}", target)


def print_row(title: str, value: str, target: str) -> None:
    """Print one figure and its target, aligned."""
    print(f"  {title:<36}{value:<36}{target}")

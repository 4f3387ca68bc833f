"""The numbers and labels along the axes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

#: Lines of the grid above zero, at most.
MAX_TICKS = 5

#: Labels along the time, at most. One in a few is left out until there are no more.
MAX_LABELS = 6

#: Beyond this, a number is no count of anything.
MAX_VALUE = 1e18

_DECADE = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Unit:
    """How the values of a chart are read.

    Attributes:
        text: writes a value in full.
        axis: writes a value beside a line of the grid, where there is little room.
        least: the smallest step between two of these lines; 1 for what is counted.
        steps: steps that are preferred to 1, 2 and 5 and their tenfolds, ascending: those of
            a clock.
    """

    text: Callable[[float], str]
    axis: Callable[[float], str]
    least: float = 1
    steps: Sequence[float] = ()


def known(value: float | None) -> float | None:
    """Return a value that can be drawn: finite, and from zero to ``MAX_VALUE``."""
    if value is None or value != value:  # noqa: PLR0124 - what is no number equals nothing
        return None
    return float(min(max(value, 0), MAX_VALUE))


def ticks(highest: float, unit: Unit) -> list[float]:
    """Return where the lines of the grid are: zero, and even numbers up to ``highest`` or above.

    >>> ticks(87, Unit(str, str))
    [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
    >>> ticks(0, Unit(str, str))
    [0.0, 1.0]
    """
    step = _step(highest / MAX_TICKS, unit)
    return [number * step for number in range(max(1, math.ceil(highest / step)) + 1)]


def _step(least: float, unit: Unit) -> float:
    """Return the first even number that is no smaller than ``least``."""
    least = max(least, unit.least)
    for step in unit.steps:
        if step >= least:
            return step
    # Above a clock's steps, numbers are even as hours: the last of these is one.
    base = unit.steps[-1] if unit.steps else 1
    power = math.floor(math.log10(least / base))
    for factor in (*_DECADE, 10):
        # Of whole numbers, so that 3 * 0.1 is 0.3.
        step = base * factor * 10.0**power if power >= 0 else base * factor / 10.0**-power
        if step >= least:
            return step
    return least


def labelled(count: int) -> list[int]:
    """Return which of ``count`` points have a label: evenly, four to six of them or all.

    >>> labelled(30)
    [0, 5, 10, 15, 20, 25]
    """
    return list(range(0, count, max(1, math.ceil(count / MAX_LABELS))))

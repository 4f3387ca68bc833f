"""Numbers and labels along the axes of charts."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

#: The maximum number of grid lines above zero.
MAX_TICKS = 5

#: The maximum number of labels of the time axis.
MAX_LABELS = 6

#: The largest number that is drawn.
MAX_VALUE = 1e18

_DECADE = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Unit:
    """How the values of a chart are written.

    Attributes:
        text: returns a value in full.
        axis: returns a value in short, beside a grid line.
        least: the smallest step between grid lines: 1 for counts.
        steps: steps to prefer to 1, 2, 5 and their multiples of ten, in ascending order, such
            as those of a clock.
    """

    text: Callable[[float], str]
    axis: Callable[[float], str]
    least: float = 1
    steps: Sequence[float] = ()


def known(value: float | None) -> float | None:
    """Return a value limited to 0 to ``MAX_VALUE``, or ``None`` if it is unknown."""
    if value is None or value != value:  # noqa: PLR0124 - what is no number equals nothing
        return None
    return float(min(max(value, 0), MAX_VALUE))


def ticks(highest: float, unit: Unit) -> list[float]:
    """Return the values of the grid lines: zero and round numbers up to ``highest`` or above.

    >>> ticks(87, Unit(str, str))
    [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
    >>> ticks(0, Unit(str, str))
    [0.0, 1.0]
    """
    step = _step(highest / MAX_TICKS, unit)
    return [number * step for number in range(max(1, math.ceil(highest / step)) + 1)]


def _step(least: float, unit: Unit) -> float:
    """Return the first round number that is at least ``least``."""
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


def indexes_of_labels(count: int) -> list[int]:
    """Return the indexes of the points with a label: evenly spread, at most six.

    >>> indexes_of_labels(30)
    [0, 5, 10, 15, 20, 25]
    """
    return list(range(0, count, max(1, math.ceil(count / MAX_LABELS))))

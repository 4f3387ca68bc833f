"""Numbers as people read them: in the notation of their language, with their units.

``None`` stands for what is not known, which is no zero: it is a dash.
"""

from datetime import timedelta
from typing import NamedTuple

from django.utils.formats import number_format
from django.utils.translation import gettext, pgettext_lazy

from tracking.admin.charts import Unit
from tracking.admin.large_tables import UNKNOWN
from tracking.reports.plain_text import percent

#: Beside a line of the grid there is room for numbers below this.
_LONG = 1_000_000

#: The names of large numbers, for these places only.
_LARGE = (
    (10**18, pgettext_lazy("10 to the power of 18", "E")),
    (10**15, pgettext_lazy("10 to the power of 15", "P")),
    (10**12, pgettext_lazy("10 to the power of 12", "T")),
    (10**9, pgettext_lazy("10 to the power of 9", "G")),
    (10**6, pgettext_lazy("10 to the power of 6", "M")),
)

_HOUR, _MINUTE = 3600, 60


def count(value: float | None) -> str:
    """Return a number of things: ``1,234``."""
    return UNKNOWN if value is None else number_format(round(value), 0, force_grouping=True)


def rate(value: float | None) -> str:
    """Return a share of one as percents with one decimal: ``12.3%``."""
    return UNKNOWN if value is None else percent(number_format(value * 100, 1))


def duration(value: timedelta | float | None) -> str:
    """Return a length of time, or seconds, with its two largest units: ``4 min 12 s``."""
    if value is None:
        return UNKNOWN
    seconds = round(value.total_seconds() if isinstance(value, timedelta) else value)
    minutes, seconds = divmod(max(seconds, 0), _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    parts = [
        gettext("%s h") % count(hours) if hours else "",
        gettext("%d min") % minutes if minutes else "",
        gettext("%d s") % seconds if not hours and (seconds or not minutes) else "",
    ]
    return " ".join(part for part in parts if part)


class Change(NamedTuple):
    """How a figure differs from the one of the period before.

    Attributes:
        text: with its sign: ``+12%``.
        word: the same in a word, for who hears it.
        direction: ``up``, ``down`` or ``same``.
    """

    text: str
    word: str
    direction: str


def change(value: float | None, before: float | None) -> Change | None:
    """Return how a figure has changed, or ``None`` where there is nothing to compare it with."""
    if value is None or not before:
        return None
    percents = round((value - before) / before * 100)
    text = percent(number_format(abs(percents), 0, force_grouping=True))
    if percents > 0:
        return Change(f"+{text}", gettext("up"), "up")
    if percents < 0:
        return Change(f"\N{MINUS SIGN}{text}", gettext("down"), "down")
    return Change(text, gettext("unchanged"), "same")


def _on_axis(value: float) -> str:
    if value < _LONG:
        return number_format(value, 0, force_grouping=True)
    factor, name = next(pair for pair in _LARGE if value >= pair[0])
    short = value / factor
    return f"{number_format(short, 0 if short == round(short) else 1)} {name}"


def _clock(value: float) -> str:
    if value >= _HOUR and value % _HOUR == 0:
        return gettext("%s h") % _on_axis(value / _HOUR)
    if value >= _MINUTE and value % _MINUTE == 0:
        return gettext("%d min") % (value / _MINUTE)
    return gettext("%d s") % value


#: How charts write what is counted, shares of one, and seconds.
COUNTS = Unit(text=count, axis=_on_axis)
RATES = Unit(text=rate, axis=lambda value: percent(number_format(value * 100, 0)), least=0.01)
SECONDS = Unit(
    text=duration,
    axis=_clock,
    steps=(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600),
)

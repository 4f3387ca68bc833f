"""How charts write their values: in full, and in short beside a line of the grid."""

from django.utils.formats import number_format
from django.utils.translation import gettext, pgettext_lazy

from tracking.admin.charts.scales import Unit
from tracking.reports.formatting import count, decimal, duration, percent, rate

#: Larger numbers are shortened beside a grid line.
_LONG = 1_000_000

#: The units of shortened numbers.
_LARGE = (
    (10**18, pgettext_lazy("10 to the power of 18", "E")),
    (10**15, pgettext_lazy("10 to the power of 15", "P")),
    (10**12, pgettext_lazy("10 to the power of 12", "T")),
    (10**9, pgettext_lazy("10 to the power of 9", "G")),
    (10**6, pgettext_lazy("10 to the power of 6", "M")),
)

_HOUR, _MINUTE = 3600, 60


def _on_axis(value: float) -> str:
    if value < _LONG:
        return number_format(value, 0, force_grouping=True)
    factor, name = next(pair for pair in _LARGE if value >= pair[0])
    short = value / factor
    return f"{decimal(short, 0 if short == round(short) else 1)} {name}"


def _clock(value: float) -> str:
    if value >= _HOUR and value % _HOUR == 0:
        return gettext("%s h") % _on_axis(value / _HOUR)
    if value >= _MINUTE and value % _MINUTE == 0:
        return gettext("%d min") % (value / _MINUTE)
    return gettext("%d s") % value


#: Units of counts, of shares (0 to 1) and of seconds.
COUNTS = Unit(text=count, axis=_on_axis)
RATES = Unit(text=rate, axis=lambda value: percent(decimal(value * 100, 0)), least=0.01)
SECONDS = Unit(
    text=duration,
    axis=_clock,
    steps=(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600),
)

"""Output of the commands: aligned figures and a progress line."""

from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.formats import number_format

from tracking.reports.formatting import decimal

#: Moves to the start of the line and clears it (ECMA-48, EL).
_CLEAR_LINE = "\r\x1b[K"


def grouped(number: float) -> str:
    """Return a number with grouped thousands in the active language; floats with one decimal."""
    if isinstance(number, float):
        return decimal(number, 1)
    return str(number_format(number, force_grouping=True))


def print_figures(command: BaseCommand, figures: Sequence[tuple[str, Any]]) -> None:
    """Print a line for each label and value; numbers are aligned."""
    for label, value in figures:
        shown = grouped(value) if isinstance(value, int | float) else str(value)
        command.stdout.write(f"  {label:<24}{shown:>13}")


class ProgressLine:
    """A line in a terminal that is overwritten again and again; nothing elsewhere.

    Args:
        command: the command that prints.
        verbosity: the option of the command; 0 prints nothing.
    """

    def __init__(self, command: BaseCommand, verbosity: int) -> None:
        self._stdout = command.stdout
        self.is_shown = verbosity > 0 and command.stdout.isatty()

    def show(self, text: str) -> None:
        """Overwrite the line."""
        if self.is_shown:
            self._stdout.write("\r" + text, ending="")
            self._stdout.flush()

    def clear(self) -> None:
        """Remove the line, before the result is printed."""
        if self.is_shown:
            self._stdout.write(_CLEAR_LINE, ending="")

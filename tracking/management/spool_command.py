"""What the commands about the spool have alike."""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from tracking.pipeline.drain import DrainResult
from tracking.pipeline.spool import spool_folder


class SpoolCommand(BaseCommand):
    """Does something with the folder of the spool, and prints aligned figures."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare which folder."""
        parser.add_argument(
            "--folder",
            type=Path,
            default=None,
            help=_("The folder of the spool (default: from the settings)."),
        )

    def work(self, folder: Path, progress: Any) -> DrainResult:
        """Do it.

        Args:
            folder: the folder of the spool.
            progress: is told how far it is.
        """
        raise NotImplementedError

    def handle(self, *args: Any, verbosity: int, **options: Any) -> None:
        """Print a line for each figure."""
        place = options["folder"] or spool_folder()
        shows_progress = verbosity > 0 and self.stdout.isatty()
        try:
            total = self.work(place, self._show if shows_progress else lambda _total: None)
        except OSError as error:
            raise CommandError(
                _("%(folder)s: %(error)s") % {"folder": place, "error": error}
            ) from error
        if verbosity > 0:
            if shows_progress:
                self.stdout.write("\r\x1b[K", ending="")
            print_figures(
                self,
                [
                    (_("files"), total.files),
                    (_("hits written"), total.written),
                    (_("of which duplicates"), total.duplicate),
                    (_("set aside"), total.rejected),
                ],
            )
        if total.error:
            raise CommandError(_("The remaining hits stay in the spool: %s") % total.error)

    def _show(self, total: DrainResult) -> None:
        self.stdout.write("\r" + _("%s hits") % grouped(total.written), ending="")
        self.stdout.flush()


def print_figures(command: BaseCommand, figures: Sequence[tuple[str, Any]]) -> None:
    """Print names and values, the numbers below each other."""
    for name, value in figures:
        shown = grouped(value) if isinstance(value, int | float) else str(value)
        command.stdout.write(f"  {name:<24}{shown:>13}")


def grouped(number: float) -> str:
    """Return a number with its thousands grouped as the language has it."""
    places = 1 if isinstance(number, float) else None
    return str(number_format(number, decimal_pos=places, force_grouping=True))

"""The base of the commands that write hits from the folder of the spool."""

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from tracking.management.output import ProgressLine, grouped, print_figures
from tracking.pipeline.drain import DrainResult
from tracking.pipeline.spool import spool_folder


class SpoolCommand(BaseCommand):
    """Writes hits from the folder of the spool, and prints what became of them."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the option for the folder."""
        parser.add_argument(
            "--folder",
            type=Path,
            default=None,
            help=_("The folder of the spool (default: from the settings)."),
        )

    def write_hits(self, folder: Path, progress: Callable[[DrainResult], None]) -> DrainResult:
        """Write the hits.

        Args:
            folder: the folder of the spool.
            progress: called with the result so far.

        Raises:
            OSError: the folder cannot be used.
        """
        raise NotImplementedError

    def handle(self, *args: Any, verbosity: int, **options: Any) -> None:
        """Write the hits, and print a line for each figure."""
        folder = options["folder"] or spool_folder()
        line = ProgressLine(self, verbosity)
        try:
            result = self.write_hits(
                folder, lambda so_far: line.show(_("%s hits") % grouped(so_far.written))
            )
        except OSError as error:
            raise CommandError(
                _("%(folder)s: %(error)s") % {"folder": folder, "error": error}
            ) from error
        line.clear()
        if verbosity > 0:
            print_figures(
                self,
                [
                    (_("files"), result.files),
                    (_("hits written"), result.written),
                    (_("of which duplicates"), result.duplicate),
                    (_("set aside"), result.rejected),
                ],
            )
        if result.error:
            raise CommandError(_("The remaining hits stay in the spool: %s") % result.error)

"""The base of the commands that write hits from the folder of the spool."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from tracking.management.output import ProgressLine, grouped, print_figures
from tracking.pipeline.drain import DrainResult, Progress
from tracking.pipeline.spool import spool_folder
from tracking.pipeline.spool.location import former_folders


class SpoolCommand(BaseCommand):
    """Writes hits from the folder of the spool, and prints what became of them."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--folder",
            type=Path,
            default=None,
            help=_("The folder of the spool (default: from the settings)."),
        )
        parser.add_argument(
            "--any-site",
            action="store_true",
            help=_(
                "Also write hits that seem to belong to another site. For a site that has changed "
                "both its secret and the address of its database."
            ),
        )

    def write_hits(self, folder: Path, progress: Progress, *, from_any_site: bool) -> DrainResult:
        """Write the hits.

        Args:
            folder: the folder of the spool.
            progress: called with the result so far.
            from_any_site: whether hits of other sites are written, too.

        Raises:
            OSError: the folder cannot be used.
        """
        raise NotImplementedError

    def handle(self, *args: Any, verbosity: int, **options: Any) -> None:
        """Write the hits, and print a line for each figure."""
        folders = [options["folder"]] if options["folder"] else [spool_folder(), *former_folders()]
        line = ProgressLine(self, verbosity)
        result = DrainResult()
        for folder in folders:
            try:
                result += self.write_hits(
                    folder,
                    lambda so_far: line.show(_("%s hits") % grouped(so_far.written)),
                    from_any_site=options["any_site"],
                )
            except OSError as error:
                raise CommandError(
                    _("%(folder)s: %(error)s") % {"folder": folder, "error": error}
                ) from error
            if result.error:
                break
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
        if result.unreadable:
            self.stderr.write(_("Files that cannot be read: %s") % grouped(result.unreadable))
        if result.error:
            raise CommandError(_("The remaining hits stay in the spool: %s") % result.error)

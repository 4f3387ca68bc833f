"""``manage.py tracking_cleanup``: deletes expired rows."""

import math
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import ProtectedError, RestrictedError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from tracking import retention
from tracking.management.output import ProgressLine, grouped
from tracking.models import DailyCount
from tracking.verdicts.recent import correct_recent


class Command(BaseCommand):
    """Deletes rows that are past their retention."""

    help = _("Delete rows that are past their retention, in chunks.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--chunk",
            type=_positive,
            default=retention.CHUNK_SIZE,
            help=_("Maximum number of rows per transaction (default: %(default)s)."),
        )
        parser.add_argument(
            "--pause",
            type=_seconds,
            default=0.0,
            help=_("Seconds to pause after each chunk (default: %(default)s)."),
        )
        parser.add_argument(
            "--table",
            action="append",
            choices=list(retention.TABLES),
            help=_("Only this table; may be given several times."),
        )
        parser.add_argument(
            "--dry-run", action="store_true", help=_("Count the rows, but do not delete them.")
        )

    def handle(
        self,
        *args: Any,
        chunk: int,
        pause: float,
        table: Sequence[str] | None,
        dry_run: bool,
        verbosity: int,
        **options: Any,
    ) -> None:
        """Delete the rows, and print a line for each table."""
        if not dry_run:
            correct_recent()
        line = ProgressLine(self, verbosity)
        try:
            counts = retention.clean_up(
                chunk=chunk,
                pause=pause,
                tables=table,
                dry_run=dry_run,
                progress=lambda deleted: line.show(
                    _("%s rows deleted") % grouped(sum(deleted.values()))
                ),
            )
        except (ValueError, ProtectedError, RestrictedError) as error:
            raise CommandError(error.args[0]) from error
        line.clear()
        if verbosity > 0:
            self._report(counts, table or list(retention.TABLES), dry_run=dry_run)

    def _report(self, counts: Mapping[str, int], names: Sequence[str], *, dry_run: bool) -> None:
        self.stdout.write(_("Would be deleted:") if dry_run else _("Deleted:"))
        for name, table in retention.TABLES.items():
            if name not in names and name not in counts:
                continue
            count = grouped(counts.get(name, 0))
            what = str(table.model._meta.verbose_name_plural)
            self.stdout.write(f"  {what:<16}{count:>13}  {_limit(table)}")


def _limit(table: retention.RetainedTable) -> str:
    if table.max_age is None:
        return _("kept forever")
    plural = math.ceil(table.max_age)
    if table.unit == "hours":
        age = ngettext("older than %s hour", "older than %s hours", plural)
    else:
        age = ngettext("older than %s day", "older than %s days", plural)
    text: str = age % f"{table.max_age:g}"
    return _("%s, added up by month") % text if table.model is DailyCount else text


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ArgumentTypeError(_("at least 1"))
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ArgumentTypeError(_("0 or more"))
    return number

"""``manage.py tracking_rollup``: counts past days, once each."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from tracking.management.output import ProgressLine, grouped
from tracking.rollups.build import roll_up
from tracking.verdicts.recent import correct_recent


class Command(BaseCommand):
    """Counts past days, and recounts those with late rows."""

    help = _("Count past days, and recount those with late rows.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--since", type=_day, help=_("Start at this day, such as 2026-03-29."))
        parser.add_argument(
            "--rebuild",
            action="store_true",
            help=_("Also recount days that are already counted, if their rows still exist."),
        )

    def handle(
        self, *args: Any, since: date | None, rebuild: bool, verbosity: int, **options: Any
    ) -> None:
        """Count the days, and print how many."""
        correct_recent()
        line = ProgressLine(self, verbosity)
        done = roll_up(
            since=since,
            rebuild=rebuild,
            progress=lambda day, days, number: line.show(
                f"{day}  {grouped(days)} / {grouped(number)}"
            ),
        )
        line.clear()
        if verbosity > 0:
            days = ngettext("%s day counted", "%s days counted", done.days) % grouped(done.days)
            rows = ngettext("%s count written", "%s counts written", done.rows)
            since_when = "" if since is None else _(" since %s") % date_format(since, "DATE_FORMAT")
            self.stdout.write(f"{days}{since_when}, {rows % grouped(done.rows)}.")
        if done.other_zones:
            message = _(
                "Some days were counted in another time zone (%s). Run this command with --rebuild."
            )
            self.stderr.write(message % ", ".join(done.other_zones))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(_("not a date such as 2026-03-29")) from None

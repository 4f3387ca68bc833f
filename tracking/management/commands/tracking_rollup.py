"""``manage.py tracking_rollup``: counts the days that are over, once."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from tracking.rollups.build import roll_up


class Command(BaseCommand):
    """Counts the days that are over, and those of which rows came late."""

    help = _("Count past days, and recount those with late rows.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare which days."""
        parser.add_argument("--since", type=_day, help=_("Start at this day, such as 2026-03-29."))
        parser.add_argument(
            "--rebuild",
            action="store_true",
            help=_("Also recount days that are already counted, if their rows still exist."),
        )

    def handle(
        self, *args: Any, since: date | None, rebuild: bool, verbosity: int, **options: Any
    ) -> None:
        """Print how far it is, and what was done."""
        shows_progress = verbosity > 0 and self.stdout.isatty()
        done = roll_up(
            since=since, rebuild=rebuild, progress=self._show if shows_progress else None
        )
        if verbosity > 0:
            days = ngettext("%s day counted", "%s days counted", done.days) % _grouped(done.days)
            rows = ngettext("%s count written", "%s counts written", done.rows)
            clear = "\r\x1b[K" if shows_progress else ""
            since_when = "" if since is None else _(" since %s") % date_format(since, "DATE_FORMAT")
            self.stdout.write(f"{clear}{days}{since_when}, {rows % _grouped(done.rows)}.")
        if done.other_zones:
            message = _(
                "Some days were counted in another time zone (%s). Run this command with --rebuild."
            )
            self.stderr.write(message % ", ".join(done.other_zones))

    def _show(self, day: date, days: int, number: int) -> None:
        self.stdout.write(f"\r{day}  {_grouped(days)} / {_grouped(number)}", ending="")
        self.stdout.flush()


def _grouped(number: int) -> str:
    return str(number_format(number, force_grouping=True))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(_("not a date such as 2026-03-29")) from None

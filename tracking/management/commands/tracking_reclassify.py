"""``manage.py tracking_reclassify``: judges opens and clicks of the past by today's rules."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from tracking.enrichment.verdict_reasons import translate_rule
from tracking.enrichment.verdict_rules import Label
from tracking.management.output import ProgressLine, grouped
from tracking.verdicts.reclassification import CHUNK_SIZE, Reclassified, reclassify


class Command(BaseCommand):
    """Judges opens and clicks of the past by today's rules, and prints what changed and why."""

    help = _("Judge opens and clicks of the past by today's rules, in chunks.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--since", type=_day, help=_("The first day, such as 2026-03-29."))
        parser.add_argument("--until", type=_day, help=_("The last day."))
        parser.add_argument(
            "--chunk",
            type=int,
            default=CHUNK_SIZE,
            help=_("Maximum number of rows per transaction (default: %(default)s)."),
        )
        parser.add_argument(
            "--dry-run", action="store_true", help=_("Print what would change, and change nothing.")
        )

    def handle(
        self,
        *args: Any,
        since: date | None,
        until: date | None,
        chunk: int,
        dry_run: bool,
        verbosity: int,
        **options: Any,
    ) -> None:
        """Judge the rows, and print a line for each change of verdict and reason."""
        line = ProgressLine(self, verbosity)
        try:
            done = reclassify(
                since=since,
                until=until,
                chunk=chunk,
                dry_run=dry_run,
                progress=lambda day, so_far: line.show(f"{day}  {grouped(so_far.rows)}"),
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        line.clear()
        if verbosity > 0:
            self._report(done, dry_run=dry_run)

    def _report(self, done: Reclassified, *, dry_run: bool) -> None:
        changed = sum(done.changes.values())
        read = ngettext("%s open or click read", "%s opens and clicks read", done.rows)
        self.stdout.write(
            f"{read % grouped(done.rows)}, "
            + (_("%s would change") if dry_run else _("%s changed")) % grouped(changed)
            + (":" if changed else ".")
        )
        rows = [
            (grouped(number), _label(one.before), _label(one.after), translate_rule(one.rule))
            for one, number in done.changes.most_common()
        ]
        first, second, third = (
            max((len(row[column]) for row in rows), default=0) for column in range(3)
        )
        for number, before, after, rule in rows:
            row = f"  {number:>{first}}  {before:<{second}} -> {after:<{third}}  {rule}"
            self.stdout.write(row.rstrip())
        if done.kept:
            kept = ngettext(
                "%s row has a reason of its own, and stays.",
                "%s rows have reasons of their own, and stay.",
                done.kept,
            )
            self.stdout.write(kept % grouped(done.kept))
        if changed and not dry_run:
            days = ngettext(
                "tracking_rollup counts %s day again.",
                "tracking_rollup counts %s days again.",
                len(done.days),
            )
            self.stdout.write(days % grouped(len(done.days)))


def _label(value: str) -> str:
    return str(Label(value).label)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(_("not a date such as 2026-03-29")) from None

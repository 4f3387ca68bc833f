"""``manage.py tracking_partition``: monthly partitions of large tables, on PostgreSQL."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import router
from django.db.models import Model
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from tracking import partitions
from tracking.management.output import grouped
from tracking.partitions import Partition, Plan


class Command(BaseCommand):
    """Partitions large tables by month, and adds partitions for future months."""

    help = _(
        "PostgreSQL only. Without options, create the partitions of the next months for "
        "partitioned tables, and list all; safe to run daily. With --convert, partition tables "
        "by month; with --undo, convert them back. Both show their plan and ask for "
        "confirmation."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--table",
            action="append",
            choices=list(partitions.TABLES),
            help=_("Only this table; may be given several times."),
        )
        parser.add_argument(
            "--ahead",
            type=_months,
            default=partitions.MONTHS_AHEAD,
            help=_("Number of future months to create partitions for (default: %(default)s)."),
        )
        action = parser.add_mutually_exclusive_group()
        action.add_argument("--convert", action="store_true", help=_("Partition tables."))
        action.add_argument(
            "--undo",
            action="store_true",
            help=_("Convert partitioned tables back into plain tables."),
        )
        parser.add_argument(
            "--rewrite",
            action="store_true",
            help=_(
                "With --convert: also copy old rows into monthly partitions. Hits wait meanwhile."
            ),
        )
        parser.add_argument("--dry-run", action="store_true", help=_("Show the plan only."))
        parser.add_argument("--yes", action="store_true", help=_("Do not ask for confirmation."))

    def handle(
        self,
        *args: Any,
        table: Sequence[str] | None,
        ahead: int,
        convert: bool,
        undo: bool,
        rewrite: bool,
        dry_run: bool,
        yes: bool,
        verbosity: int,
        **options: Any,
    ) -> None:
        """Convert, undo or add partitions, for each table."""
        if rewrite and not convert:
            raise CommandError(_("--rewrite needs --convert."))
        self._confirmed = yes
        self._dry_run = dry_run
        for name in dict.fromkeys(table or partitions.TABLES):
            model = partitions.TABLES[name]
            using = router.db_for_write(model)
            try:
                if convert:
                    self._convert(model, using, ahead=ahead, rewrite=rewrite)
                elif undo:
                    self._undo(model, using)
                elif not dry_run:
                    self._add_partitions(model, using, ahead)
                if verbosity > 0:
                    self._show(model, using)
            except (partitions.UnsuitableTable, partitions.TableBusy) as error:
                raise CommandError(str(error)) from error

    def _convert(self, model: type[Model], using: str, *, ahead: int, rewrite: bool) -> None:
        if partitions.layout(model, using).is_partitioned:
            return
        planned = partitions.plan(model, using, ahead=ahead, rewrite=rewrite)
        self._show_plan(planned)
        self._run_if_confirmed(
            lambda: partitions.convert(model, using, ahead=ahead, rewrite=rewrite)
        )

    def _undo(self, model: type[Model], using: str) -> None:
        layout = partitions.layout(model, using)
        if not layout.is_partitioned:
            return
        self.stdout.write(
            _("%(table)s: %(rows)s rows will be copied into one table. Hits wait meanwhile.")
            % {"table": model._meta.db_table, "rows": _row_count(layout.rows)}
        )
        self._run_if_confirmed(lambda: partitions.undo(model, using))

    def _add_partitions(self, model: type[Model], using: str, ahead: int) -> None:
        for name in partitions.add_future_partitions(model, using, ahead=ahead):
            self.stdout.write(_("Created: %s") % name)

    def _run_if_confirmed(self, work: Callable[[], None]) -> None:
        if self._dry_run:
            return
        if not self._confirmed:
            try:
                answer = input(_("Type 'yes' to continue: "))
            except EOFError:
                answer = ""
            if answer.strip() != "yes":
                raise CommandError(_("Nothing changed."))
        work()

    def _show_plan(self, planned: Plan) -> None:
        table = planned.model._meta.db_table
        values = {
            "table": table,
            "rows": _row_count(planned.before.rows),
            "size": filesizeformat(planned.before.size),
            "until": f"{planned.boundary.start:%Y-%m-%d}",
        }
        self.stdout.write(_("%(table)s has %(rows)s rows, %(size)s.") % values)
        if planned.rewrite:
            self.stdout.write(
                _("  All rows will be copied into monthly partitions. Hits wait meanwhile.")
            )
        else:
            self.stdout.write(
                _("  They stay in place, as the partition for everything before %(until)s.")
                % values
            )
        names = ", ".join(f"{month.year}-{month.month:02}" for month in planned.months)
        self.stdout.write(_("  New partitions: %s, and a default partition.") % (names or "-"))
        if planned.beyond:
            self.stdout.write(
                _("  %(rows)s rows have later keys and will be copied. Hits wait meanwhile.")
                % {"rows": _row_count(planned.beyond)}
            )

    def _show(self, model: type[Model], using: str) -> None:
        layout = partitions.layout(model, using)
        state = _("partitioned:") if layout.is_partitioned else _("not partitioned")
        self.stdout.write(f"{model._meta.db_table}: {state}")
        for part in layout.partitions:
            size = filesizeformat(part.size)
            self.stdout.write(
                f"  {part.name:<32}{_span(part):<28}{_row_count(part.rows):>13}{size:>12}"
            )


def _span(part: Partition) -> str:
    if part.is_default:
        return _("default")
    begin = "" if part.starts_at is None else f"{part.starts_at:%Y-%m-%d}"
    end = "" if part.ends_at is None else f"{part.ends_at:%Y-%m-%d}"
    return f"{begin:<10} .. {end:<10}"


def _row_count(rows: int) -> str:
    return "?" if rows < 0 else grouped(rows)


def _months(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 120:  # noqa: PLR2004 - ten years
        raise ArgumentTypeError(_("from 1 to 120"))
    return number

"""``manage.py tracking_consent``: exports the ledger of consent, or shows one recipient."""

import csv
import json
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from tracking.csv_cells import guard
from tracking.db.chunks import read_in_chunks
from tracking.hits import Reference
from tracking.models import MailConsentChange
from tracking.recipient_consent import AddressKeyLost, history, state
from tracking.recipient_consent.recipients import Recipient

#: The columns of an export.
COLUMNS = ("recipient", "time", "opens", "clicks", "how", "text")


class Command(BaseCommand):
    """Exports all changes of consent for an audit, or shows those of one recipient."""

    help = _("Export all that recipients of mail have said about tracking, or show one of them.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--recipient", help=_("An e-mail address, or app.model:key: show this recipient only.")
        )
        parser.add_argument(
            "--format", choices=("csv", "json"), default="csv", help=_("Default: %(default)s.")
        )
        parser.add_argument("--output", help=_("The file to write; by default it is printed."))

    def handle(
        self,
        *args: Any,
        recipient: str | None,
        output: str | None,
        **options: Any,
    ) -> None:
        """Write the changes, the oldest first."""
        changes: QuerySet[MailConsentChange] = MailConsentChange.objects.all()
        if recipient is not None:
            who = _recipient(recipient)
            try:
                changes, now = history(who), state(who)
            except (AddressKeyLost, ValueError) as error:
                raise CommandError(str(error)) from error
            self.stderr.write(f"{recipient}: opens {now.opens}, clicks {now.clicks}")
        rows = _rows(changes)
        write = _write_json if options["format"] == "json" else _write_csv
        if output is None:
            write(rows, self.stdout)
            return
        try:
            with Path(output).open("w", encoding="utf-8", newline="") as file:
                write(rows, file)
        except OSError as error:
            raise CommandError(str(error)) from error


def _recipient(text: str) -> Recipient:
    label, colon, key = text.partition(":")
    return Reference(label.lower(), key) if colon and "@" not in label else text


def _rows(changes: Any) -> Iterator[dict[str, str]]:
    names = ("consent__label", "consent__key", "changed_at", "opens", "clicks", "how", "text")
    for label, key, time, *rest in read_in_chunks(changes, *names):
        name = f"{label}:{key}" if label else f"address:{key}"
        yield dict(zip(COLUMNS, (name, time.isoformat(), *rest), strict=True))


def _write_csv(rows: Iterator[dict[str, str]], file: Any) -> None:
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    writer.writerows([guard(value) for value in row.values()] for row in rows)


def _write_json(rows: Iterator[dict[str, str]], file: Any) -> None:
    """Write an array with one object per line, without holding all of them."""
    separator = "[ "
    for row in rows:
        file.write(f"{separator}{json.dumps(row, ensure_ascii=False)}\n")
        separator = ", "
    file.write("]\n" if separator == ", " else "[]\n")

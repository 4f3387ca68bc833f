"""``manage.py tracking_report``: prints or mails a report."""

import json
from argparse import ArgumentParser
from datetime import date, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from tracking import generic_references
from tracking.conf import conf
from tracking.hits import Reference
from tracking.models import Source
from tracking.reports import BadQuery, Period, campaign, overview
from tracking.reports.filters import reference_of
from tracking.reports.plain_text import campaign_text, overview_text
from tracking.reports.weekly_mail import send
from tracking.rollups.days import today


class Command(BaseCommand):
    """Prints the report of the site, or of one mailing."""

    help = _("Print the report of the last days, or of one mailing.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--days",
            type=int,
            default=7,
            help=_("Number of days up to yesterday (default: %(default)s)."),
        )
        parser.add_argument(
            "--source",
            help=_("One mailing: the slug of a source, or app.model:key of another object."),
        )
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--json", action="store_true", help=_("Print JSON."))
        form.add_argument(
            "--mail",
            action="store_true",
            help=_("Send the report to TRACKING_REPORT_RECIPIENTS instead."),
        )

    def handle(
        self,
        *args: Any,
        days: int,
        source: str | None,
        mail: bool,
        verbosity: int,
        **options: Any,
    ) -> None:
        """Print the report, or send it by mail."""
        as_json = options["json"]
        if source is not None:
            if mail:
                raise CommandError(_("Only the report of the site can be sent by mail."))
            self._campaign(source, as_json=as_json)
            return
        report = overview(_period(days))
        if mail:
            self._mail(send(report), verbosity)
        else:
            self.stdout.write(_json(report.as_dict()) if as_json else overview_text(report))

    def _campaign(self, source: str, *, as_json: bool) -> None:
        reference = _reference(source)
        report = campaign(reference)
        if report.began_at is None:  # a deleted object has a report while its beacons exist
            _look_for(reference)
        self.stdout.write(_json(report.as_dict()) if as_json else campaign_text(report))

    def _mail(self, sent: int, verbosity: int) -> None:
        if not conf.report_recipients:
            raise CommandError(_("Set TRACKING_REPORT_RECIPIENTS to a list of addresses."))
        if verbosity > 0:
            self.stdout.write(ngettext("%d mail sent.", "%d mails sent.", sent) % sent)


def _period(days: int) -> Period:
    last: date = today() - timedelta(days=1)
    try:
        return Period.custom(last - timedelta(days=days - 1), last)
    except (BadQuery, OverflowError) as error:
        raise CommandError(str(error)) from error


def _reference(text: str) -> Reference:
    ours = Source.objects.filter(slug=text).first()
    if ours is not None:
        return Reference.to(ours)
    try:
        return reference_of(text)
    except BadQuery as error:
        raise CommandError(_("There is no source “%s”.") % text) from error


def _look_for(reference: Reference) -> None:
    try:
        generic_references.resolve(reference)
    except generic_references.NotFound as error:
        raise CommandError(str(error)) from error


def _json(values: object) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False)

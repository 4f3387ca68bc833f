"""The weekly report as mail."""

from collections.abc import Sequence

from django.core.mail import EmailMultiAlternatives
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.translation import gettext as _

from tracking.conf import conf
from tracking.reports.overview import Overview
from tracking.reports.plain_text import overview_text


def send(report: Overview, recipients: Sequence[str] | None = None) -> int:
    """Send a report to each recipient by a mail of its own. One failure does not stop the others.

    Args:
        report: the report.
        recipients: addresses; by default ``TRACKING_REPORT_RECIPIENTS``.

    Returns:
        How many mails were sent.

    Raises:
        OSError: the mail server does not take one of them (``smtplib.SMTPException`` is
            one); all others are sent.
    """
    addresses = conf.report_recipients if recipients is None else recipients
    period = report.period
    subject = _("Report %(first)s to %(last)s") % {
        "first": date_format(period.first, "DATE_FORMAT"),
        "last": date_format(period.last, "DATE_FORMAT"),
    }
    text = overview_text(report)
    html = format_html('<pre style="font-family: monospace">{}</pre>', text)
    sent, errors = 0, []
    for address in addresses:
        message = EmailMultiAlternatives(subject, text, to=[address])
        message.attach_alternative(html, "text/html")
        try:
            sent += message.send()
        except OSError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return sent

"""The table of what became of the messages of a mailing, by mailbox provider."""

from collections.abc import Iterator

from django.utils.translation import gettext

from tracking.admin.reports.sections import TEXT, Cell, Column, Section, TableRow
from tracking.admin.reports.source_object import SourceObject
from tracking.recording import provider_events
from tracking.reports import formatting
from tracking.reports.campaigns import Campaign
from tracking.reports.delivery import COLUMNS, RATES, Delivery, mailbox_label


def sections(source: SourceObject, report: Campaign) -> Iterator[Section]:
    """Yield the table, unless the site hears nothing from mail providers.

    Args:
        source: the source object.
        report: the report about it.
    """
    found = report.delivery
    if not found.total.has_events and not provider_events.is_in_use():
        return
    lines = found.by_mailbox if len(found.by_mailbox) == 1 else (*found.by_mailbox, found.total)
    yield Section(
        key="delivery",
        title=gettext("Delivery"),
        heads=[
            Column(gettext("Mailbox provider"), kind=TEXT),
            *(Column(str(term.title), str(term.explanation)) for term in COLUMNS.values()),
        ],
        rows=[
            TableRow(
                name=mailbox_label(line.mailbox), cells=[_cell(line, name) for name in COLUMNS]
            )
            for line in lines
            if found.by_mailbox
        ],
        empty=gettext("No sending was recorded, and the mail provider has reported nothing."),
        hint=gettext("Recipients, as your mail provider reports."),
        csv_url=source.path_to("tracking_report_csv", "delivery"),
        is_wide=True,
    )


def _cell(line: Delivery, name: str) -> Cell:
    number = getattr(line, name)
    if number is None:
        return Cell(gettext("no data"))
    text = formatting.count(number)
    rate = line.rate(name) if name in RATES else None
    return Cell(text if rate is None else f"{text} ({formatting.rate(rate)})")

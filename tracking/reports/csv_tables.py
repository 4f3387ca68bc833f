"""Reports as CSV, written line by line.

    response = StreamingHttpResponse(lines(campaign_table("recipients", affiliate)), ...)

No cell is a formula for a spreadsheet: :mod:`tracking.csv_cells`.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from django.utils.translation import gettext as _

from tracking.csv_cells import guard
from tracking.hits import Reference
from tracking.reports.campaigns import Campaign, Timeline, campaign
from tracking.reports.delivery import COLUMNS, DeliveryReport, mailbox_label
from tracking.reports.figures import Listing
from tracking.reports.filters import Filters
from tracking.reports.journeys import next_pages
from tracking.reports.measures import MEASURES
from tracking.reports.overview import Overview, overview
from tracking.reports.periods import Period
from tracking.reports.recipients import each_recipient
from tracking.reports.top_lists import LISTS, listing
from tracking.rollups.metric_definitions import TERMS

#: Tables of a campaign.
CAMPAIGN_TABLES = (
    *("goals", "pages", "recipients", "links", "countries", "clients", "quarters", "days"),
    "delivery",
)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table for CSV.

    Attributes:
        name: the name of its file, without ``.csv``.
        head: the titles of the columns.
        rows: the lines. They can be read once only.
    """

    name: str
    head: tuple[str, ...]
    rows: Iterable[tuple[object, ...]]


class _Echo:
    def write(self, text: str) -> str:
        return text


def lines(table: Table) -> Iterator[str]:
    """Yield the lines of a table as CSV, each with its line end."""
    writer: Any = csv.writer(_Echo())
    # Excel needs the byte order mark to read UTF-8.
    yield "\ufeff" + writer.writerow([guard(cell) for cell in table.head])
    for row in table.rows:
        yield writer.writerow([guard(cell) for cell in row])


def overview_table(name: str, period: Period, filters: Filters | None = None) -> Table:
    """Return a whole table of the overview.

    Args:
        name: one of :data:`tracking.reports.overview.LISTS`, or ``"series"``.
        period: the days.
        filters: the filters.

    Raises:
        KeyError: if there is no such table.
    """
    if name == "series":
        return _series(overview(period, filters))
    if name not in LISTS:
        raise KeyError(name)
    return _list(listing(name, period, filters, limit=None))


def campaign_table(name: str, source: Model | Reference, **chosen: Any) -> Table:
    """Return a whole table of a campaign.

    Args:
        name: one of :data:`CAMPAIGN_TABLES`.
        source: a saved row of any model, or its reference.
        chosen: of recipients, further arguments of
            :func:`tracking.reports.recipients.each_recipient`, such as ``state``.

    Raises:
        BadQuery: if the state is unknown.
        KeyError: if there is no such table.
        LookupError: if the site has no such model.
    """
    if name not in CAMPAIGN_TABLES:
        raise KeyError(name)
    if name == "recipients":
        return _recipients(source, chosen)
    if name == "goals":
        return _goals(campaign(source))
    if name == "pages":
        return _pages(source)
    part = getattr(campaign(source), name)
    if isinstance(part, DeliveryReport):
        return _delivery(part)
    return _list(part) if isinstance(part, Listing) else _timeline(name, part)


def _list(part: Listing) -> Table:
    further = list(part.lines[0].numbers) if part.lines else []
    return Table(
        name=part.name,
        head=(str(part.title), _("Name"), str(part.column), *map(_column_title, further)),
        rows=((row.value, row.label, row.figure, *row.numbers.values()) for row in part.lines),
    )


def _column_title(number: str) -> str:
    """Return the title of a column of numbers."""
    return str(TERMS[number].title)


def _timeline(name: str, timeline: Timeline) -> Table:
    points = zip(timeline.opens, timeline.clicks, strict=True)
    return Table(
        name=name,
        head=(_("From"), _("Until"), *map(_column_title, ("opens", "clicks"))),
        rows=(
            (opens.bucket.start, opens.bucket.end, opens.value, clicks.value)
            for opens, clicks in points
        ),
    )


def _delivery(part: DeliveryReport) -> Table:
    return Table(
        name="delivery",
        head=(_("Mailbox provider"), _("Name"), *(str(term.title) for term in COLUMNS.values())),
        rows=(
            (line.mailbox, mailbox_label(line.mailbox), *(getattr(line, name) for name in COLUMNS))
            for line in (*part.by_mailbox, part.total)
        ),
    )


def _series(report: Overview) -> Table:
    all_points = zip(*(report.series[name].points for name in MEASURES), strict=True)
    return Table(
        name="series",
        head=(_("From"), _("Until"), *(str(measure.title) for measure in MEASURES.values())),
        rows=(
            (points[0].bucket.start, points[0].bucket.end, *(point.value for point in points))
            for points in all_points
        ),
    )


def _pages(source: Model | Reference) -> Table:
    head = (_("Page"), _("Recipients"), _column_title("page_views"))
    return Table(name="pages", head=head, rows=next_pages(source).rows)


def _goals(report: Campaign) -> Table:
    return Table(
        name="goals",
        head=(_("Goal"), _("Event or page"), _("Recipients"), _("Events"), _("Value")),
        rows=(
            (goal.title, goal.name, goal.unique, goal.total, goal.value) for goal in report.goals
        ),
    )


def _recipients(source: Model | Reference, chosen: Mapping[str, Any]) -> Table:
    return Table(
        name="recipients",
        head=(
            _("Recipient"),
            _("Name"),
            _("State"),
            _column_title("sent"),
            _("First"),
            _("Last"),
            *map(_column_title, ("opens", "clicks")),
        ),
        rows=(
            (
                f"{each.entity.label}:{each.entity.pk}",
                each.label,
                each.state.label,
                each.sent_at,
                each.first_at,
                each.last_at,
                each.opens,
                each.clicks,
            )
            for each in each_recipient(source, **chosen)
        ),
    )

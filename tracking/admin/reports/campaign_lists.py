"""The lists of a campaign report: links, countries and mail clients."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tracking.admin import charts
from tracking.admin.reports.page_urls import PageUrls
from tracking.admin.reports.pages import ROWS_PER_PAGE, page_number, paging
from tracking.admin.reports.sections import TEXT, Cell, Column, Section, TableRow, outside
from tracking.admin.reports.source_object import SourceObject
from tracking.reports import formatting
from tracking.reports.campaigns import Campaign
from tracking.reports.figures import OTHER_HINT, Listing, Row
from tracking.rollups.metric_definitions import TERMS

_HUMANS_ONLY = _("Hits by people only: proxies and machines say nothing about the reader.")
_NOBODY = _("No opens or clicks yet.")


class _ListKind(NamedTuple):
    """A list: the number of lines in the report, and its texts."""

    lines: int
    head: Any
    empty: Any
    hint: Any = ""


#: The lists by name, in the order in which they are shown.
LISTS: Mapping[str, _ListKind] = {
    "links": _ListKind(50, _("Link"), _("No clicks yet.")),
    "countries": _ListKind(10, _("Country"), _NOBODY, _HUMANS_ONLY),
    "clients": _ListKind(10, _("Mail client"), _NOBODY, _HUMANS_ONLY),
}


def sections(source: SourceObject, report: Campaign) -> Iterator[Section]:
    """Yield the first lines of each list, with a link to all of them."""
    for name, kind in LISTS.items():
        yield _section(source, getattr(report, name), 0, kind.lines)


def whole(source: SourceObject, name: str) -> dict[str, Any]:
    """Return the template context of a list on a page of its own.

    Args:
        source: the source object.
        name: one of :data:`LISTS`.
    """
    found: Listing = getattr(source.report(), name)
    number = page_number(source.request)
    first = (number - 1) * ROWS_PER_PAGE
    shown = len(found.rows[first : first + ROWS_PER_PAGE])
    if first + shown < found.total:  # all other values are the last line of the last page
        found = replace(found, other=None)
    return {
        "table": _section(source, found, first, ROWS_PER_PAGE),
        "page": paging(PageUrls(source.request.path, {}), number, shown, found.total),
    }


def _section(source: SourceObject, found: Listing, first: int, lines: int) -> Section:
    kind, is_links = LISTS[found.name], found.name == "links"
    shown = replace(found, rows=found.rows[first : first + lines]).lines
    highest = max((row.figure for row in found.lines), default=0)
    is_cut = first == 0 and found.total > lines
    heads = [Column(str(kind.head), kind=TEXT)]
    if is_links:
        heads += [Column(*map(str, TERMS[name])) for name in ("clicked", "clicks")]
    else:
        heads += [Column(str(found.column)), Column(gettext("Share"))]
    return Section(
        key=found.name,
        title=str(found.title),
        heads=heads,
        rows=[
            TableRow(
                name=row.label,
                outside=outside(row.value) if is_links else "",
                bar=charts.bar(row.figure, highest),
                cells=_cells(row, is_links=is_links),
            )
            for row in shown
        ],
        empty=str(kind.empty),
        hint=" ".join(filter(None, [str(kind.hint), str(OTHER_HINT) if found.other else ""])),
        all_url=source.path_to("tracking_report_list", found.name) if is_cut else "",
        csv_url=source.path_to("tracking_report_csv", found.name),
        is_wide=is_links,
    )


def _cells(row: Row, *, is_links: bool) -> list[Cell]:
    if is_links:
        return [Cell(formatting.count(row.numbers["clicked"])), Cell(formatting.count(row.figure))]
    return [Cell(formatting.count(row.figure)), Cell(formatting.rate(row.share))]

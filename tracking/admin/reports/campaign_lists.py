"""The lists of a report: links, countries, mail clients; the largest first."""

from collections.abc import Iterator, Mapping
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
from tracking.reports.figures import Listing, Row
from tracking.rollups.definitions import TERMS

_HUMANS_ONLY = _("Only hits by people: a proxy or a machine says nothing about the reader.")
_NOBODY = _("Nobody has opened it or clicked yet.")


class _ListKind(NamedTuple):
    """A list: how many lines the report shows, and what stands around them."""

    lines: int
    head: Any
    empty: Any
    hint: Any = ""


#: The lists by their names, in the order in which they are shown.
LISTS: Mapping[str, _ListKind] = {
    "links": _ListKind(50, _("Link"), _("No link was followed by anybody yet.")),
    "countries": _ListKind(10, _("Country"), _NOBODY, _HUMANS_ONLY),
    "clients": _ListKind(10, _("Mail client"), _NOBODY, _HUMANS_ONLY),
}


def blocks(source: SourceObject, report: Campaign) -> Iterator[Section]:
    """Yield the beginning of each list, with the way to all of it."""
    for name, kind in LISTS.items():
        yield _block(source, getattr(report, name), 0, kind.lines)


def whole(source: SourceObject, name: str) -> dict[str, Any]:
    """Return what a page of its own shows of a list.

    Args:
        subject: what the report is about.
        name: one of :data:`LISTS`.
    """
    found: Listing = getattr(source.report(), name)
    number = page_number(source.request)
    first = (number - 1) * ROWS_PER_PAGE
    shown = len(found.rows[first : first + ROWS_PER_PAGE])
    return {
        "table": _block(source, found, first, ROWS_PER_PAGE),
        "page": paging(PageUrls(source.request.path, {}), number, shown, found.total),
    }


def _block(source: SourceObject, found: Listing, first: int, lines: int) -> Section:
    kind, is_links = LISTS[found.name], found.name == "links"
    highest = max((row.figure for row in found.rows), default=0)
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
            for row in found.rows[first : first + lines]
        ],
        empty=str(kind.empty),
        hint=str(kind.hint),
        all_url=source.path_to("tracking_report_list", found.name) if is_cut else "",
        csv_url=source.path_to("tracking_report_csv", found.name),
    )


def _cells(row: Row, *, is_links: bool) -> list[Cell]:
    if is_links:
        return [Cell(formatting.count(row.numbers["clicked"])), Cell(formatting.count(row.figure))]
    return [Cell(formatting.count(row.figure)), Cell(formatting.rate(row.share))]

"""The lists of the overview: as sections of the page, and with names in files."""

from collections.abc import Iterable, Iterator, Sequence

from django.utils.translation import gettext

from tracking.admin import charts
from tracking.admin.admin_page import admin_url
from tracking.admin.related_objects import RelatedObjects, reference_from_text
from tracking.admin.reports.overview_frame import NOT_AVAILABLE, SECTIONS, OverviewPage
from tracking.admin.reports.report_links import report_url
from tracking.admin.reports.sections import Cell, Column, Section, Tab, TableRow, outside
from tracking.hits import Reference
from tracking.reports import formatting
from tracking.reports.figures import OTHER_HINT, Listing, Row
from tracking.reports.filters import TITLES as FILTER_TITLES
from tracking.reports.filters import reference_of as known_reference_of
from tracking.reports.overview import Overview
from tracking.reports.periods import BadQuery


class OverviewLists:
    """The lists of a page.

    Args:
        shown: the page.
    """

    def __init__(self, shown: OverviewPage) -> None:
        self._shown = shown

    def section(self, key: str, found: Listing, tabs: Sequence[Tab] = (), *, path: str) -> Section:
        """Return a list as a section.

        Args:
            key: the key of the section.
            found: the list.
            tabs: links to other lists of the section.
            path: the path of the overview, which its lines link to.
        """
        return Section(
            key=key,
            title=str(found.title),
            heads=[
                Column(self._head(found), kind="text"),
                Column(str(found.column)),
                Column(gettext("Share"), gettext("Share of the whole list.")),
            ],
            rows=list(self._lines(found, path)),
            empty=self._why_empty(found.name) or gettext("No data for this period."),
            tabs=tabs,
            hint=str(OTHER_HINT) if found.other else "",
            all_url=self._path_to("tracking_overview_list", found) if found.has_more else "",
            csv_url=self._path_to("tracking_overview_csv", found),
        )

    def _why_empty(self, name: str) -> str:
        """Return why a list is not available, or ``""`` if it is."""
        where = self._shown.filters.where()
        parts = {"pages": where.pageview, "mailings": where.clicks, "links": where.clicks}
        return str(NOT_AVAILABLE) if parts.get(name, where.visit) is None else ""

    def _head(self, found: Listing) -> str:
        """Return the title of the first column, in the singular."""
        return str(FILTER_TITLES[found.rows[0].filter_key] if found.rows else found.title)

    def _path_to(self, name: str, found: Listing) -> str:
        return self._shown.page_urls.to({}, path=admin_url(self._shown.site, name, found.name))

    def _lines(self, found: Listing, path: str) -> Iterator[TableRow]:
        highest = max((row.figure for row in found.lines), default=0)
        names = self._names(row.value for row in found.rows) if found.name == "mailings" else {}
        for row in found.lines:
            reference = _source(row.value) if found.name == "mailings" else None
            leads = row is not found.other and (reference is not None or found.name != "mailings")
            yield TableRow(
                name=names.get(row.value, row.label),
                url=self._filtered_url(row, path) if leads else "",
                url_title=gettext("Filter by this"),
                outside=outside(row.value) if found.name == "links" else "",
                report=report_url(self._shown.site, reference) if reference else "",
                bar=charts.bar(row.figure, highest),
                cells=[Cell(formatting.count(row.figure)), Cell(formatting.rate(row.share))],
            )

    def _filtered_url(self, row: Row, path: str) -> str:
        return self._shown.page_urls.to({row.filter_key: row.filter_value}, path=path)

    def with_names(self, rows: Iterable[tuple[object, ...]]) -> list[tuple[object, ...]]:
        """Return the lines of a file about objects, with the names the user may see."""
        found = list(rows)
        names = self._names([str(value) for value, *_rest in found])
        return [
            # All other objects have no value.
            (value, names.get(str(value), "") if value else name, *rest)
            for value, name, *rest in found
        ]

    def _names(self, values: Iterable[str]) -> dict[str, str]:
        """Return the names of objects, as far as the user may see them."""
        references = {value: found for value in values if (found := reference_from_text(value))}
        seen = RelatedObjects(references.values(), self._shown.viewer.request, self._shown.site)
        return {value: seen.name(reference) for value, reference in references.items()}


def sections(shown: OverviewPage, report: Overview) -> Iterator[Section]:
    """Yield the sections of the overview, each with one list and links to its others."""
    lists = OverviewLists(shown)
    for key, names in SECTIONS.items():
        allowed = [name for name in names if shown.viewer.may_see(name)]
        if not allowed:
            continue
        asked = shown.page_urls.query.get(key, "")
        filled = (name for name in allowed if report.lists[name].rows)
        chosen = asked if asked in allowed else next(filled, allowed[0])
        tabs = [
            Tab(str(report.lists[name].title), shown.page_urls.to({key: name}, at=key))
            for name in allowed
            if name != chosen
        ]
        found = report.lists[chosen]
        yield lists.section(key, found, tabs, path=shown.page_urls.path)


def _source(value: str) -> Reference | None:
    """Return the reference of a mailing, or ``None`` if the site has removed its model."""
    try:
        return known_reference_of(value)
    except BadQuery:
        return None

"""The overview page: figures, chart and lists of the whole site."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import router
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from tracking.admin import charts
from tracking.admin.admin_page import admin_url
from tracking.admin.related_objects import RelatedObjects, reference_from_text
from tracking.admin.reports import series
from tracking.admin.reports.downloads import csv_file
from tracking.admin.reports.page_urls import PageUrls
from tracking.admin.reports.pages import ROWS_PER_PAGE, page, page_number, paging
from tracking.admin.reports.report_links import report_url
from tracking.admin.reports.sections import Cell, Column, Section, Tab, TableRow, outside
from tracking.enrichment.country_names import country_name
from tracking.enrichment.user_agents import Device
from tracking.hits import Reference
from tracking.models import Beacon, DailyCount, Visit
from tracking.reports import formatting
from tracking.reports.csv_tables import overview_table
from tracking.reports.figures import OTHER_HINT, Figure, Listing, Row
from tracking.reports.filters import TITLES as FILTER_TITLES
from tracking.reports.filters import Filters, deleted_until
from tracking.reports.filters import reference_of as known_reference_of
from tracking.reports.formatting import UNKNOWN
from tracking.reports.overview import Overview, overview
from tracking.reports.periods import BadQuery, Period, as_stored, notes
from tracking.reports.query_string import Query, read_query
from tracking.reports.site_totals import count_days
from tracking.reports.top_lists import LISTS, listing
from tracking.rollups.months import first_single_day

RANGES = {"today": _("Today"), "7": _("7 days"), "30": _("30 days"), "90": _("90 days")}

#: The figures by the permission they need. The total of a unique figure is shown beside it.
FIGURES: Mapping[str, Mapping[str, str]] = {
    "view_visitor": {
        "visitors": "", "visits": "", "page_views": "", "bounce_rate": "", "visit_length": "",
    },
    "view_beacon": {"daily_unique_opens": "opens", "daily_unique_clicks": "clicks"},
}  # fmt: skip

#: The sections in order. A section with several lists shows one; tabs lead to the others.
SECTIONS: Mapping[str, Sequence[str]] = {
    "pages": ["pages"],
    "origins": ["referrers", "sources", "mediums"],
    "campaigns": ["campaigns", "mailings"],
    "countries": ["countries"],
    "technology": ["devices", "browsers", "systems"],
    "links": ["links"],
}

#: Seconds for which a request counts days with filters, before it shows how far it is.
COUNTING_SECONDS = 0.5

_NOT_AVAILABLE = _("Not available with these filters.")

#: Lists about beacons. All others are about visits.
BEACON_LISTS = frozenset({"mailings", "links"})


def urls(model_admin: "admin.ModelAdmin[Any]") -> list[URLPattern]:
    """Return the URL patterns of the overview, its lists and their CSV files."""
    site = model_admin.admin_site

    def pattern(route: str, view: Any, name: str) -> URLPattern:
        return path(f"overview/{route}", site.admin_view(partial(view, site)), name=name)

    return [
        pattern("", overview_page, "tracking_overview"),
        pattern("<slug:name>.csv", _file, "tracking_overview_csv"),
        pattern("<slug:name>/", _whole_list, "tracking_overview_list"),
    ]


def may_see(request: HttpRequest) -> bool:
    """Return whether the user may see any part of the overview."""
    return bool(_permissions(request))


def _permissions(request: HttpRequest) -> list[str]:
    """Return the permissions to see parts of the overview that the user has."""
    return [name for name in FIGURES if request.user.has_perm(f"tracking.{name}")]


class Viewer:
    """The current user, and the parts of the overview they may see."""

    def __init__(self, request: HttpRequest, site: admin.AdminSite) -> None:
        self.request = request
        self.site = site
        self._held = _permissions(request)
        if not self._held:
            raise PermissionDenied

    @property
    def sees_visitors(self) -> bool:
        """Whether visits are shown."""
        return "view_visitor" in self._held

    @property
    def sees_beacons(self) -> bool:
        """Whether opens and clicks are shown."""
        return "view_beacon" in self._held

    def figures(self) -> dict[str, str]:
        """Return the names of the figures, each with that of its total or ``""``."""
        return {name: total for held in self._held for name, total in FIGURES[held].items()}

    def may_see(self, name: str) -> bool:
        """Return whether the user may see a list."""
        return self.sees_beacons if name in BEACON_LISTS else self.sees_visitors

    def notes(self) -> Iterator[str]:
        """Yield sentences about what is hidden, and why."""
        if not self.sees_visitors:
            yield gettext("Visits are hidden: you have no permission to view visitors.")
        if not self.sees_beacons:
            yield gettext("Opens and clicks are hidden: you have no permission to view beacons.")


class OverviewPage:
    """What the overview and the pages of its lists have in common."""

    def __init__(self, viewer: Viewer, path: str) -> None:
        self.viewer = viewer
        self.site = viewer.site
        params = viewer.request.GET
        self.query: Query = read_query(params)
        self.before: Period | None = self.query.period.before()
        if not self.query.filters:
            single = first_single_day(router.db_for_read(DailyCount))
            shown, self.before = as_stored(self.query.period, single)
            self.query = replace(self.query, period=shown)
        self.figures = viewer.figures()
        chosen = {key: params[key] for key, lists in SECTIONS.items() if params.get(key) in lists}
        asked = params.get("series", "")
        #: The name of the figure in the chart.
        self.series = asked if asked in self.figures else next(iter(self.figures))
        if asked in self.figures:
            chosen["series"] = asked
        self.page_urls = PageUrls(path, {**self.query.as_query(), **chosen})

    def choose_series(self, report: Overview) -> None:
        """Show the first known figure in the chart, unless one was chosen."""
        known = (name for name in self.figures if report.figures[name].value is not None)
        if "series" not in self.page_urls.query:
            self.series = next(known, self.series)

    @property
    def period(self) -> Period:
        """The period of the page."""
        return self.query.period

    @property
    def filters(self) -> Filters:
        """The filters of the page."""
        return self.query.filters

    @property
    def span(self) -> str:
        """The days of the period as text."""
        return formatting.days(self.period.first, self.period.last)

    def render(self, template: str, **context: Any) -> TemplateResponse:
        """Return a page with range, filters and notes.

        Args:
            template: the name of the template.
            context: further variables of the template.
        """
        before = self.before
        said = {"days": self.span, "zone": self.period.zone}
        if before is None:
            span = gettext("%(days)s in the time zone %(zone)s.") % said
        else:
            said["before"] = formatting.days(before.first, before.last)
            span = gettext("%(days)s in the time zone %(zone)s, compared with %(before)s.") % said
        if self.period.is_unfinished:
            span += " " + gettext("Today is incomplete.")
        context = {
            "ranges": list(self._ranges()),
            "kept": self._kept(),
            "period": self.period,
            "span": span,
            "problems": self.query.problems,
            "chips": list(self._chips()),
            "notes": [*self.viewer.notes(), *self._notes()],
            **context,
        }
        return page(self.viewer.request, self.site, template, **context)

    def counting(self, first: date, title: str, **context: Any) -> TemplateResponse | None:
        """Return the page that is shown while days are counted, or ``None`` if all are.

        It reloads at once, and each request counts days for half a second.

        Args:
            first: the first day of the figures.
            title: the title of the page.
            context: further variables of the template.
        """
        progress = count_days(first, self.period.last, self.filters, COUNTING_SECONDS)
        if progress is None:
            return None
        text = gettext("%(done)s of %(all)s days are counted …") % {
            "done": formatting.count(progress.done),
            "all": formatting.count(progress.all),
        }
        shown = self.render("counting", title=title, progress=progress, text=text, **context)
        shown.status_code = 202
        return shown

    def _notes(self) -> Iterator[str]:
        """Yield sentences about what is not known any more."""
        yield from notes(self.period, self.before)
        if self.filters and (until := deleted_until(self.period)):
            yield gettext(
                "Old rows were deleted. With these filters, the figures up to %(day)s are too low."
            ) % {"day": formatting.day(until)}

    def _ranges(self) -> Iterator[dict[str, Any]]:
        for name, text in RANGES.items():
            changes = {"period": name, "first": None, "last": None}
            yield {
                "text": text,
                "url": self.page_urls.to(changes),
                "is_chosen": name == self.period.name,
            }

    def _kept(self) -> list[tuple[str, str]]:
        """Return the parameters that the form for other days keeps."""
        own = {"period", "first", "last"}
        return [(name, value) for name, value in self.page_urls.query.items() if name not in own]

    def _chips(self) -> Iterator[dict[str, str]]:
        for name, value in self.filters.active().items():
            yield {
                "name": str(FILTER_TITLES[name]),
                "value": self._filter_text(name, value),
                "url": self.page_urls.to({name: None}),
            }

    def _filter_text(self, name: str, value: str) -> str:
        """Return the value of a filter as it is shown."""
        if not value:
            return gettext("none")
        if name == "country":
            return country_name(value)
        if name == "device":
            return str(Device(value).label)
        if name == "mailing" and (reference := reference_from_text(value)):
            return RelatedObjects([reference], self.viewer.request, self.site).name(reference)
        return value

    # Lists.

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
        where = self.filters.where()
        parts = {"pages": where.pageview, "mailings": where.clicks, "links": where.clicks}
        return str(_NOT_AVAILABLE) if parts.get(name, where.visit) is None else ""

    def _head(self, found: Listing) -> str:
        """Return the title of the first column, in the singular."""
        return str(FILTER_TITLES[found.rows[0].filter_key] if found.rows else found.title)

    def _path_to(self, name: str, found: Listing) -> str:
        return self.page_urls.to({}, path=admin_url(self.site, name, found.name))

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
                report=report_url(self.site, reference) if reference else "",
                bar=charts.bar(row.figure, highest),
                cells=[Cell(formatting.count(row.figure)), Cell(formatting.rate(row.share))],
            )

    def _filtered_url(self, row: Row, path: str) -> str:
        return self.page_urls.to({row.filter_key: row.filter_value}, path=path)

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
        seen = RelatedObjects(references.values(), self.viewer.request, self.site)
        return {value: seen.name(reference) for value, reference in references.items()}


def _source(value: str) -> Reference | None:
    """Return the reference of a mailing, or ``None`` if the site has removed its model."""
    try:
        return known_reference_of(value)
    except BadQuery:
        return None


def overview_page(site: admin.AdminSite, request: HttpRequest) -> HttpResponse:
    """Return the overview.

    Args:
        site: the admin site.
        request: the current request.

    Raises:
        PermissionDenied: the user may see no part of the overview.
    """
    shown = OverviewPage(Viewer(request, site), request.path)
    title = gettext("Overview")
    if counting := shown.counting(shown.period.before().first, title):
        return counting
    report = overview(shown.period, shown.filters)
    shown.choose_series(report)
    return shown.render(
        "overview",
        title=title,
        now=_on_site(shown, report),
        figures=list(_figures(shown, report)),
        chart=_chart(shown, report),
        tables=list(_sections(shown, report)),
        empty=_empty(shown, report),
    )


def _on_site(shown: OverviewPage, report: Overview) -> dict[str, Any] | None:
    """Return the number of visitors on the site now, and the URL of their list."""
    if not shown.viewer.sees_visitors:
        return None
    found = admin_url(shown.site, "tracking_visitor_active")
    list_context = admin_url(shown.site, "tracking_visitor_changelist")
    url = found or (f"{list_context}?active=now" if list_context else "")
    return {"count": report.on_site, "text": formatting.count(report.on_site), "url": url}


def _figures(shown: OverviewPage, report: Overview) -> Iterator[dict[str, Any]]:
    for name, total in shown.figures.items():
        figure = report.figures[name]
        is_known = figure.value is not None
        yield {
            "name": figure.title,
            "hint": figure.explanation,
            "text": _figure_text(figure),
            "why": "" if is_known else _why_unknown(figure, report),
            "change": formatting.change(figure.value, figure.before),
            "aside": _aside(figure, report.figures[total] if total else None),
            "url": shown.page_urls.to({"series": name}),
            "is_chosen": name == shown.series,
        }


def _why_unknown(figure: Figure, report: Overview) -> str:
    """Return why a figure is unknown. Without visits, for example, there is no average."""
    is_average = figure.unit != "count" and report.figures["visits"].value is not None
    return gettext("There were no visits.") if is_average else str(_NOT_AVAILABLE)


def _figure_text(figure: Figure) -> str:
    return UNKNOWN if figure.value is None else series.UNITS[figure.unit].text(figure.value)


def _aside(figure: Figure, total: Figure | None) -> str:
    """Return the text beside the change: the total, or that there is no earlier data."""
    if total is not None and total.value is not None:
        value = round(total.value)
        return ngettext("%(count)s total", "%(count)s total", value) % {
            "count": formatting.count(value)
        }
    if figure.value and figure.before == 0:
        return gettext("no earlier data")
    return ""


def _chart(shown: OverviewPage, report: Overview) -> str:
    figure = report.figures[shown.series]
    if figure.value is None:
        return format_html('<p class="tracking-note">{}</p>', _why_unknown(figure, report))
    chosen = report.series[shown.series]
    labels = series.ChartLabels(shown.span, shown.period.unit, gettext("previous period"))
    chart = series.chart_of(chosen, labels, id="series")
    return charts.figure(chart, head=series.column_title(shown.period.unit))


def _sections(shown: OverviewPage, report: Overview) -> Iterator[Section]:
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
        yield shown.section(key, found, tabs, path=shown.page_urls.path)


def _empty(shown: OverviewPage, report: Overview) -> list[dict[str, str]]:
    """Return the first steps of a site that has no data at all."""
    if any(figure.value or figure.before for figure in report.figures.values()) or shown.filters:
        return []
    if Visit.objects.exists() or Beacon.objects.exists():
        return []
    parts = []
    if shown.viewer.sees_visitors:
        text = gettext("To see visits here, add this middleware to your settings:")
        parts.append({"text": text, "code": _MIDDLEWARE})
    if shown.viewer.sees_beacons:
        text = gettext("To see opens and clicks here, add these lines to the template of a mail:")
        parts.append({"text": text, "code": _TAGS})
    return parts


_MIDDLEWARE = """MIDDLEWARE += [
    "tracking.middleware.VisitorTrackingMiddleware",
]"""

_TAGS = """{% load tracking_tags %}
<a href="{% tracking_link 'https://www.example.com/' source=news entity=reader %}">Read on</a>
{% tracking_pixel source=news entity=reader %}"""


# Whole lists.


def _whole_list(site: admin.AdminSite, request: HttpRequest, name: str) -> HttpResponse:
    shown = _page_of_list(site, request, name)
    number = page_number(request)
    overview_path = admin_url(site, "tracking_overview")
    crumbs = [{"text": gettext("Overview"), "url": shown.page_urls.to({}, path=overview_path)}]
    if counting := shown.counting(shown.period.first, str(LISTS[name].title), crumbs=crumbs):
        return counting
    found = listing(
        name, shown.period, shown.filters, limit=ROWS_PER_PAGE, offset=(number - 1) * ROWS_PER_PAGE
    )
    if found.has_more:  # all other values are the last line of the last page
        found = replace(found, other=None)
    return shown.render(
        "full_table",
        title=found.title,
        crumbs=crumbs,
        table=shown.section(name, found, path=overview_path),
        page=paging(shown.page_urls, number, len(found.rows), found.total),
    )


def _file(site: admin.AdminSite, request: HttpRequest, name: str) -> HttpResponseBase:
    shown = _page_of_list(site, request, name)
    table = overview_table(name, shown.period, shown.filters)
    if name == "mailings":
        table = replace(table, rows=shown.with_names(table.rows))
    return csv_file(table, f"{name} {shown.period.first} {shown.period.last}")


def _page_of_list(site: admin.AdminSite, request: HttpRequest, name: str) -> OverviewPage:
    viewer = Viewer(request, site)
    if name not in LISTS:
        raise Http404
    if not viewer.may_see(name):
        raise PermissionDenied
    return OverviewPage(viewer, request.path)

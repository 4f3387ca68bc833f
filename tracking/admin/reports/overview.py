"""The overview page of the whole site, the pages of its lists and their files."""

from dataclasses import replace
from functools import partial
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils.translation import gettext

from tracking.admin.admin_page import admin_url
from tracking.admin.reports.downloads import csv_file
from tracking.admin.reports.overview_figures import chart, figures, first_steps, on_site
from tracking.admin.reports.overview_frame import OverviewPage
from tracking.admin.reports.overview_lists import OverviewLists, sections
from tracking.admin.reports.overview_viewer import Viewer
from tracking.admin.reports.pages import ROWS_PER_PAGE, page_number, paging
from tracking.reports.csv_tables import overview_table
from tracking.reports.overview import overview
from tracking.reports.top_lists import LISTS, listing


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
        report,
        title=title,
        now=on_site(shown, report),
        figures=list(figures(shown, report)),
        chart=chart(shown, report),
        tables=list(sections(shown, report)),
        empty=first_steps(shown, report),
    )


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
        table=OverviewLists(shown).section(name, found, path=overview_path),
        page=paging(shown.page_urls, number, len(found.rows), found.total),
    )


def _file(site: admin.AdminSite, request: HttpRequest, name: str) -> HttpResponseBase:
    shown = _page_of_list(site, request, name)
    table = overview_table(name, shown.period, shown.filters)
    if name == "mailings":
        table = replace(table, rows=OverviewLists(shown).with_names(table.rows))
    return csv_file(table, f"{name} {shown.period.first} {shown.period.last}")


def _page_of_list(site: admin.AdminSite, request: HttpRequest, name: str) -> OverviewPage:
    viewer = Viewer(request, site)
    if name not in LISTS:
        raise Http404
    if not viewer.may_see(name):
        raise PermissionDenied
    return OverviewPage(viewer, request.path)

"""The report of a mailing: of any object that beacons have as their source."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from tracking.admin import charts, columns
from tracking.admin.reports import (
    campaign_lists,
    campaign_recipients,
    delivery,
    journeys,
    series,
)
from tracking.admin.reports.downloads import csv_file, json_file
from tracking.admin.reports.funnel import opened_bar, steps
from tracking.admin.reports.pages import page
from tracking.admin.reports.row_names import rows_with_names, with_names
from tracking.admin.reports.source_object import SourceObject
from tracking.reports import formatting
from tracking.reports.campaigns import Campaign, Timeline
from tracking.reports.csv_tables import CAMPAIGN_TABLES, campaign_table
from tracking.reports.figures import Series
from tracking.reports.recipients import each_recipient

#: A report lists the recipients of a mailing with at most this many beacons. Others have a page
#: of their own, because the list reads all beacons and the rest of the report does not.
MAX_BEACONS = 20_000


def urls(model_admin: "admin.ModelAdmin[Any]") -> list[URLPattern]:
    """Return the URL patterns of the report, its lists and its files."""
    site = model_admin.admin_site

    def pattern(route: str, view: Any, name: str) -> URLPattern:
        route = f"report/<str:label>/<str:pk>/{route}"
        return path(route, site.admin_view(partial(view, site)), name=name)

    return [
        pattern("", _report, "tracking_report"),
        pattern("recipients/", _only_recipients, "tracking_report_recipients"),
        pattern(
            "recipients/<str:entity_label>/<str:entity_pk>/", _journey, "tracking_report_journey"
        ),
        pattern("<slug:name>.csv", _file, "tracking_report_csv"),
        pattern("report.json", _json, "tracking_report_json"),
        pattern("<slug:name>/", _whole_list, "tracking_report_list"),
    ]


def _report(site: admin.AdminSite, request: HttpRequest, label: str, pk: str) -> HttpResponse:
    source = SourceObject(request, site, label, pk)
    report = source.report()
    context: dict[str, Any] = {}
    if report.began_at is None:
        context["empty"] = _empty(source)
    else:
        context = {
            "steps": steps(report),
            "opened": opened_bar(report),
            "charts": list(_charts(source, report)),
            "tables": [
                *delivery.sections(source, report),
                *campaign_lists.sections(source, report),
            ],
            **_recipients(source, report),
        }
    return page(
        request,
        site,
        "campaign",
        title=gettext("Report: %s") % report.name,
        sent=_sent(report),
        links=[*source.links(), *journeys.links(source, report)],
        is_gone=source.is_gone,
        **context,
    )


def _recipients(source: SourceObject, report: Campaign) -> dict[str, Any]:
    if _is_small(report):
        return campaign_recipients.list_context(source)
    return campaign_recipients.link_context(source)


def _is_small(report: Campaign) -> bool:
    opened, clicked = report.opened, report.clicked
    opens = opened.total + opened.machine_total
    clicks = clicked.total + clicked.machine_total
    return (report.sent or 0) + opens + clicks <= MAX_BEACONS


def _only_recipients(
    site: admin.AdminSite, request: HttpRequest, label: str, pk: str
) -> HttpResponse:
    source = SourceObject(request, site, label, pk)
    title = gettext("Recipients: %s") % source.name
    return _part(source, "recipient_list", title, **campaign_recipients.list_context(source))


def _journey(
    site: admin.AdminSite,
    request: HttpRequest,
    label: str,
    pk: str,
    entity_label: str,
    entity_pk: str,
) -> HttpResponse:
    source = SourceObject(request, site, label, pk)
    return _part(source, "full_table", **journeys.page_context(source, entity_label, entity_pk))


def _whole_list(
    site: admin.AdminSite, request: HttpRequest, label: str, pk: str, name: str
) -> HttpResponse:
    source = SourceObject(request, site, label, pk)
    if name == journeys.PAGES:
        shown: dict[str, Any] = {"table": journeys.pages_section(source)}
    elif name in campaign_lists.LISTS:
        shown = campaign_lists.whole(source, name)
    else:
        raise Http404
    title = f"{shown['table'].title}: {source.name}"
    return _part(source, "full_table", title, **shown)


def _part(source: SourceObject, template: str, title: str, **context: Any) -> HttpResponse:
    """Return a page with a part of the report."""
    crumb = {"text": source.name, "url": source.path_to("tracking_report")}
    return page(source.request, source.site, template, title=title, crumbs=[crumb], **context)


def _sent(report: Campaign) -> str:
    """Return when the mailing was sent and to how many recipients, as far as known."""
    if report.sent_at is None or report.sent is None:
        if report.began_at is None:
            return ""
        began = columns.exact_time(report.began_at)
        return gettext("No sending was recorded. First hit: %s.") % began
    text = ngettext(
        "Sent on %(time)s to %(count)s recipient.",
        "Sent on %(time)s to %(count)s recipients.",
        report.sent,
    )
    return text % {
        "time": columns.exact_time(report.sent_at),
        "count": formatting.count(report.sent),
    }


def _empty(source: SourceObject) -> list[dict[str, str]]:
    text = gettext("To see opens and clicks here, add these lines to the template of a mail:")
    return [{"text": text, "code": _TAGS}]


_TAGS = """{% load tracking_tags %}
<a href="{% tracking_link 'https://www.example.com/' source=object entity=reader %}">Read on</a>
{% tracking_pixel source=object entity=reader %}"""


# Over time.


def _charts(source: SourceObject, report: Campaign) -> Iterator[dict[str, str]]:
    """Yield the charts of the first 24 hours and, if there are several days, of all days."""
    zone = report.time_zone
    if report.quarters.opens:
        span = gettext("the first 24 hours, in the time zone %s") % zone
        title = gettext("The first 24 hours")
        csv_url = source.path_to("tracking_report_csv", "quarters")
        chart = _chart(report.quarters, span, "quarter", "quarters")
        yield {"title": title, "csv_url": csv_url, **chart}
    if len(report.days.opens) > 1:
        lively = _without_quiet_end(report.days)
        first, last = lively.opens[0].bucket.first, lively.opens[-1].bucket.last
        said = {"days": formatting.days(first, last), "zone": zone}
        span = gettext("%(days)s, in the time zone %(zone)s") % said
        days, grain = _group_if_long(lively)
        csv_url = source.path_to("tracking_report_csv", "days")
        yield {
            "title": gettext("Month by month") if grain == "month" else gettext("Day by day"),
            "csv_url": csv_url,
            **_chart(days, span, grain, "days"),
        }


def _chart(timeline: Timeline, span: str, grain: str, key: str) -> dict[str, str]:
    opens, clicks = str(_("Opens")), str(_("Clicks"))
    both = Series(
        name=key, title=opens, unit="count", points=timeline.opens, before=timeline.clicks
    )
    chart = series.chart_of(both, series.ChartLabels(span, grain, clicks), id=key)
    return {"key": key, "figure": charts.figure(chart, head=series.column_title(grain))}


#: The maximum number of days without a hit at the end of the chart. More show nothing.
_QUIET_DAYS = 6


def _without_quiet_end(days: Timeline) -> Timeline:
    """Return the days up to a few after the last hit. The CSV file has all of them."""
    both = zip(days.opens, days.clicks, strict=True)
    hits = [number for number, points in enumerate(both) if any(p.value for p in points)]
    end = max(hits, default=0) + 1 + _QUIET_DAYS
    return Timeline(opens=days.opens[:end], clicks=days.clicks[:end])


#: The maximum number of points of a chart. Longer series are grouped.
_MAX_POINTS = 120


def _group_if_long(days: Timeline) -> tuple[Timeline, str]:
    """Return the days, grouped if there are too many, and the unit of a point.

    If the days of some months are no longer counted one by one, all points are months.
    """
    if any(point.bucket.first != point.bucket.last for point in days.opens):
        return days, "month"
    if len(days.opens) <= _MAX_POINTS:
        return days, "day"
    size = 7 if len(days.opens) <= 7 * _MAX_POINTS else 28
    return Timeline(
        opens=series.group_points(days.opens, size), clicks=series.group_points(days.clicks, size)
    ), "week"


# Files.


def _file(
    site: admin.AdminSite, request: HttpRequest, label: str, pk: str, name: str
) -> HttpResponseBase:
    source = SourceObject(request, site, label, pk)
    if name not in CAMPAIGN_TABLES:
        raise Http404
    if name == journeys.PAGES:
        journeys.check_sees_pages(source)
    chosen = campaign_recipients.chosen(source) if name == "recipients" else {}
    table = campaign_table(name, source.reference, **chosen)
    if name == "recipients":
        table = replace(table, rows=rows_with_names(table.rows, request, site))
    return csv_file(table, f"{source.name} {name}")


def _json(site: admin.AdminSite, request: HttpRequest, label: str, pk: str) -> HttpResponse:
    source = SourceObject(request, site, label, pk)
    report = source.report()
    return json_file(
        {**report.as_dict(), "recipients": list(_each(source))}, f"{source.name} report"
    )


def _each(source: SourceObject) -> Iterator[dict[str, Any]]:
    every = each_recipient(source.reference)
    for one, name in with_names(every, lambda one: one.entity, source.request, source.site):
        yield {**one.as_dict(), "label": name}

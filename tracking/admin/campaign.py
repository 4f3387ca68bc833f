"""What has become of a mailing: the report of any object that beacons have as their source."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils.http import urlencode
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from tracking import charts
from tracking.admin import displays, figures, series
from tracking.admin.addresses import Addresses, find
from tracking.admin.blocks import TEXT, TIME, Block, Cell, Head, Line, outside
from tracking.admin.downloads import csv_file, json_file
from tracking.admin.funnel import opened_bar, steps
from tracking.admin.large_tables import UNKNOWN
from tracking.admin.names import named, named_lines
from tracking.admin.report_pages import LINES, page, page_number, paging
from tracking.admin.reported import may_see_report
from tracking.admin.tied import Rows, sees_all, value_of
from tracking.hits import Reference
from tracking.reports.campaigns import Campaign, Timeline, campaign
from tracking.reports.figures import Listing, Series
from tracking.reports.filters import reference_of
from tracking.reports.periods import BadQuery
from tracking.reports.recipients import (
    Recipient,
    Recipients,
    State,
    each_recipient,
    recipients,
)
from tracking.reports.tables import CAMPAIGN_TABLES, campaign_table

#: Links that are shown on the page; the file has all.
MAX_LINKS = 100
#: Countries and mail clients, likewise.
MAX_PLACES = 10

#: Beacons of a mailing up to which its recipients are listed on its page. Of more they have a
#: page of their own: each of them is read for the list, and counted for nothing else.
MAX_BEACONS = 20_000

#: Characters of a search.
MAX_SEARCH = 200

_HUMANS_ONLY = _("Only hits by people: a proxy or a machine says nothing about the reader.")


def urls(model_admin: "admin.ModelAdmin[Any]") -> list[URLPattern]:
    """Return the patterns of the report of an object, and of its tables as files."""
    site = model_admin.admin_site

    def pattern(route: str, view: Any, name: str) -> URLPattern:
        route = f"report/<str:label>/<str:pk>/{route}"
        return path(route, site.admin_view(partial(view, site)), name=name)

    return [
        pattern("", _report, "tracking_report"),
        pattern("recipients/", _only_recipients, "tracking_report_recipients"),
        pattern("<slug:name>.csv", _file, "tracking_report_csv"),
        pattern("report.json", _json, "tracking_report_json"),
    ]


class Subject:
    """The object that a report is about, for somebody.

    Raises:
        django.core.exceptions.PermissionDenied: they may not see beacons.
        django.http.Http404: no such object can be a source.
    """

    def __init__(self, request: HttpRequest, site: admin.AdminSite, label: str, pk: str) -> None:
        if not may_see_report(request):
            raise PermissionDenied
        try:
            self.reference: Reference = reference_of(f"{label}:{unquote(pk)}")
        except BadQuery as error:
            raise Http404(str(error)) from error
        if "\0" in self.reference.pk:
            raise Http404
        self.request = request
        self.site = site
        self._rows = Rows([self.reference], request, site)

    @property
    def name(self) -> str:
        """What it is called, for who may see it; for others, its model and key."""
        return self._rows.name(self.reference)

    @property
    def is_gone(self) -> bool:
        """Whether there is no such object any more."""
        return self._rows.is_gone(self.reference)

    def report(self) -> Campaign:
        """Return the report.

        Raises:
            django.http.Http404: there is no such object, and no beacon of it either.
        """
        report = campaign(self.reference)
        if self.is_gone and report.began_at is None:
            raise Http404
        return replace(report, name=self.name)

    def path_to(self, name: str, *args: str) -> str:
        """Return the path of a page about it."""
        return find(self.site, name, self.reference.label, quote(self.reference.pk), *args)

    def links(self) -> list[dict[str, str]]:
        """Return where else there is something about it."""
        query = urlencode({"source": value_of(self.reference)})
        beacons = find(self.site, "tracking_beacon_changelist")
        links = [
            {"text": gettext("Open the object"), "url": self._rows.url(self.reference) or ""},
            {"text": gettext("Beacons"), "url": f"{beacons}?{query}" if beacons else ""},
            {"text": gettext("All as JSON"), "url": self.path_to("tracking_report_json")},
        ]
        return [link for link in links if link["url"]]


def _report(site: admin.AdminSite, request: HttpRequest, label: str, pk: str) -> HttpResponse:
    subject = Subject(request, site, label, pk)
    report = subject.report()
    context: dict[str, Any] = {}
    if report.began_at is None:
        context["empty"] = _empty(subject)
    else:
        context = {
            "steps": steps(report),
            "opened": opened_bar(report),
            "charts": list(_charts(subject, report)),
            "tables": list(_blocks(subject, report)),
            **(_recipients(subject) if _is_small(report) else _elsewhere(subject)),
        }
    return page(
        request,
        site,
        "campaign",
        title=gettext("Report: %s") % report.name,
        sent=_sent(report),
        links=subject.links(),
        is_gone=subject.is_gone,
        **context,
    )


def _is_small(report: Campaign) -> bool:
    opened, clicked = report.opened, report.clicked
    opens = opened.total + opened.proxied_total + opened.machine_total
    clicks = clicked.total + clicked.machine_total
    return (report.sent or 0) + opens + clicks <= MAX_BEACONS


def _only_recipients(
    site: admin.AdminSite, request: HttpRequest, label: str, pk: str
) -> HttpResponse:
    subject = Subject(request, site, label, pk)
    crumb = {"text": subject.name, "url": subject.path_to("tracking_report")}
    title = gettext("Recipients: %s") % subject.name
    return page(
        request, site, "recipients_page", title=title, crumbs=[crumb], **_recipients(subject)
    )


def _sent(report: Campaign) -> str:
    """Return when the mailing was sent, and to how many, as far as it is known."""
    if report.sent_at is None or report.sent is None:
        if report.began_at is None:
            return ""
        began = displays.exact(report.began_at)
        return gettext("No sending was recorded. The first hit: %s.") % began
    text = ngettext(
        "Sent on %(time)s to %(count)s recipient.",
        "Sent on %(time)s to %(count)s recipients.",
        report.sent,
    )
    return text % {"time": displays.exact(report.sent_at), "count": figures.count(report.sent)}


def _empty(subject: Subject) -> list[dict[str, str]]:
    text = gettext("Opens and clicks appear here with these lines in the template of a mail:")
    return [{"text": text, "code": _TAGS}]


_TAGS = """{% load tracking_tags %}
<a href="{% tracking_link 'https://www.example.com/' source=object entity=reader %}">Read on</a>
{% tracking_pixel source=object entity=reader %}"""


# Over time.


def _charts(subject: Subject, report: Campaign) -> Iterator[dict[str, str]]:
    """Yield the first hours by the quarter, and all days if there are some."""
    zone = report.time_zone
    if report.quarters.opens:
        span = gettext("the first 24 hours, in the time zone %s") % zone
        title = gettext("The first 24 hours")
        csv_url = subject.path_to("tracking_report_csv", "quarters")
        chart = _chart(report.quarters, span, "quarter", "quarters")
        yield {"title": title, "csv_url": csv_url, **chart}
    if len(report.days.opens) > 1:
        days, grain = _grouped(report.days)
        span = gettext("all days, in the time zone %s") % zone
        csv_url = subject.path_to("tracking_report_csv", "days")
        yield {
            "title": gettext("All days"),
            "csv_url": csv_url,
            **_chart(days, span, grain, "days"),
        }


def _chart(timeline: Timeline, span: str, grain: str, key: str) -> dict[str, str]:
    opens, clicks = str(_("Opens")), str(_("Clicks"))
    both = Series(
        name=key, title=opens, unit="count", points=timeline.opens, before=timeline.clicks
    )
    chart = series.chart_of(both, series.Words(span, grain, clicks), id=key)
    return {"key": key, "figure": charts.figure(chart, head=series.head_of(grain))}


#: Days that are drawn one by one, and weeks; more are taken together.
_MAX_POINTS = 120


def _grouped(days: Timeline) -> tuple[Timeline, str]:
    """Return few enough points to be drawn, and what each of them is."""
    if len(days.opens) <= _MAX_POINTS:
        return days, "day"
    size = 7 if len(days.opens) <= 7 * _MAX_POINTS else 28
    return Timeline(
        opens=series.grouped(days.opens, size), clicks=series.grouped(days.clicks, size)
    ), "week"


# Tables.


def _blocks(subject: Subject, report: Campaign) -> Iterator[Block]:
    yield _block(subject, "links", report.links, _("No link was followed by anybody yet."))
    hint = str(_HUMANS_ONLY)
    nobody = _("Nobody has opened it or clicked yet.")
    yield _block(subject, "countries", report.countries, nobody, hint=hint)
    yield _block(subject, "clients", report.clients, nobody, hint=hint)


def _block(subject: Subject, key: str, found: Listing, empty: Any, *, hint: str = "") -> Block:
    is_links = key == "links"
    rows = found.rows[: MAX_LINKS if is_links else MAX_PLACES]
    highest = max((row.figure for row in rows), default=0)
    unique = gettext("Recipients who followed it, each counted once.")
    total = gettext("How often people followed it.")
    heads = [Head(str(_HEADS[key]), kind=TEXT)]
    if is_links:
        heads += [Head(gettext("Unique"), unique), Head(gettext("Total"), total)]
    else:
        heads += [Head(str(found.column)), Head(gettext("Share"))]
    return Block(
        key=key,
        title=str(found.title),
        heads=heads,
        rows=[
            Line(
                name=row.label,
                outside=outside(row.value) if is_links else "",
                bar=charts.bar(row.figure, highest),
                cells=[Cell(figures.count(row.numbers["unique"])), Cell(figures.count(row.figure))]
                if is_links
                else [Cell(figures.count(row.figure)), Cell(figures.rate(row.share))],
            )
            for row in rows
        ],
        empty=str(empty),
        hint=hint,
        csv_url=subject.path_to("tracking_report_csv", key),
    )


_HEADS = {"links": _("Link"), "countries": _("Country"), "clients": _("Mail client")}


# Recipients.


def _recipients(subject: Subject) -> dict[str, Any]:
    """Return what the page shows of the recipients."""
    params = subject.request.GET
    state, search = params.get("state", ""), params.get("q", "")
    number = page_number(subject.request)
    found = recipients(
        subject.reference,
        search="" if "\0" in search else search[:MAX_SEARCH],
        state=state if state in State.values else None,
        limit=LINES,
        offset=(number - 1) * LINES,
        searched=lambda model: sees_all(model, subject.request, subject.site),
        site=subject.site,
    )
    state = found.state or ""
    kept = {"state": state, "q": found.search}
    addresses = Addresses(
        subject.request.path, {name: value for name, value in kept.items() if value}
    )
    return {
        "path": subject.path_to("tracking_report_recipients"),
        "search": found.search,
        "state": state,
        "states": [
            {
                "text": text,
                "url": addresses.to({"state": value or None}, at="recipients"),
                "is_chosen": value == state,
            }
            for value, text in [("", gettext("All")), *State.choices]
        ],
        "is_cut": found.is_cut,
        "recipients": _recipients_block(subject, found),
        "page": paging(addresses, number, len(found.rows), found.total, at="recipients"),
    }


def _elsewhere(subject: Subject) -> dict[str, Any]:
    """Return what leads to the recipients of a large mailing."""
    return {
        "path": subject.path_to("tracking_report_recipients"),
        "csv_url": subject.path_to("tracking_report_csv", "recipients"),
    }


def _recipients_block(subject: Subject, found: Recipients) -> Block:
    rows = Rows((one.entity for one in found.rows), subject.request, subject.site)
    is_narrowed = bool(found.search or found.state)
    return Block(
        key="recipients",
        title=gettext("Recipients"),
        heads=[
            Head(gettext("Recipient"), kind=TEXT),
            Head(gettext("State"), kind=TEXT),
            Head(gettext("First"), gettext("The first open or click by anybody."), kind=TEXT),
            Head(gettext("Last"), gettext("The last open or click by anybody."), kind=TEXT),
            Head(gettext("Opens"), gettext("Images loaded by people.")),
            Head(gettext("Clicks"), gettext("Links followed by people.")),
        ],
        rows=[_recipient(one, rows) for one in found.rows],
        empty=gettext("None of the recipients is like this.")
        if is_narrowed
        else gettext("Beacons with an entity are listed here; none has one yet."),
        csv_url=subject.path_to("tracking_report_csv", "recipients"),
    )


def _recipient(one: Recipient, rows: Rows) -> Line:
    return Line(
        name=rows.name(one.entity),
        url=rows.url(one.entity) or "",
        cells=[
            Cell(str(one.state.label), TEXT),
            Cell(displays.exact(one.first_at) if one.first_at else UNKNOWN, TIME),
            Cell(displays.exact(one.last_at) if one.last_at else UNKNOWN, TIME),
            Cell(figures.count(one.opens)),
            Cell(figures.count(one.clicks)),
        ],
    )


# Files.


def _file(
    site: admin.AdminSite, request: HttpRequest, label: str, pk: str, name: str
) -> HttpResponseBase:
    subject = Subject(request, site, label, pk)
    if name not in CAMPAIGN_TABLES:
        raise Http404
    table = campaign_table(name, subject.reference)
    if name == "recipients":
        table = replace(table, rows=named_lines(table.rows, request, site))
    return csv_file(table, f"{subject.name} {name}")


def _json(site: admin.AdminSite, request: HttpRequest, label: str, pk: str) -> HttpResponse:
    subject = Subject(request, site, label, pk)
    report = subject.report()
    return json_file(
        {**report.as_dict(), "recipients": list(_each(subject))}, f"{subject.name} report"
    )


def _each(subject: Subject) -> Iterator[dict[str, Any]]:
    every = each_recipient(subject.reference)
    for one, name in named(every, lambda one: one.entity, subject.request, subject.site):
        yield {**one.as_dict(), "label": name}

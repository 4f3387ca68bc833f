"""The figures and the chart of the overview, and what an empty site sees in their place."""

from collections.abc import Iterator
from typing import Any

from django.utils.html import format_html
from django.utils.translation import gettext

from tracking.admin import charts
from tracking.admin.admin_page import admin_url
from tracking.admin.reports import series
from tracking.admin.reports.overview_frame import NOT_AVAILABLE, OverviewPage
from tracking.models import Beacon, Visit
from tracking.reports import formatting
from tracking.reports.figures import Figure
from tracking.reports.formatting import UNKNOWN
from tracking.reports.overview import Overview


def on_site(shown: OverviewPage, report: Overview) -> dict[str, Any] | None:
    """Return the number of visitors on the site now, and the URL of their list."""
    if not shown.viewer.sees_visitors:
        return None
    found = admin_url(shown.site, "tracking_visitor_active")
    list_context = admin_url(shown.site, "tracking_visitor_changelist")
    url = found or (f"{list_context}?active=now" if list_context else "")
    return {"count": report.on_site, "text": formatting.count(report.on_site), "url": url}


def figures(shown: OverviewPage, report: Overview) -> Iterator[dict[str, Any]]:
    """Yield the figures that the user may see."""
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
            "range": _range(report) if name == "daily_unique_opens" else "",
            "url": shown.page_urls.to({"series": name}),
            "is_chosen": name == shown.series,
        }


def _why_unknown(figure: Figure, report: Overview) -> str:
    """Return why a figure is unknown. Without visits, for example, there is no average."""
    is_average = figure.unit != "count" and report.figures["visits"].value is not None
    return gettext("There were no visits.") if is_average else str(NOT_AVAILABLE)


def _figure_text(figure: Figure) -> str:
    return UNKNOWN if figure.value is None else series.UNITS[figure.unit].text(figure.value)


#: How totals are written.
_TOTALS = {"opens": formatting.opens, "clicks": formatting.clicks}


def _aside(figure: Figure, total: Figure | None) -> str:
    """Return the text beside the change: the total, or that there is no earlier data."""
    if total is not None and total.value is not None:
        return _TOTALS[total.name](round(total.value))
    if figure.value and figure.before == 0:
        return gettext("no earlier data")
    return ""


def _range(report: Overview) -> str:
    """Return between which numbers that of the recipients who opened is."""
    if report.opened is None or not report.opened.at_most:
        return ""
    return gettext("at least %(least)s, at most %(most)s") % {
        "least": formatting.count(report.opened.at_least),
        "most": formatting.count(report.opened.at_most),
    }


def chart(shown: OverviewPage, report: Overview) -> str:
    """Return the chart of the chosen figure."""
    figure = report.figures[shown.series]
    if figure.value is None:
        return format_html('<p class="tracking-note">{}</p>', _why_unknown(figure, report))
    chosen = report.series[shown.series]
    labels = series.ChartLabels(shown.span, shown.period.unit, gettext("previous period"))
    drawn = series.chart_of(chosen, labels, id="series")
    return charts.figure(drawn, head=series.column_title(shown.period.unit))


def first_steps(shown: OverviewPage, report: Overview) -> list[dict[str, str]]:
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

"""What the overview and the pages of its lists have in common: range, filters, notes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from django.db import router
from django.template.response import TemplateResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tracking.admin.related_objects import RelatedObjects, reference_from_text
from tracking.admin.reports.overview_viewer import Viewer
from tracking.admin.reports.page_urls import PageUrls
from tracking.admin.reports.pages import page
from tracking.enrichment.country_names import country_name
from tracking.enrichment.user_agents import Device
from tracking.models import DailyCount
from tracking.reports import formatting
from tracking.reports.filters import TITLES as FILTER_TITLES
from tracking.reports.filters import Filters, deleted_until
from tracking.reports.overview import Overview
from tracking.reports.periods import Period, as_stored, notes
from tracking.reports.query_string import Query, read_query
from tracking.reports.site_totals import count_days
from tracking.rollups.months import first_single_day

RANGES = {"today": _("Today"), "7": _("7 days"), "30": _("30 days"), "90": _("90 days")}

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

#: Why a figure or a list is not shown.
NOT_AVAILABLE = _("Not available with these filters.")


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

    def render(
        self, template: str, report: Overview | None = None, **context: Any
    ) -> TemplateResponse:
        """Return a page with range, filters and notes.

        Args:
            template: the name of the template.
            report: the report that is shown, if it is the whole one.
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
            "notes": [*self.viewer.notes(), *self._notes(report)],
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
        progress = count_days(
            first, self.period.last, self.filters, COUNTING_SECONDS, self.period.first
        )
        if progress is None:
            return None
        text = gettext("%(done)s of %(all)s days are counted …") % {
            "done": formatting.count(progress.done),
            "all": formatting.count(progress.all),
        }
        shown = self.render("counting", title=title, progress=progress, text=text, **context)
        shown.status_code = 202
        return shown

    def _notes(self, report: Overview | None) -> Iterator[str]:
        """Yield sentences about what is not known any more, or with these filters."""
        yield from notes(self.period, self.before) if report is None else report.notes()
        if self.filters.is_about_browser and self.viewer.sees_beacons:
            yield gettext(
                "Mail proxies hide the country and the device of their readers: filters by these "
                "leave out proxied opens."
            )
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

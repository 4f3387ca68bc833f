"""The admin pages of visits."""

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tracking.admin import columns
from tracking.admin.visitor_base import BaseVisitorAdmin
from tracking.models import PageView, Visit
from tracking.reports import formatting
from tracking.reports.formatting import UNKNOWN


@admin.register(Visit)
class VisitAdmin(BaseVisitorAdmin):
    """Visits, current and past."""

    list_display = (
        "started", "first_page", "pages_and_time", "campaign_or_referrer",
        "place_and_address", "agent_and_verdict", "user_link",
    )  # fmt: skip
    list_display_links = ("started",)
    list_filter = (("started_at", admin.DateFieldListFilter),)
    LOOKUPS = frozenset(
        {
            *("id", "id__exact", "started_at__gte", "started_at__lt", "started_at__isnull"),
            *("started_at__year", "started_at__month", "started_at__day"),
        }
    )
    date_hierarchy = "started_at"
    ordering = ("-started_at",)
    fields = (
        "started_exactly", "length", "page_views", "pages", "source", "medium", "campaign", "term",
        "content", "referring_page", "channel", "place", "address", "user_agent", "agent",
        "verdict_with_reason", "user_link",
    )  # fmt: skip
    readonly_fields = fields

    #: The page of a visit lists at most this many pages.
    MAX_PAGES = 200

    @admin.display(description=_("started"))
    def started(self, visit: Visit) -> SafeString:
        """How long ago the visit started."""
        return columns.relative_time(visit.started_at)

    @admin.display(description=_("started"))
    def started_exactly(self, visit: Visit) -> str:
        """When the visit started, to the second."""
        return columns.exact_time(visit.started_at)

    @admin.display(description=_("first page"))
    def first_page(self, visit: Visit) -> SafeString:
        """The first page, as text rather than a link."""
        return columns.url_text(visit.entry_url)

    @admin.display(description=_("pages"))
    def pages_and_time(self, visit: Visit) -> str:
        """Number of pages, and duration."""
        length = formatting.duration(visit.length)
        return columns.stacked(columns.page_count(visit.page_views), columns.secondary(length))

    @admin.display(description=_("duration"))
    def length(self, visit: Visit) -> str:
        """Time from the first page to the last."""
        return formatting.duration(visit.length)

    @admin.display(description=_("pages"))
    def pages(self, visit: Visit) -> str:
        """The pages in order, with their times."""
        views = PageView.objects.filter(visit=visit).order_by("time")[: self.MAX_PAGES + 1]
        lines = [(columns.exact_time(view.time), columns.url_text(view.url)) for view in views]
        listed = format_html_join(SafeString("<br>"), "<time>{}</time> {}", lines[: self.MAX_PAGES])
        if len(lines) > self.MAX_PAGES:
            more = gettext("Showing the first %d.") % self.MAX_PAGES
            return format_html("{}<br>{}", listed, more)
        return listed or UNKNOWN

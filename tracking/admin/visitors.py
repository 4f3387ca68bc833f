"""The admin pages of visitors: who is on the site, or was there lately."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tracking import bans
from tracking.admin import columns, index_entries
from tracking.admin.active_visitors import live_page
from tracking.admin.bans.candidates import ban_choices
from tracking.admin.bans.confirmation import ban_confirmation, can_ban, confirmation_url
from tracking.admin.reports import overview
from tracking.admin.visitor_base import BaseVisitorAdmin
from tracking.models import Beacon, Visitor
from tracking.reports import formatting
from tracking.reports.formatting import UNKNOWN


class ActiveFilter(admin.SimpleListFilter):
    """Filters visitors by whether they are on the site now."""

    title = _("activity")
    parameter_name = "active"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the choices."""
        return [("now", _("On the site now"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Visitor]) -> QuerySet[Visitor]:
        """Return the visitors who are on the site now, if that is chosen."""
        return queryset & Visitor.objects.active() if self.value() == "now" else queryset


@admin.register(Visitor)
class VisitorAdmin(BaseVisitorAdmin):
    """Visitors: who is on the site, or was there lately."""

    list_display = (
        "last_seen", "page", "pages_and_time", "campaign_or_referrer",
        "place_and_address", "agent_and_verdict", "user_link",
    )  # fmt: skip
    list_display_links = ("last_seen",)
    list_filter = (ActiveFilter,)
    LOOKUPS = frozenset({"active", "id", "id__exact"})
    ordering = ("-last_update",)
    actions = ("ban_addresses", "ban_networks")
    fields = (
        "last_seen_exactly", "page", "page_views", "time_on_site", "place", "address", "ban_links",
        "referring_page", "user_agent", "agent", "verdict_with_reason", "user_link",
        "logged_in_exactly", "visits",
    )  # fmt: skip
    readonly_fields = fields

    change_list_template = "admin/tracking/visitor/change_list.html"

    #: The page of a visitor lists at most this many visits.
    MAX_VISITS = 20

    def __init__(self, model: type[Visitor], admin_site: admin.AdminSite) -> None:
        """Add the entries of this app's pages to the index of the same site."""
        super().__init__(model, admin_site)
        index_entries.register(admin_site)

    def get_urls(self) -> list[URLPattern]:
        """Add the page of active visitors, and the overview unless the list of beacons has it."""
        has_beacons = self.admin_site.is_registered(Beacon)
        overviews = [] if has_beacons else overview.urls(self)
        return [*live_page.urls(self), *overviews, *super().get_urls()]

    def has_ban_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may ban; the actions below ask for it."""
        return can_ban(request, self.admin_site)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields, without links to ban for users who may not ban."""
        fields = super().get_fields(request, obj)
        if self.has_ban_permission(request):
            return fields
        return [name for name in fields if name != "ban_links"]

    @admin.action(description=_("Ban the addresses of the selected visitors"), permissions=["ban"])
    def ban_addresses(self, request: HttpRequest, queryset: QuerySet[Visitor]) -> HttpResponse:
        """Show the page that confirms bans of the visitors' addresses."""
        title = gettext("Ban these addresses?")
        return ban_confirmation(
            request, self.admin_site, self._networks(queryset, wide=False), title=title
        )

    @admin.action(description=_("Ban the networks of the selected visitors"), permissions=["ban"])
    def ban_networks(self, request: HttpRequest, queryset: QuerySet[Visitor]) -> HttpResponse:
        """Show the page that confirms bans of the networks around them."""
        title = gettext("Ban these networks?")
        return ban_confirmation(
            request, self.admin_site, self._networks(queryset, wide=True), title=title
        )

    def _networks(self, queryset: QuerySet[Visitor], *, wide: bool) -> list[str]:
        addresses = queryset.exclude(ip_address=None).values_list("ip_address", flat=True)
        return [bans.network_to_ban(str(address), wide=wide) for address in addresses]

    # Columns.

    @admin.display(description=_("last seen"))
    def last_seen(self, visitor: Visitor) -> SafeString:
        """How long ago the visitor loaded the latest page."""
        return columns.relative_time(visitor.last_update)

    @admin.display(description=_("last seen"))
    def last_seen_exactly(self, visitor: Visitor) -> str:
        """When the visitor loaded the latest page, to the second."""
        return columns.exact_time(visitor.last_update)

    @admin.display(description=_("logged in at"))
    def logged_in_exactly(self, visitor: Visitor) -> str:
        """When the visitor was first seen logged in."""
        return columns.exact_time(visitor.logged_in_at) if visitor.logged_in_at else UNKNOWN

    @admin.display(description=_("last page"))
    def page(self, visitor: Visitor) -> SafeString:
        """The URL of the last page, as text rather than a link."""
        return columns.url_text(visitor.url)

    @admin.display(description=_("pages"))
    def pages_and_time(self, visitor: Visitor) -> str:
        """Number of pages, and duration of the current visit."""
        length = formatting.duration(visitor.time_on_site)
        return columns.stacked(columns.page_count(visitor.page_views), columns.secondary(length))

    @admin.display(description=_("time on site"))
    def time_on_site(self, visitor: Visitor) -> str:
        """Duration of the current visit."""
        return formatting.duration(visitor.time_on_site)

    @admin.display(description=_("ban"))
    def ban_links(self, visitor: Visitor) -> str:
        """Links to the page that confirms a ban of the address or its network."""
        if visitor.ip_address is None:
            return UNKNOWN
        links = [
            (confirmation_url(self.admin_site, [network]), text)
            for network, text in ban_choices(visitor.ip_address).items()
        ]
        return format_html_join(" ", '<a class="button" href="{}">{}</a>', links)

    @admin.display(description=_("visits"))
    def visits(self, visitor: Visitor) -> str:
        """Links to the latest visits, for users who may view visits."""
        if not self.display_class.of(visitor).may("view_visit"):
            return UNKNOWN
        name = f"{self.admin_site.name}:tracking_visit_change"
        rows = visitor.visits.order_by("-ended_at")[: self.MAX_VISITS]
        described = [
            (
                reverse(name, args=[visit.pk]),
                columns.exact_time(visit.started_at),
                columns.page_count(visit.page_views),
                formatting.duration(visit.length),
            )
            for visit in rows
        ]
        return (
            format_html_join(
                SafeString("<br>"), '<a href="{}">{}</a> \N{EN DASH} {}, {}', described
            )
            or UNKNOWN
        )

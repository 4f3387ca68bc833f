"""Who is on the site, and the visits of the past."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tracking import bans, client_address
from tracking.admin import columns
from tracking.admin.active_visitors import live_page
from tracking.admin.bans.confirmation import (
    ban_confirmation,
    can_ban,
    confirmation_url,
    networks_of,
)
from tracking.admin.enrichment_columns import ObservedColumns
from tracking.admin.large_tables import UNKNOWN, LargeTableAdmin, LargeTableChangeList
from tracking.admin.masking import may_see_whole
from tracking.admin.permitted import Shown
from tracking.admin.reports import overview
from tracking.models import Beacon, PageView, Visit, Visitor


class ActiveFilter(admin.SimpleListFilter):
    """Who is on the site now."""

    title = _("presence")
    parameter_name = "active"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("now", _("On the site now"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Visitor]) -> QuerySet[Visitor]:
        return queryset & Visitor.objects.active() if self.value() == "now" else queryset


class ShownChangeList(LargeTableChangeList):
    """Fetches what a page of rows shows all at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        Shown.attach(self.result_list, request, self.model_admin.admin_site)


class ObservedAdmin(ObservedColumns, LargeTableAdmin):
    """Rows that are facts: looked at, perhaps deleted, never written here."""

    search_fields = ("id",)
    search_help_text = _("An IP address, or the beginning of a user name.")
    sortable_by = ()

    #: Users that a search follows to their visits.
    MAX_FOUND = 100

    #: What a URL may filter by: what has an index, and tells nobody's address.
    LOOKUPS: frozenset[str]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds one by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes one."""
        return False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that looks up what a page shows all at once."""
        return ShownChangeList

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return one row, with what it shows."""
        row = super().get_object(request, *args, **kwargs)
        if row is not None:
            Shown.attach([row], request, self.admin_site)
        return row

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Return whether the URL may filter by ``lookup``. Django admits every column."""
        return lookup in self.LOOKUPS

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find rows by address, for who may see it whole, or by user, for who may see users."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if address := client_address.normalise(term):
            found = queryset.filter(ip_address=address)
            return (found if may_see_whole(request) else queryset.none()), False
        users = self.admin_site._registry.get(get_user_model())
        if users is None or not users.has_view_permission(request) or "\0" in term:
            return queryset.none(), False
        named = {f"{get_user_model().USERNAME_FIELD}__istartswith": term}
        keys = users.get_queryset(request).filter(**named).values_list("pk", flat=True)
        return queryset.filter(user_id__in=list(keys[: self.MAX_FOUND])), False

    # The columns that both have.

    @admin.display(description=_("user"))
    def who(self, row: Any) -> str:
        """Who is logged in."""
        return str(row.shown.user(row))

    @admin.display(description=_("IP address"))
    def address(self, row: Any) -> str:
        """The address, as far as it may be seen."""
        return str(row.shown.address(row))

    @admin.display(description=_("came from"))
    def came_from(self, row: Any) -> str:
        """The campaign that the visit began with, as far as it is known, or the referrer."""
        return columns.campaign(row) or columns.site_of(row.referrer)


@admin.register(Visitor)
class VisitorAdmin(ObservedAdmin):
    """Who is on the site, or was lately."""

    list_display = (
        "seen", "page", "amount", "came_from", "whence", "agent_judged", "who",
    )  # fmt: skip
    list_display_links = ("seen",)
    list_filter = (ActiveFilter,)
    LOOKUPS = frozenset({"active", "id", "id__exact"})
    ordering = ("-last_update",)
    actions = ("ban_addresses", "ban_networks")
    fields = (
        "exactly_seen", "page", "page_views", "time_on_site", "place", "address", "ban",
        "referrer", "user_agent", "agent", "judged_in_full", "who", "exactly_logged_in", "visits",
    )  # fmt: skip
    readonly_fields = fields

    change_list_template = "admin/tracking/visitor/change_list.html"

    #: Visits that the page of a visitor lists.
    MAX_VISITS = 20

    def get_urls(self) -> list[URLPattern]:
        """Add the page of active visitors, and the overview where no list of beacons has it."""
        has_beacons = self.admin_site.is_registered(Beacon)
        overviews = [] if has_beacons else overview.urls(self)
        return [*live_page.urls(self), *overviews, *super().get_urls()]

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> Any:
        """Return the actions that whoever is looking may take."""
        # Django before 6.1 knows of one place for actions only.
        place = {} if action_location is None else {"action_location": action_location}
        actions = super().get_actions(request, **place)
        if not can_ban(request, self.admin_site):
            actions.pop("ban_addresses", None)
            actions.pop("ban_networks", None)
        return actions

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what the page of a visitor shows; bans are for who may make them."""
        fields = super().get_fields(request, obj)
        if can_ban(request, self.admin_site):
            return fields
        return [name for name in fields if name != "ban"]

    @admin.action(description=_("Ban the addresses of the selected visitors"))
    def ban_addresses(self, request: HttpRequest, queryset: QuerySet[Visitor]) -> HttpResponse:
        """Ask whether these addresses are to be banned."""
        title = gettext("Ban these addresses?")
        return ban_confirmation(
            request, self.admin_site, self._networks(queryset, wide=False), title=title
        )

    @admin.action(description=_("Ban the networks of the selected visitors"))
    def ban_networks(self, request: HttpRequest, queryset: QuerySet[Visitor]) -> HttpResponse:
        """Ask whether the networks around them are to be banned."""
        title = gettext("Ban these networks?")
        return ban_confirmation(
            request, self.admin_site, self._networks(queryset, wide=True), title=title
        )

    def _networks(self, queryset: QuerySet[Visitor], *, wide: bool) -> list[str]:
        addresses = queryset.exclude(ip_address=None).values_list("ip_address", flat=True)
        return [bans.network_for(str(address), wide=wide) for address in addresses]

    # The columns.

    @admin.display(description=_("last seen"))
    def seen(self, visitor: Visitor) -> SafeString:
        """How long ago."""
        return columns.ago(visitor.last_update)

    @admin.display(description=_("last seen"))
    def exactly_seen(self, visitor: Visitor) -> str:
        """To the second."""
        return columns.exact(visitor.last_update)

    @admin.display(description=_("logged in at"))
    def exactly_logged_in(self, visitor: Visitor) -> str:
        """When a page first knew this visitor as the user."""
        return columns.exact(visitor.logged_in_at) if visitor.logged_in_at else UNKNOWN

    @admin.display(description=_("page"))
    def page(self, visitor: Visitor) -> SafeString:
        """The page that was seen last. Text, and no link."""
        return format_html('<span class="tracking-url">{}</span>', visitor.url)

    @admin.display(description=_("seen"))
    def amount(self, visitor: Visitor) -> str:
        """Pages, and the length of the current visit."""
        length = columns.length(visitor.time_on_site)
        return columns.stacked(columns.pages(visitor.page_views), columns.quiet(length))

    @admin.display(description=_("time on site"))
    def time_on_site(self, visitor: Visitor) -> str:
        """The length of the current visit."""
        return columns.length(visitor.time_on_site)

    @admin.display(description=_("ban"))
    def ban(self, visitor: Visitor) -> str:
        """Links that lead to a page which asks before anything is banned."""
        if visitor.ip_address is None:
            return UNKNOWN
        links = [
            (confirmation_url(self.admin_site, [network]), text)
            for network, text in networks_of(visitor.ip_address).items()
        ]
        return format_html_join(" ", '<a class="button" href="{}">{}</a>', links)

    @admin.display(description=_("visits"))
    def visits(self, visitor: Visitor) -> str:
        """The latest visits, for who may see visits."""
        if not visitor.shown.may("view_visit"):  # type: ignore[attr-defined]
            return UNKNOWN
        name = f"{self.admin_site.name}:tracking_visit_change"
        rows = visitor.visits.order_by("-ended_at")[: self.MAX_VISITS]
        described = [
            (
                reverse(name, args=[visit.pk]),
                columns.exact(visit.started_at),
                columns.pages(visit.page_views),
                columns.length(visit.length),
            )
            for visit in rows
        ]
        return (
            format_html_join(
                SafeString("<br>"), '<a href="{}">{}</a> \N{EN DASH} {}, {}', described
            )
            or UNKNOWN
        )


@admin.register(Visit)
class VisitAdmin(ObservedAdmin):
    """The visits of the past."""

    list_display = (
        "started", "entry", "amount", "came_from", "whence", "agent_judged", "who",
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
        "exactly_started", "length", "page_views", "pages", "source", "medium", "campaign", "term",
        "content", "referrer", "place", "address", "user_agent", "agent", "judged_in_full", "who",
    )  # fmt: skip
    readonly_fields = fields

    #: Pages that a visit lists.
    MAX_PAGES = 200

    @admin.display(description=_("started"))
    def started(self, visit: Visit) -> SafeString:
        """How long ago."""
        return columns.ago(visit.started_at)

    @admin.display(description=_("started"))
    def exactly_started(self, visit: Visit) -> str:
        """To the second."""
        return columns.exact(visit.started_at)

    @admin.display(description=_("first page"))
    def entry(self, visit: Visit) -> SafeString:
        """The page that it began with. Text, and no link."""
        return format_html('<span class="tracking-url">{}</span>', visit.entry_url)

    @admin.display(description=_("seen"))
    def amount(self, visit: Visit) -> str:
        """Pages and length."""
        length = columns.length(visit.length)
        return columns.stacked(columns.pages(visit.page_views), columns.quiet(length))

    @admin.display(description=_("length"))
    def length(self, visit: Visit) -> str:
        """From the first page to the last."""
        return columns.length(visit.length)

    @admin.display(description=_("pages"))
    def pages(self, visit: Visit) -> str:
        """The pages in their order, with their times."""
        views = PageView.objects.filter(visit=visit).order_by("time")[: self.MAX_PAGES + 1]
        seen = [(columns.exact(view.time), view.url) for view in views]
        line = '<time>{}</time> <span class="tracking-url">{}</span>'
        listed = format_html_join(SafeString("<br>"), line, seen[: self.MAX_PAGES])
        if len(seen) > self.MAX_PAGES:
            more = gettext("These are the first %d.") % self.MAX_PAGES
            return format_html("{}<br>{}", listed, more)
        return listed or UNKNOWN

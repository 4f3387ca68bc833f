"""The ban list in the admin, and the page of each ban."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tracking import bans, client_address
from tracking.admin import columns
from tracking.admin.bans.form import BanForm
from tracking.admin.bans.import_export_pages import may_export
from tracking.admin.bans.outcome import log_bans
from tracking.admin.bans.pages import back_to_list
from tracking.admin.bans.permissions import ban_visibility
from tracking.admin.bans.urls import urls
from tracking.admin.large_tables import LargeTableAdmin
from tracking.admin.masking import MASK_PREFIXES, display_network, may_view_full_addresses
from tracking.bans import bulk_ban
from tracking.bans.bulk_ban import BanEntry, BulkBanResult, ExistingBanPolicy
from tracking.models import BannedIP


class StateFilter(admin.SimpleListFilter):
    """Filters bans by whether they are in force."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the choices."""
        return [("live", _("Active")), ("expired", _("Expired"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the bans in the chosen state."""
        if self.value() == "live":
            return BannedIP.objects.live() & queryset
        if self.value() == "expired":
            return queryset.filter(expires_at__lte=timezone.now())
        return queryset


@admin.register(BannedIP)
class BannedIPAdmin(LargeTableAdmin):
    """Bans, searchable by any address that they block.

    Users who may not view full addresses see masked networks, and cannot open a ban of a
    narrow network.
    """

    form = BanForm
    change_form_template = "admin/tracking/bannedip/change_form.html"
    change_list_template = "admin/tracking/bannedip/change_list.html"
    list_display = ("network", "reason", "banned_at", "ends")
    list_filter = (StateFilter,)
    ordering = ("-pk",)
    sortable_by = ()
    readonly_fields = ("created_at",)
    search_fields = ("network", "reason")
    search_help_text = _("Search by IP address, to find the bans that block it, or by reason.")

    def get_urls(self) -> list[URLPattern]:
        """Add the confirmation, the import and the export."""
        return [*urls(self), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Show the list, with links to import and export if permitted."""
        links = {
            "may_import": self.has_add_permission(request),
            "may_export": may_export(self, request),
        }
        return super().changelist_view(request, {**links, **(extra_context or {})})

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the form, with the address and the permissions of the user."""
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.own_address = client_address.client_address(request)
        form.is_visible = staticmethod(ban_visibility(request))
        return form

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields; the confirmation only for users who may save the ban."""
        if obj is None:
            return ("network", "reason", "expires_at", "confirmed")
        fields = ("network", "reason", "created_at", "expires_at")
        return (*fields, "confirmed") if self.has_change_permission(request, obj) else fields

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Show the form, without the hint at errors if it only needs confirmation."""
        form = context["adminform"].form
        if form.is_bound and form.is_question:
            context = {**context, "errors": None, "is_question": True}
        return super().render_change_form(request, context, *args, **kwargs)

    # To users who may not view full addresses, neither an error nor the primary key may reveal
    # that an address was banned before.

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the ban, or keep an existing one that the user may not know of."""
        if self._may_open(request, obj):
            super().save_model(request, obj, form, change)
        else:
            entry = BanEntry(0, obj.network, obj.reason, obj.expires_at)
            bulk_ban.ban_all([entry], lambda _network: ExistingBanPolicy.KEEP)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Log the ban."""
        if self._may_open(request, obj):
            return super().log_addition(request, obj, message)
        return log_bans(request, BulkBanResult([obj.network], [], []))

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        """Report the ban, and redirect."""
        if self._may_open(request, obj):
            return super().response_add(request, obj, post_url_continue)
        self.message_user(request, gettext("%s is now banned.") % obj.network, messages.SUCCESS)
        return back_to_list(request, self)

    # Permissions.

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may view the list, or one ban."""
        return super().has_view_permission(request, obj) and self._may_open(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may change bans, or one of them."""
        return super().has_change_permission(request, obj) and self._may_open(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may delete bans, or one of them."""
        return super().has_delete_permission(request, obj) and self._may_open(request, obj)

    def _may_open(self, request: HttpRequest, obj: BannedIP | None) -> bool:
        return obj is None or ban_visibility(request)(obj.network)

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> Any:
        """Return the actions, without the deletion if it would name masked networks."""
        # Before Django 6.1 there is no such parameter.
        place = {} if action_location is None else {"action_location": action_location}
        actions = super().get_actions(request, **place)
        if not may_view_full_addresses(request):
            actions.pop("delete_selected", None)
        return actions

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the columns, with masked networks if necessary."""
        first = "network" if may_view_full_addresses(request) else "masked_network"
        return (first, *self.list_display[1:])

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        """Return the columns that link to the page of a ban."""
        return list_display[:1] if may_view_full_addresses(request) else None

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Return whether a URL may filter by ``lookup``: a filter could reveal a masked network."""
        if request is None:
            return False
        if lookup.startswith("network"):
            return may_view_full_addresses(request)
        return bool(super().lookup_allowed(lookup, value, request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find bans by an address that they block, or by their reason."""
        term = search_term.strip()
        address = client_address.normalise(term) or term
        at_most = (32, 128) if may_view_full_addresses(request) else MASK_PREFIXES
        if not term:
            return queryset, False
        if client_address.network_of(address):
            around = bans.containing_networks(address, at_most=at_most)
            return queryset.filter(network__in=around), False
        return queryset.filter(reason__icontains=term.replace("\0", "")), False

    # Columns.

    @admin.display(description=_("network"))
    def masked_network(self, ban: BannedIP) -> str:
        """The network, masked."""
        return display_network(ban.network, full=False)

    @admin.display(description=_("banned"))
    def banned_at(self, ban: BannedIP) -> SafeString:
        """How long ago; the exact time is in the tooltip."""
        return columns.relative_time(ban.created_at)

    @admin.display(description=_("expires"))
    def ends(self, ban: BannedIP) -> str:
        """Time left; the exact time is in the tooltip."""
        if ban.expires_at is None:
            return gettext("never")
        if ban.expires_at <= timezone.now():
            return columns.time_with_tooltip(ban.expires_at, gettext("expired"))
        return columns.time_with_tooltip(ban.expires_at, columns.time_left(ban.expires_at))
